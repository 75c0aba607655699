//! Certificates by the name that a client asks for (SNI, RFC 6066 section 3).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use super::facts::{self, CertificateFacts};

/// A certificate chain with its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// The DNS names in it, in lower case; `*.` before one stands for one more label.
    names: Vec<String>,
}

impl Certificate {
    /// Reads a chain (leaf first) and its private key from PEM files.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        Self::from_pem((chain, &read_file(chain)?), (key, &read_file(key)?))
    }

    /// The same with what the files hold; their names are for errors.
    pub(super) fn from_pem(chain: (&Path, &[u8]), key: (&Path, &[u8])) -> Result<Self, TlsError> {
        let certificates = parse_chain(chain)?;
        let private = PrivateKeyDer::from_pem_slice(key.1)
            .map_err(|source| TlsError::Pem { path: key.0.to_owned(), source })?;
        Self::from_der(certificates, private).map_err(|error| match error {
            TlsError::Unusable(source) => {
                TlsError::Pair { chain: chain.0.to_owned(), key: key.0.to_owned(), source }
            }
            other => other,
        })
    }

    /// Takes a parsed chain (leaf first) and its key, which must fit it.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let Some(leaf) = chain.first() else { return Err(TlsError::Empty) };
        let bad = |_| rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
        let parsed = webpki::EndEntityCert::try_from(leaf).map_err(bad)?;
        let names = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
        let key = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())?;
        Ok(Self { key: Arc::new(key), names })
    }

    /// The DNS names that the certificate is for.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// The certificates of a PEM file.
pub(crate) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    parse_chain((file, &read_file(file)?))
}

fn parse_chain((file, pem): (&Path, &[u8])) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |source| TlsError::Pem { path: file.to_owned(), source };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(bad)?;
    if chain.is_empty() { Err(TlsError::NoCertificate(file.to_owned())) } else { Ok(chain) }
}

/// The certificates in use. A handshake that runs keeps what it has begun with.
#[derive(Debug)]
pub(super) struct Certificates(ArcSwap<ByName>);

#[derive(Debug)]
struct ByName {
    first: Arc<CertifiedKey>,
    /// What each says of itself, in their order.
    facts: Vec<CertificateFacts>,
    /// Exact names, and `*.domain` as it stands in the certificate.
    names: HashMap<String, Arc<CertifiedKey>>,
}

impl ByName {
    fn new(certificates: Vec<Certificate>) -> Result<Self, TlsError> {
        let first = certificates.first().ok_or(TlsError::Empty)?.key.clone();
        let facts =
            certificates.iter().filter_map(|certificate| facts::facts(&certificate.key.cert)).collect();
        let mut names = HashMap::new();
        for certificate in certificates {
            for name in certificate.names {
                names.entry(name).or_insert_with(|| certificate.key.clone());
            }
        }
        Ok(Self { first, facts, names })
    }

    fn find(&self, name: &str) -> &Arc<CertifiedKey> {
        let exact = self.names.get(name);
        let wildcard = || self.names.get(&format!("*.{}", name.split_once('.')?.1));
        exact.or_else(wildcard).unwrap_or(&self.first)
    }
}

impl Certificates {
    pub(super) fn new(certificates: Vec<Certificate>) -> Result<Self, TlsError> {
        Ok(Self(ArcSwap::from_pointee(ByName::new(certificates)?)))
    }

    pub(super) fn replace(&self, certificates: Vec<Certificate>) -> Result<(), TlsError> {
        self.0.store(Arc::new(ByName::new(certificates)?));
        Ok(())
    }

    pub(super) fn facts(&self) -> Vec<CertificateFacts> {
        self.0.load().facts.clone()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.0.load();
        let found = match hello.server_name() {
            // rustls gives the name in lower case.
            Some(name) => certificates.find(name),
            None => &certificates.first,
        };
        Some(found.clone())
    }
}
