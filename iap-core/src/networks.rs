//! Sets of IP networks.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// A set of IP networks: `10.0.0.0/8`, `2001:db8::/32`, single addresses. A v4 address that is written
/// as a v6 one (`::ffff:10.0.0.1`) counts as the v4 address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// A text is neither a network nor an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network: write `10.0.0.0/8`, `2001:db8::/32` or a single address")]
pub struct NetworkError(String);

impl Networks {
    /// Reads networks in CIDR notation, and single addresses.
    pub fn parse<S: AsRef<str>>(networks: impl IntoIterator<Item = S>) -> Result<Self, NetworkError> {
        let parse = |text: &str| {
            let network = IpNet::from_str(text).ok();
            network
                .or_else(|| IpAddr::from_str(text).ok().map(|address| IpNet::from(address.to_canonical())))
                .ok_or_else(|| NetworkError(text.to_owned()))
        };
        networks.into_iter().map(|text| parse(text.as_ref().trim())).collect::<Result<_, _>>().map(Self)
    }

    /// Loopback and the private networks (RFC 1918, RFC 4193): where one's own proxies usually are.
    pub fn private() -> Self {
        let own = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
        Self::parse(own).expect("these are networks")
    }

    /// These networks and those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Whether the address lies in one of the networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is no network in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The part of an address that one client has to itself. Who owns an IPv6 address usually owns the other
/// 2^64 beside it.
pub(crate) fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_their_networks_however_they_are_written() {
        let networks = Networks::parse(["10.0.0.0/8", " 192.0.2.7", "2001:db8::/32"]).unwrap();
        for (address, inside) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(networks.contains(address.parse().unwrap()), inside, "{address}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0", "host", "10.0.0.0/8/8"] {
            assert!(Networks::parse([bad]).unwrap_err().to_string().contains("is no network"), "{bad}");
        }
    }
}
