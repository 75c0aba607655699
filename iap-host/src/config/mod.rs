//! The configuration: types, YAML in, environment over it, checks. Pure: no files, no sockets,
//! no secrets are read here (an invariant that a test enforces).

mod access;
mod actions;
mod adopt;
mod alerts;
mod apm;
mod check;
mod check_server;
mod detection;
mod env;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod jwt;
mod lang;
mod layers;
mod llm;
mod observed;
mod oidc;
mod ops;
mod parse;
mod process;
mod redis;
mod reports;
mod revisions;
mod route;
mod rules;
mod runbooks;
mod runtime;
mod schema;
mod secret;
mod server;
mod session_policy;
mod sessions;
mod split;
mod units;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use access::AccessTokenConfig;
pub(crate) use access::{AccessConfig, Role};
pub(crate) use adopt::{AdoptConfig, System};
pub(crate) use alerts::{AlertsConfig, ChannelConfig, MailConfig, Security};
pub(crate) use apm::{ApmConfig, ClickHouseConfig, ExportConfig, OtlpTokenConfig, RemoteWriteConfig};
use check_server::named_networks;
pub(crate) use check_server::networks;
pub(crate) use detection::{DetectionConfig, WatchedMetric};
pub(crate) use files::FilesRef;
pub(crate) use jwt::JwtConfig;
pub(crate) use lang::Lang;
pub(crate) use layers::{
    Document, Entry, Instance, Layer, Node, ProfileShown, Sources, Wrong, insert, is_here, listeners,
    own_directories, remove,
};
pub(crate) use llm::{BoundsConfig, LlmConfig, LlmKind, ProviderConfig};
pub(crate) use observed::{EventsConfig, RecordAddressConfig, RevocationsConfig};
pub(crate) use oidc::OidcConfig;
pub(crate) use ops::OpsConfig;
#[cfg(any(test, fuzzing))]
pub(crate) use parse::parse;
pub(crate) use parse::{ConfigError, Parsed, parse_all, parse_as, parse_document};
pub(crate) use process::ProcessConfig;
pub(crate) use redis::RedisConfig;
pub(crate) use reports::ReportsConfig;
pub(crate) use revisions::RevisionsConfig;
pub(crate) use route::{Builtin, RouteConfig};
pub(crate) use rules::AuthConfig;
pub(crate) use runbooks::RunbooksConfig;
pub(crate) use runtime::RuntimeConfig;
pub(crate) use schema::schema;
pub(crate) use secret::SecretRef;
pub(crate) use server::{ClientCertificates, ServerConfig, ServerTlsConfig, TlsVersion};
pub(crate) use session_policy::{
    Bound, Carrier, Outage, RouteSession, SameSite, Secure, SessionMode, SessionRef,
};
pub(crate) use sessions::{OnLimit, SessionsConfig, StoreKind};
pub(crate) use units::{ByteSize, Rate, Span};
pub(crate) use upstream::{TextOr, UpstreamConfig, UpstreamRef, UpstreamTlsConfig};

/// A whole configuration. Unknown keys are errors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) admin: AdminConfig,
    pub(crate) sessions: SessionsConfig,
    pub(crate) apm: ApmConfig,
    pub(crate) alerts: AlertsConfig,
    pub(crate) reports: ReportsConfig,
    pub(crate) ops: OpsConfig,
    pub(crate) log: LogConfig,
    /// Upstreams that routes refer to by name.
    pub(crate) upstreams: BTreeMap<String, UpstreamConfig>,
    pub(crate) routes: Vec<RouteConfig>,
}

/// The operators' side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminConfig {
    pub(crate) listen: SocketAddr,
    /// Host names under which the admin side may be called, besides loopback and its own address.
    pub(crate) hosts: Vec<String>,
    /// Accounts; without them whoever reaches the listener may do all.
    pub(crate) access: Option<AccessConfig>,
    /// What has run, and how a change is tried out.
    pub(crate) revisions: RevisionsConfig,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 9900).into(),
            hosts: Vec::new(),
            access: None,
            revisions: RevisionsConfig::default(),
        }
    }
}

/// Our own log, on standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    /// A level or a filter in the syntax of `tracing-subscriber`: `info`, `iap_core=debug`.
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Environment variables, as a map: what may override a configuration.
pub(crate) type Environment = BTreeMap<String, String>;

#[cfg(test)]
mod tests;
