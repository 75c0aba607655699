//! Where sessions come from: what operators find them by.
//!
//! Addresses of clients are personal data, and a store keeps them as long as the session. [`RecordAddress`] says how much
//! of them is kept; by default it is the network, which is enough to see that sessions come from one place.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use iap_core::{Connection, MatchedRoute};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where a session comes from. A store keeps it as it is given; all of it may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Provenance {
    /// The client that it was created for. In a [`Rotation`](crate::Rotation): the client that logs in.
    #[schemars(with = "Option<String>")]
    pub address: Option<ClientAddress>,
    /// The client that has logged in, while somebody is; it is the store that notes it.
    #[schemars(with = "Option<String>")]
    pub login_address: Option<ClientAddress>,
    /// The gateway that created it.
    #[serde(serialize_with = "text", deserialize_with = "shared")]
    pub node: Option<Arc<str>>,
    /// The route of the request that created it.
    #[serde(serialize_with = "text", deserialize_with = "shared")]
    pub route: Option<Arc<str>>,
}

impl Provenance {
    /// Notes who logs in, or that nobody is logged in any more.
    pub(crate) fn login(&mut self, address: Option<ClientAddress>) {
        self.login_address = address;
    }
}

/// The address of a client or, where only that is kept, the network that it is in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientAddress(IpNet);

impl ClientAddress {
    /// The whole address. An IPv4 address that is written as one of IPv6 is one of IPv4.
    pub fn full(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }

    /// The network of an address: 24 bits of IPv4, 48 bits of IPv6.
    pub fn masked(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let bits = if address.is_ipv4() { 24 } else { 48 };
        Self(IpNet::new_assert(address, bits).trunc())
    }

    /// Whether it may be in `network`: what is kept of it does not contradict that.
    pub fn may_be_in(&self, network: &ClientAddress) -> bool {
        network.0.contains(&self.0) || self.0.contains(&network.0)
    }
}

/// An address, or a network as `192.0.2.0/24`.
impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return self.0.addr().fmt(f);
        }
        self.0.fmt(f)
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address, nor a network like `192.0.2.0/24` or `2001:db8::/48`")]
pub struct AddressError;

impl FromStr for ClientAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::full(address));
        }
        text.parse::<IpNet>().map(|network| Self(network.trunc())).map_err(|_| AddressError)
    }
}

impl Serialize for ClientAddress {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClientAddress {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// How much is kept of the addresses of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordAddress {
    /// The network: see [`ClientAddress::masked`].
    #[default]
    Masked,
    /// All of it.
    Full,
    /// Nothing.
    Off,
}

/// What the layer notes of new sessions.
#[derive(Debug, Clone, Default)]
pub struct ProvenanceConfig {
    /// How much is kept of the addresses of clients.
    pub addresses: RecordAddress,
    /// The name of this gateway.
    pub node: Option<Arc<str>>,
}

impl ProvenanceConfig {
    /// What is kept of a client's address.
    pub fn address(&self, address: IpAddr) -> Option<ClientAddress> {
        match self.addresses {
            RecordAddress::Masked => Some(ClientAddress::masked(address)),
            RecordAddress::Full => Some(ClientAddress::full(address)),
            RecordAddress::Off => None,
        }
    }

    /// Where a request comes from. Behind a trusted proxy it is the client that counts, not the proxy.
    pub(crate) fn of(&self, connection: Option<&Connection>, route: Option<&MatchedRoute>) -> Provenance {
        Provenance {
            address: connection.and_then(|connection| self.address(connection.peer().ip())),
            login_address: None,
            node: self.node.clone(),
            route: route.map(|route| route.name().clone()),
        }
    }
}

fn text<S: Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(to)
}

fn shared<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<str>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Arc::from))
}

#[cfg(test)]
mod tests;
