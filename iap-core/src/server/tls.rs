//! TLS by rustls: a certificate chain and its key from PEM.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What a TLS listener presents. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TlsConfig(pub(super) Arc<ServerConfig>);

/// Why a certificate was refused. Never holds key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read as PEM.
    #[error("{what}: {source}")]
    Pem {
        /// What was read.
        what: String,
        /// The cause.
        source: rustls_pki_types::pem::Error,
    },
    /// The file holds no certificate.
    #[error("{0}: no certificate in it")]
    NoCertificate(String),
    /// The system has no authorities to verify servers by.
    #[error("the system has no certificate authorities: name a file with them")]
    NoSystemRoots,
    /// A name that no certificate can be for.
    #[error("`{0}` is no name of a server")]
    BadServerName(String),
    /// The certificate and the key do not fit each other, or are not usable.
    #[error("the certificate or its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl TlsError {
    /// For a file that could not be read as PEM.
    pub(crate) fn pem(file: &Path) -> impl FnOnce(rustls_pki_types::pem::Error) -> Self + use<> {
        let what = file.display().to_string();
        move |source| Self::Pem { what, source }
    }
}

impl TlsConfig {
    /// Reads a chain (leaf first) and its private key from PEM files.
    pub fn from_pem_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(TlsError::pem(certificate))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(certificate.display().to_string()));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(TlsError::pem(key))?;
        Self::from_der(chain, key)
    }

    /// Takes a parsed chain and key.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}
