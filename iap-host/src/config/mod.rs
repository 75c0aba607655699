//! The configuration: types, YAML in, environment over it, checks. Pure: no files, no sockets,
//! no secrets are read here (an invariant that a test enforces).

mod check;
mod env;
mod parse;
mod secret;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use parse::parse;
pub(crate) use secret::SecretRef;
pub(crate) use units::{ByteSize, Span};

/// A whole configuration. Unknown keys are errors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) admin: AdminConfig,
    pub(crate) sessions: SessionsConfig,
    pub(crate) apm: ApmConfig,
    pub(crate) log: LogConfig,
    pub(crate) routes: Vec<RouteConfig>,
}

/// The public side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub(crate) max_body: ByteSize,
    pub(crate) timeouts: TimeoutsConfig,
}

/// How long a client may stand still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TimeoutsConfig {
    /// Before a request head is complete; also an idle connection.
    pub(crate) head: Span,
    /// In the middle of a request body.
    pub(crate) body: Span,
    /// Without reading what it asked for.
    pub(crate) write: Span,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self { head: one_minute(), body: one_minute(), write: one_minute() }
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
            max_body: ByteSize(64 << 20),
            timeouts: TimeoutsConfig::default(),
        }
    }
}

/// A second listener for TLS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTlsConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The operators' side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminConfig {
    pub(crate) listen: SocketAddr,
    /// Host names under which the admin side may be called, besides loopback and its own address.
    pub(crate) hosts: Vec<String>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: ([127, 0, 0, 1], 9900).into(), hosts: Vec::new() }
    }
}

/// The session cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SessionsConfig {
    pub(crate) enabled: bool,
    pub(crate) store: StoreKind,
    pub(crate) redis: Option<RedisConfig>,
    /// The key that session ids are hashed with; the same on all nodes of a cluster.
    pub(crate) secret: Option<SecretRef>,
    pub(crate) cookie: CookieConfig,
    /// A session ends after this long without a request.
    pub(crate) idle: Span,
    /// A session ends after this long whatever happens.
    pub(crate) absolute: Span,
    pub(crate) login: LoginConfig,
    /// Where applications in other languages reach their session.
    pub(crate) api: SocketAddr,
    /// Most sessions in the memory store.
    pub(crate) max_count: usize,
    /// Most bytes in the memory store.
    pub(crate) max_memory: ByteSize,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            store: StoreKind::Memory,
            redis: None,
            secret: None,
            cookie: CookieConfig::default(),
            idle: Span::seconds(30 * 60),
            absolute: Span::seconds(12 * 3600),
            login: LoginConfig::default(),
            api: ([127, 0, 0, 1], 9901).into(),
            max_count: 100_000,
            max_memory: ByteSize(256 << 20),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    Memory,
    Redis,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisConfig {
    /// `redis://host:port[/db]`, `rediss://`, `redis-cluster://`, `redis-sentinel://`; no password in it.
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) username: Option<String>,
    #[serde(default)]
    pub(crate) password: Option<SecretRef>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CookieConfig {
    pub(crate) name: String,
    pub(crate) secure: Secure,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self { name: "iap-session".into(), secure: Secure::Auto }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Secure {
    /// Over TLS.
    Auto,
    /// Always: TLS ends in front of us.
    Always,
    Never,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LoginConfig {
    /// Sessions that one user may have at once.
    pub(crate) max_per_user: u32,
    pub(crate) on_limit: OnLimit,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self { max_per_user: 100, on_limit: OnLimit::EvictOldest }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnLimit {
    EvictOldest,
    RefuseNew,
}

/// Application performance monitoring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApmConfig {
    pub(crate) enabled: bool,
    /// The directory of the history; in memory when absent.
    pub(crate) history: Option<PathBuf>,
    pub(crate) max_age: Span,
    pub(crate) max_size: ByteSize,
    /// Where applications send their OTLP/HTTP spans and logs.
    pub(crate) otlp: SocketAddr,
}

impl Default for ApmConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            history: Some("data/history".into()),
            max_age: Span::seconds(7 * 24 * 3600),
            max_size: ByteSize(2 << 30),
            otlp: ([127, 0, 0, 1], 4318).into(),
        }
    }
}

/// Our own log, on standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// One route. Exactly one of `upstream`, `files`, `respond` and `service` says where it leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteConfig {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) host: Option<String>,
    #[serde(default = "root")]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) upstream: Option<UpstreamConfig>,
    #[serde(default)]
    pub(crate) files: Option<PathBuf>,
    #[serde(default)]
    pub(crate) respond: Option<RespondConfig>,
    #[serde(default)]
    pub(crate) service: Option<Builtin>,
    /// Whether sessions are used here; on by default, off for files.
    #[serde(default)]
    pub(crate) session: Option<SessionMode>,
}

fn root() -> String {
    "/".into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionMode {
    On,
    Off,
}

/// Services that are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Builtin {
    /// The demo shop.
    DemoShop,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamConfig {
    pub(crate) servers: Vec<String>,
    #[serde(default = "five_seconds")]
    pub(crate) connect_timeout: Span,
    #[serde(default = "one_minute")]
    pub(crate) response_timeout: Span,
    /// How long a response body may stand still.
    #[serde(default = "one_minute")]
    pub(crate) body_timeout: Span,
}

fn five_seconds() -> Span {
    Span::seconds(5)
}

fn one_minute() -> Span {
    Span::seconds(60)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RespondConfig {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) body: String,
}

/// Environment variables, as a map: what may override a configuration.
pub(crate) type Environment = BTreeMap<String, String>;

#[cfg(test)]
mod tests;
