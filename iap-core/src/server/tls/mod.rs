//! TLS by rustls: several certificates chosen by name, replaced while the server runs, and
//! certificates of clients.

mod certificates;
mod error;
mod facts;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use certificates::Certificate;
pub(crate) use certificates::read_chain;
use certificates::{Certificates, read_file};
pub use error::TlsError;
pub use facts::CertificateFacts;

/// What a TLS listener presents. Cheap to clone; clones share their certificates.
///
/// TLS 1.2 and 1.3, by rustls' safe defaults; HTTP/2 and HTTP/1.1 by ALPN.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    pub(super) server: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    files: Arc<[(PathBuf, PathBuf)]>,
    /// What stands for the files' contents as they are in use, so that nothing happens while they stay.
    in_use: Arc<Mutex<blake3::Hash>>,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ClientAuth {
    /// A client without a certificate of the CA is refused in the handshake.
    #[default]
    Required,
    /// It may come without one; [`TlsInfo`](crate::connection::TlsInfo) tells.
    Optional,
}

/// Collects the parts of a [`TlsConfig`].
#[derive(Debug, Default)]
pub struct TlsBuilder {
    certificates: Vec<Certificate>,
    files: Vec<(PathBuf, PathBuf)>,
    client_ca: Vec<CertificateDer<'static>>,
    client_auth: ClientAuth,
    only_tls13: bool,
}

impl TlsBuilder {
    /// Adds a certificate. The first one is for clients that ask for no name, or for an unknown one.
    #[must_use]
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificates.push(certificate);
        self
    }

    /// Adds a certificate from PEM files: a chain, leaf first, and its key. They are read by
    /// [`TlsBuilder::build`], and again by [`TlsConfig::reload`]; these come before the others.
    #[must_use]
    pub fn certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.files.push((chain.into(), key.into()));
        self
    }

    /// Asks clients for a certificate that one of these has signed (mutual TLS).
    #[must_use]
    pub fn client_ca(mut self, roots: Vec<CertificateDer<'static>>, auth: ClientAuth) -> Self {
        (self.client_ca, self.client_auth) = (roots, auth);
        self
    }

    /// The same, with the certificates of a PEM file.
    pub fn client_ca_file(self, file: impl AsRef<Path>, auth: ClientAuth) -> Result<Self, TlsError> {
        let roots = read_chain(file.as_ref())?;
        Ok(self.client_ca(roots, auth))
    }

    /// Refuses TLS 1.2.
    #[must_use]
    pub fn only_tls13(mut self) -> Self {
        self.only_tls13 = true;
        self
    }

    /// Reads the files and checks that each key fits its certificate.
    pub fn build(self) -> Result<TlsConfig, TlsError> {
        let read = Read::all(&self.files)?;
        let mut all = read.certificates()?;
        all.extend(self.certificates);
        let certificates = Arc::new(Certificates::new(all)?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: &[_] = if self.only_tls13 { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
        let config =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
        let config = if self.client_ca.is_empty() {
            config.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for root in self.client_ca {
                roots.add(root)?;
            }
            let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            if self.client_auth == ClientAuth::Optional {
                verifier = verifier.allow_unauthenticated();
            }
            config.with_client_cert_verifier(verifier.build().map_err(TlsError::ClientCa)?)
        };
        let mut config = config.with_cert_resolver(certificates.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        let in_use = Arc::new(Mutex::new(read.digest()));
        Ok(TlsConfig { server: Arc::new(config), certificates, files: self.files.into(), in_use })
    }
}

impl TlsConfig {
    /// Puts a configuration together.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// One certificate from PEM files: a chain, leaf first, and its key.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Self::builder().certificate_files(chain.as_ref(), key.as_ref()).build()
    }

    /// One certificate: a parsed chain and its key.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        Self::builder().certificate(Certificate::from_der(chain, key)?).build()
    }

    /// Replaces all certificates for handshakes from now on. On an error nothing changes.
    pub fn replace(&self, certificates: Vec<Certificate>) -> Result<(), TlsError> {
        self.certificates.replace(certificates)
    }

    /// What the certificates in use say of themselves, in the order in which they were added; without one that cannot be
    /// read. It is read when they are taken into use.
    pub fn certificates(&self) -> Vec<CertificateFacts> {
        self.certificates.facts()
    }

    /// Reads the files again that the configuration was built from, and replaces the certificates if
    /// they have changed; says whether they have. Where one file is unusable, or a key does not fit its
    /// certificate, nothing changes. Reads files: not for a thread that must not wait.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let read = Read::all(&self.files)?;
        let now = read.digest();
        if *self.in_use.lock() == now {
            return Ok(false);
        }
        self.replace(read.certificates()?)?;
        *self.in_use.lock() = now;
        Ok(true)
    }
}

/// All files of a configuration, read once: what is parsed is what is compared.
struct Read<'f>(Vec<[(&'f Path, Vec<u8>); 2]>);

impl<'f> Read<'f> {
    fn all(files: &'f [(PathBuf, PathBuf)]) -> Result<Self, TlsError> {
        let read = |path: &'f PathBuf| read_file(path).map(|contents| (path.as_path(), contents));
        files.iter().map(|(chain, key)| Ok([read(chain)?, read(key)?])).collect::<Result<_, _>>().map(Self)
    }

    fn certificates(&self) -> Result<Vec<Certificate>, TlsError> {
        let parse = |[(chain, chain_pem), (key, key_pem)]: &[(&Path, Vec<u8>); 2]| {
            Certificate::from_pem((chain, chain_pem), (key, key_pem))
        };
        self.0.iter().map(parse).collect()
    }

    fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (_, contents) in self.0.iter().flatten() {
            hasher.update(&(contents.len() as u64).to_le_bytes()).update(contents);
        }
        hasher.finalize()
    }
}
