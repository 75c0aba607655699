//! What certificates say of themselves, for whoever has to renew them.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::time::ASN1Time;

/// What a certificate in use says, as its issuer has written it.
///
/// Source: RFC 5280, sections 4.1.2 and 4.2.1.6.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateFacts {
    /// The DNS names and IP addresses that it is for.
    pub names: Vec<String>,
    /// Whom it was issued to, as a distinguished name; often empty.
    pub subject: String,
    /// Who has issued it.
    pub issuer: String,
    /// The issuer's number of it, hexadecimal.
    pub serial: String,
    /// SHA-256 of the whole, hexadecimal, as `openssl x509 -fingerprint -sha256` shows it but for the colons.
    pub fingerprint: String,
    /// From when on it is valid.
    pub not_before: SystemTime,
    /// Until when it is.
    pub not_after: SystemTime,
    /// When the first certificate of its chain ends, itself included: from then on clients refuse it.
    pub expires: SystemTime,
}

/// Of a chain, leaf first; `None` when one of it cannot be read.
pub(super) fn facts(chain: &[CertificateDer<'_>]) -> Option<CertificateFacts> {
    let (leaf, parsed) = (chain.first()?, chain.iter().map(|der| parse(der)).collect::<Option<Vec<_>>>()?);
    let own = parsed.first()?;
    let names = own.subject_alternative_name().ok().flatten();
    let names = names.into_iter().flat_map(|names| &names.value.general_names).filter_map(name).collect();
    let digest = ring::digest::digest(&ring::digest::SHA256, leaf);
    Some(CertificateFacts {
        names,
        subject: own.subject().to_string(),
        issuer: own.issuer().to_string(),
        serial: hex(own.raw_serial()),
        fingerprint: hex(digest.as_ref()),
        not_before: time(own.validity().not_before),
        not_after: time(own.validity().not_after),
        expires: parsed.iter().map(|one| time(one.validity().not_after)).min()?,
    })
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed)
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

/// Certificates may be from before 1970, and may say that they never end.
fn time(time: ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let apart = Duration::from_secs(seconds.unsigned_abs());
    let found = if seconds < 0 { UNIX_EPOCH.checked_sub(apart) } else { UNIX_EPOCH.checked_add(apart) };
    found.unwrap_or(UNIX_EPOCH)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
