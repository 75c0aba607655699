//! How a Redis store is set up.

use std::fmt;
use std::time::Duration;

use fred::types::Builder;
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectError, ReconnectPolicy, UnresponsiveConfig,
};

use crate::error::{StoreError, StoreErrorKind};
use crate::limits::Limits;

/// Where the sessions are, and how long to wait for an answer.
///
/// The URL says which kind of Redis it is: `redis://` or `rediss://` (TLS) for one server,
/// `redis-sentinel://host:26379?sentinelServiceName=name` for a server behind Sentinel,
/// `redis-cluster://` for a cluster; further nodes with `&node=host:port`. User and password go
/// before the host. `Debug` shows the addresses only.
#[derive(Clone)]
pub struct RedisConfig {
    /// The URL.
    pub url: String,
    /// What all keys begin with: 1 to 32 letters, digits, `:`, `-`, `_`. Default `iap`.
    pub prefix: String,
    /// What a session may hold.
    pub limits: Limits,
    /// Connections, to each node of a cluster. Default 4.
    pub connections: usize,
    /// How long a command may take, from being queued to its reply. Default one second. It is also
    /// how long requests wait that meet the very moment a connection breaks; later ones fail at once.
    pub command_timeout: Duration,
    /// How long the first connection may take. Default five seconds.
    pub connect_timeout: Duration,
    /// How many commands may wait for one connection. Default 10,000.
    pub max_queue: usize,
    /// A connection that owes a reply this long is given up. Default three seconds.
    pub unresponsive_after: Duration,
}

/// Those of Redis and of Valkey; the plural means TLS.
const SCHEMES: [&str; 12] = [
    "redis",
    "rediss",
    "redis-cluster",
    "rediss-cluster",
    "redis-sentinel",
    "rediss-sentinel",
    "valkey",
    "valkeys",
    "valkey-cluster",
    "valkeys-cluster",
    "valkey-sentinel",
    "valkeys-sentinel",
];

impl RedisConfig {
    /// The defaults, with a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "iap".to_owned(),
            limits: Limits::default(),
            connections: 4,
            command_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(5),
            max_queue: 10_000,
            unresponsive_after: Duration::from_secs(3),
        }
    }

    /// The addresses in the URL, without user and password.
    pub fn address(&self) -> String {
        self.parse().map_or_else(|_| "(no valid address)".to_owned(), |config| addresses(&config))
    }

    /// Checks the URL without connecting.
    ///
    /// # Errors
    ///
    /// `Invalid` for another kind of URL than those above, so that a mistyped `rediss://` does not
    /// become a connection in plain text.
    pub fn check(&self) -> Result<(), StoreError> {
        self.parse().map(drop)
    }

    pub(super) fn parse(&self) -> Result<Config, StoreError> {
        let scheme = self.url.split_once("://").map(|(scheme, _)| scheme);
        if !scheme.is_some_and(|scheme| SCHEMES.contains(&scheme)) {
            let text = "write redis://host:port, rediss:// for TLS, redis-cluster:// or redis-sentinel://";
            return Err(StoreError::new(StoreErrorKind::Invalid, text));
        }
        // The parser's own message may quote the URL, and with it a password.
        let mut config = Config::from_url(&self.url)
            .map_err(|_| StoreError::new(StoreErrorKind::Invalid, "the Redis URL is not valid"))?;
        // The first connection fails at once; later ones follow the reconnect policy.
        config.fail_fast = true;
        Ok(config)
    }

    pub(super) fn builder(&self) -> Result<Builder, StoreError> {
        let prefix_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
        if self.prefix.is_empty() || self.prefix.len() > 32 || !self.prefix.chars().all(prefix_char) {
            let text = "the key prefix has 1 to 32 letters, digits, `:`, `-` or `_`";
            return Err(StoreError::new(StoreErrorKind::Invalid, text));
        }
        let mut builder = Builder::from_config(self.parse()?);
        builder.set_policy(ReconnectPolicy::new_exponential(0, 100, 2000, 2));
        builder.set_performance_config(PerformanceConfig {
            default_command_timeout: self.command_timeout,
            ..PerformanceConfig::default()
        });
        builder.set_connection_config(ConnectionConfig {
            connection_timeout: self.connect_timeout,
            internal_command_timeout: self.connect_timeout,
            max_command_buffer_len: self.max_queue.max(1),
            // A command that was cut off is repeated by the store, which knows whether it may be.
            max_command_attempts: 1,
            unresponsive: UnresponsiveConfig {
                max_timeout: Some(self.unresponsive_after),
                interval: (self.unresponsive_after / 4).max(Duration::from_millis(50)),
            },
            reconnect_on_auth_error: true,
            reconnect_errors: vec![
                ReconnectError::ClusterDown,
                ReconnectError::Loading,
                ReconnectError::MasterDown,
                ReconnectError::ReadOnly,
            ],
            ..ConnectionConfig::default()
        });
        Ok(builder)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("address", &self.address())
            .field("prefix", &self.prefix)
            .field("limits", &self.limits)
            .field("connections", &self.connections)
            .field("command_timeout", &self.command_timeout)
            .finish_non_exhaustive()
    }
}

fn addresses(config: &Config) -> String {
    let hosts = config.server.hosts();
    let hosts: Vec<_> = hosts.iter().map(|server| format!("{}:{}", server.host, server.port)).collect();
    hosts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_kinds_of_urls_are_taken() {
        for scheme in SCHEMES {
            let url = format!("{scheme}://127.0.0.1:6379?sentinelServiceName=m");
            let config = RedisConfig::new(url).parse().expect(scheme);
            assert_eq!(
                config.tls.is_some(),
                scheme.starts_with("rediss") || scheme.starts_with("valkeys"),
                "{scheme}"
            );
        }
        for url in ["tls://h:1", "http://h:1", "redis:h:1", "foo", "", "REDISS://h:1"] {
            let error = RedisConfig::new(url).check().expect_err(url);
            assert_eq!(error.kind(), StoreErrorKind::Invalid);
            assert!(error.to_string().contains("rediss:// for TLS"), "{error}");
        }
    }
}
