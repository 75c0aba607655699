//! The session cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use iap_session::RedisTls;
use serde::{Deserialize, Serialize};

use super::{ByteSize, SecretRef, Span};

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
    /// `redis://host:port[/db]`, `rediss://`, `redis-cluster://`, `redis-sentinel://`, `unix:///path`; no
    /// password in it.
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) username: Option<String>,
    #[serde(default)]
    pub(crate) password: Option<SecretRef>,
    /// Who we are to the Sentinels; they are not told the password of the server.
    #[serde(default)]
    pub(crate) sentinel_username: Option<String>,
    #[serde(default)]
    pub(crate) sentinel_password: Option<SecretRef>,
    #[serde(default)]
    pub(crate) tls: Option<RedisTlsConfig>,
    /// What all keys begin with.
    #[serde(default = "prefix")]
    pub(crate) prefix: String,
    /// Connections, to each node of a cluster.
    #[serde(default = "connections")]
    pub(crate) connections: usize,
    /// How long a command may take.
    #[serde(default = "command_timeout")]
    pub(crate) timeout: Span,
}

/// Whom to trust, and who we are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedisTlsConfig {
    /// Authorities, as PEM; those of the system when absent.
    pub(crate) ca: Option<PathBuf>,
    /// Our certificate and its key, for servers that ask for one.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

fn prefix() -> String {
    "iap".to_owned()
}

fn connections() -> usize {
    4
}

fn command_timeout() -> Span {
    Span::seconds(1)
}

impl RedisConfig {
    /// The settings of the store, without secrets.
    pub(crate) fn store(&self) -> iap_session::RedisConfig {
        let tls = self.tls.clone().map(|tls| RedisTls { ca: tls.ca, client: tls.certificate.zip(tls.key) });
        iap_session::RedisConfig {
            tls,
            prefix: self.prefix.clone(),
            connections: self.connections,
            command_timeout: self.timeout.0,
            ..iap_session::RedisConfig::new(&self.url)
        }
    }

    /// What is wrong with it, beginning with the name of the setting.
    pub(super) fn check(&self) -> Result<(), String> {
        let authority = self.url.split('/').nth(2).unwrap_or_default();
        if authority.contains('@') || self.url.contains("sentinelPassword=") {
            return Err("url holds a user name or password: use sessions.redis.username and \
                        sessions.redis.password, like `password: {env: REDIS_PASSWORD}`"
                .to_owned());
        }
        if self.username.is_some() && self.password.is_none() {
            return Err("username needs a sessions.redis.password".to_owned());
        }
        if self.sentinel_username.is_some() && self.sentinel_password.is_none() {
            return Err("sentinel_username needs a sessions.redis.sentinel_password".to_owned());
        }
        let is_sentinel = self.url.split("://").next().is_some_and(|scheme| scheme.ends_with("-sentinel"));
        if self.sentinel_password.is_some() && !is_sentinel {
            return Err("sentinel_password needs a url of redis-sentinel://".to_owned());
        }
        if self.tls.as_ref().is_some_and(|tls| tls.certificate.is_some() != tls.key.is_some()) {
            return Err("tls: certificate and key belong together".to_owned());
        }
        if !(1..=64).contains(&self.connections) {
            return Err("connections: 1 to 64".to_owned());
        }
        if self.timeout.0.is_zero() {
            return Err("timeout: a command needs some time".to_owned());
        }
        self.store().check().map_err(|error| format!("url: {error}"))
    }
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

#[cfg(test)]
mod tests;
