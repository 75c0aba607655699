//! Sessions in Redis.

use std::path::PathBuf;
use std::time::Duration;

use iap_session::{Consistency, RedisTls, ReplicaReads};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteSize, SecretRef, Span};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// When a write counts as done.
    #[serde(default)]
    pub(crate) consistency: ConsistencyConfig,
    /// What `consistency: strong` asks for.
    #[serde(default)]
    pub(crate) strong: StrongConfig,
    /// Reads in the process.
    #[serde(default)]
    pub(crate) near_cache: NearCacheConfig,
    /// Reads that replicas answer.
    #[serde(default)]
    pub(crate) replica_reads: ReplicaReadsConfig,
    /// When requests stop asking a store that is away.
    #[serde(default)]
    pub(crate) breaker: BreakerConfig,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConsistencyConfig {
    /// The primary has it.
    #[default]
    Eventual,
    /// Replicas have confirmed it.
    Strong,
}

/// How many replicas confirm a write, within what time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StrongConfig {
    pub(crate) replicas: u32,
    pub(crate) wait: Span,
    /// Connections for these writes, each for one at a time.
    pub(crate) connections: usize,
}

impl Default for StrongConfig {
    fn default() -> Self {
        Self { replicas: 1, wait: Span(Duration::from_millis(500)), connections: 8 }
    }
}

/// A cache of reads, which Redis tells of changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NearCacheConfig {
    pub(crate) enabled: bool,
    pub(crate) max_count: usize,
    pub(crate) max_memory: ByteSize,
    /// How long a read is believed whatever Redis tells or does not tell.
    pub(crate) max_staleness: Span,
}

impl Default for NearCacheConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            max_count: 10_000,
            max_memory: ByteSize(64 << 20),
            max_staleness: Span::seconds(2),
        }
    }
}

/// Reads that go to the replicas of one server or behind Sentinel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReplicaReadsConfig {
    pub(crate) enabled: bool,
    /// How old the data of a replica may be.
    pub(crate) max_lag: Span,
}

impl Default for ReplicaReadsConfig {
    fn default() -> Self {
        Self { enabled: false, max_lag: Span(ReplicaReads::default().max_lag) }
    }
}

/// When requests stop asking, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BreakerConfig {
    pub(crate) enabled: bool,
    /// Failures with no success between them ...
    pub(crate) failures: u32,
    /// ... for this long open it,
    pub(crate) after: Span,
    /// and after this long one request tries again.
    pub(crate) pause: Span,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { enabled: true, failures: 5, after: Span::seconds(1), pause: Span::seconds(1) }
    }
}

/// Whom to trust, and who we are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedisTlsConfig {
    /// Authorities, as PEM; those of the system when absent.
    pub(crate) ca: Option<PathBuf>,
    /// Our certificate and its key, for servers that ask for one.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl RedisTlsConfig {
    pub(super) fn settings(&self) -> RedisTls {
        let client = self.certificate.clone().zip(self.key.clone());
        RedisTls { ca: self.ca.clone(), client }
    }
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
        let tls = self.tls.as_ref().map(RedisTlsConfig::settings);
        let reads = &self.replica_reads;
        iap_session::RedisConfig {
            tls,
            prefix: self.prefix.clone(),
            connections: self.connections,
            command_timeout: self.timeout.0,
            consistency: match self.consistency {
                ConsistencyConfig::Eventual => Consistency::Eventual,
                ConsistencyConfig::Strong => Consistency::Strong {
                    replicas: self.strong.replicas,
                    wait: self.strong.wait.0,
                    connections: self.strong.connections,
                },
            },
            tracking: self.near_cache.enabled,
            replica_reads: reads.enabled.then_some(ReplicaReads { max_lag: reads.max_lag.0 }),
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
        if self.near_cache.enabled && self.consistency == ConsistencyConfig::Strong {
            return Err(
                "near_cache: its reads may be old, which does not go with `consistency: strong`".to_owned()
            );
        }
        if self.near_cache.max_count == 0 || self.near_cache.max_staleness.0.is_zero() {
            return Err("near_cache: to keep nothing write `enabled: false`".to_owned());
        }
        if self.strong.replicas == 0 || self.strong.wait.0.is_zero() {
            return Err("strong: at least one replica needs some time".to_owned());
        }
        if !(1..=64).contains(&self.strong.connections) {
            return Err("strong.connections: 1 to 64".to_owned());
        }
        if self.breaker.failures == 0 {
            return Err("breaker.failures: at least 1; `enabled: false` takes the breaker away".to_owned());
        }
        let plain = iap_session::RedisConfig { replica_reads: None, ..self.store() };
        plain.check().map_err(|error| format!("url: {error}"))?;
        self.store().check().map_err(|error| format!("replica_reads: {error}"))
    }
}

#[cfg(test)]
mod tests;
