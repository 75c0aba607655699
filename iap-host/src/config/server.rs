//! The public side: listeners, limits, time-outs.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::one_minute;
use super::{ByteSize, Span};

/// The public side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<ServerTlsConfig>,
    /// Worker threads; one a core when absent.
    pub(crate) workers: Option<usize>,
    /// How long `/readyz` says no before the drain begins, so that a load balancer looks elsewhere.
    pub(crate) drain_delay: Span,
    /// How long running requests may go on after that.
    pub(crate) drain: Span,
    pub(crate) max_connections: usize,
    /// Of one client address; no limit when absent.
    pub(crate) max_connections_per_client: Option<usize>,
    /// Proxies whose word on their clients is believed: networks, or `private` for all private ones.
    pub(crate) trusted_proxies: Vec<String>,
    /// Networks of proxies that begin with the PROXY protocol; then all connections must.
    pub(crate) proxy_protocol: Vec<String>,
    pub(crate) request_id: RequestIdConfig,
    pub(crate) max_body: ByteSize,
    pub(crate) timeouts: TimeoutsConfig,
}

/// How long a client may stand still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TimeoutsConfig {
    /// Before a request head is complete; also an idle connection.
    pub(crate) head: Span,
    /// In the middle of a request body.
    pub(crate) body: Span,
    /// Without reading what it asked for.
    pub(crate) write: Span,
    /// With a tunnel (WebSocket) in which nothing moves.
    pub(crate) tunnel: Span,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self { head: one_minute(), body: one_minute(), write: one_minute(), tunnel: Span::seconds(3600) }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            tls: None,
            workers: None,
            drain_delay: Span::seconds(0),
            drain: Span::seconds(30),
            max_connections: 65_536,
            max_connections_per_client: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: Vec::new(),
            request_id: RequestIdConfig::default(),
            max_body: ByteSize(64 << 20),
            timeouts: TimeoutsConfig::default(),
        }
    }
}

/// A second listener for TLS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTlsConfig {
    pub(crate) listen: SocketAddr,
    /// The certificate for clients that ask for no name, or for an unknown one.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Further certificates, chosen by the name that a client asks for.
    #[serde(default)]
    pub(crate) certificates: Vec<CertificateConfig>,
    #[serde(default)]
    pub(crate) clients: Option<ClientCertificatesConfig>,
    #[serde(default)]
    pub(crate) min_version: TlsVersion,
}

impl ServerTlsConfig {
    /// All certificates with their keys, the default one first.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&PathBuf, &PathBuf)> {
        let others = self.certificates.iter().map(|pair| (&pair.certificate, &pair.key));
        std::iter::once((&self.certificate, &self.key)).chain(others)
    }
}

/// One more certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateConfig {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Certificates of clients (mutual TLS).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientCertificatesConfig {
    /// Who must have signed them.
    pub(crate) ca: PathBuf,
    #[serde(default)]
    pub(crate) mode: ClientCertificates,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientCertificates {
    #[default]
    Required,
    Optional,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum TlsVersion {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

/// Ids of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RequestIdConfig {
    pub(crate) enabled: bool,
    pub(crate) header: String,
    /// Networks whose ids are taken over.
    pub(crate) accept_from: Vec<String>,
}

impl Default for RequestIdConfig {
    fn default() -> Self {
        Self { enabled: false, header: "x-request-id".into(), accept_from: Vec::new() }
    }
}
