//! TLS to upstream servers, by rustls.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::settings::Protocol;
use crate::server::{TlsError, read_chain};

/// How servers are verified, and who we are to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTlsSettings {
    /// A PEM file with the authorities that are trusted. Default: those of the system.
    pub ca: Option<PathBuf>,
    /// The name that is asked for (SNI) and that the certificate must be for. Default: the host of
    /// the server's address.
    pub server_name: Option<String>,
    /// PEM files with our certificate chain (leaf first) and its key, for servers that ask for one.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Believes any certificate, so that anybody on the way can read and change what is sent.
    pub insecure_skip_verify: bool,
}

/// TLS to servers, ready for use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

/// TLS to one server.
#[derive(Debug)]
pub(in super::super) struct Connector {
    config: Arc<ClientConfig>,
    /// The same without HTTP/2.
    http1: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Connector {
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        http1: bool,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let config = if http1 { &self.http1 } else { &self.config };
        TlsConnector::from(config.clone()).connect(self.name.clone(), stream).await
    }
}

impl UpstreamTls {
    /// Verification by the authorities of the system.
    pub fn system() -> Result<Self, TlsError> {
        Self::load(&UpstreamTlsSettings::default())
    }

    /// Reads the files that the settings name.
    pub fn load(settings: &UpstreamTlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = verifier(settings, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &settings.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|source| TlsError::Pem { path: key.clone(), source })?;
                builder.with_client_auth_cert(read_chain(certificate)?, key)?
            }
        };
        let server_name = settings.server_name.clone().map(ServerName::try_from).transpose();
        let server_name = server_name
            .map_err(|_| TlsError::BadServerName(settings.server_name.clone().unwrap_or_default()))?;
        Ok(Self { config: Arc::new(config), server_name })
    }

    /// The same for clients that speak another protocol than HTTP: no ALPN, and the caller names the server.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// TLS to a server whose own name is `name`.
    pub(super) fn connector(&self, name: ServerName<'static>, protocol: Protocol) -> Connector {
        let speaking = |protocols: &[&[u8]]| {
            let mut config = (*self.config).clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        let config = match protocol {
            Protocol::Auto => speaking(&[b"h2", b"http/1.1"]),
            Protocol::Http1 => speaking(&[b"http/1.1"]),
            Protocol::Http2 => speaking(&[b"h2"]),
        };
        let name = self.server_name.clone().unwrap_or(name);
        Connector { config, http1: speaking(&[b"http/1.1"]), name }
    }
}

fn verifier(
    settings: &UpstreamTlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    if settings.insecure_skip_verify {
        return Ok(Arc::new(AnyCertificate(provider.clone())));
    }
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(path) => {
            for certificate in read_chain(path)? {
                roots.add(certificate)?;
            }
        }
        None => {
            // What cannot be read is left out, as long as something is there.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(TlsError::NoSystemRoots);
            }
        }
    }
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    Ok(built.map_err(|error| rustls::Error::General(error.to_string()))?)
}

/// Believes any certificate; the handshake's signature still has to be by its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
