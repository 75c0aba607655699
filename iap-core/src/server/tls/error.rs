//! Why a TLS configuration was refused.

use std::path::PathBuf;

/// Why a certificate was refused. Never holds key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file could not be read as PEM.
    #[error("{path}: {source}", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: rustls_pki_types::pem::Error,
    },
    /// The file holds no certificate.
    #[error("{path}: no certificate in it", path = .0.display())]
    NoCertificate(PathBuf),
    /// There is no certificate at all.
    #[error("TLS needs at least one certificate")]
    Empty,
    /// The certificate and the key of these files do not fit each other, or are not usable.
    #[error("{chain} with {key}: {source}", chain = chain.display(), key = key.display())]
    Pair {
        /// The chain's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// A certificate, or its key, is not usable.
    #[error("the certificate or its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The system has no authorities to verify servers by.
    #[error("the system has no certificate authorities: name a file with them")]
    NoSystemRoots,
    /// A name that no certificate can be for.
    #[error("`{0}` is no name of a server")]
    BadServerName(String),
    /// The CA for clients is not usable.
    #[error("the CA for client certificates cannot be used: {0}")]
    ClientCa(rustls::server::VerifierBuilderError),
}
