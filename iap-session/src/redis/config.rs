//! How a Redis store is set up.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fred::error::{Error, ErrorKind};
use fred::types::Builder;
use fred::types::config::{
    ConnectionConfig, PerformanceConfig, ReconnectError, ReconnectPolicy, TcpConfig, UnresponsiveConfig,
};
use iap_core::upstream::{UpstreamTls, UpstreamTlsSettings};

use crate::error::{StoreError, StoreErrorKind};
use crate::events::Emitter;
use crate::limits::Limits;

use super::url::{self, Place};

/// Where the sessions are, who we are there, and how long to wait for an answer.
///
/// The URL says which kind of Redis it is:
///
/// | URL | what it is |
/// |---|---|
/// | `redis://host:6379/0` | one server; the path is the number of a database |
/// | `unix:///run/redis.sock?db=0` | one server at a Unix socket; `redis+unix://` is the same |
/// | `redis-sentinel://host:26379/0?sentinelServiceName=name` | a primary that Sentinel knows |
/// | `redis-cluster://host:6379` | a cluster |
///
/// `rediss`, `rediss-sentinel` and `rediss-cluster` mean TLS, `valkey` stands for `redis` everywhere.
/// Further nodes follow as `&node=host:port`. A user and a password may stand before the host; the
/// fields here win over them. `Debug` and errors show the addresses only.
#[derive(Clone)]
pub struct RedisConfig {
    /// The URL.
    pub url: String,
    /// The ACL user.
    pub username: Option<String>,
    /// The password, of the ACL user or of `requirepass`.
    pub password: Option<String>,
    /// User and password for the Sentinels; they are not told those of the server.
    pub sentinel: Option<Credentials>,
    /// Whom to trust over TLS, and who we are; `None` trusts the authorities of the system.
    pub tls: Option<RedisTls>,
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
    /// When a write counts as done.
    pub consistency: Consistency,
    /// Lets the server remember what was read and tell of changes, for a
    /// [`NearCache`](crate::NearCache): one more connection. Default off.
    pub tracking: bool,
    /// Lets replicas answer reads, if given. Not together with `tracking`, whose reads cost less still, with
    /// strong consistency, or in a cluster, whose masters share the reads anyway. Default `None`.
    pub replica_reads: Option<ReplicaReads>,
    /// Tells those who listen which sessions give way to newer logins, if anybody does.
    pub events: Option<Emitter>,
}

/// A lag below it is lost in the time that asking takes.
const SHORTEST_LAG: Duration = Duration::from_millis(50);

/// When a write counts as done. Reads go to primaries either way, but for [`ReplicaReads`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// When the primary has it. A failover loses what was not replicated yet.
    #[default]
    Eventual,
    /// When replicas have confirmed it, too (`WAIT`). A write that the primary has done and too few have
    /// confirmed is [`NotDurable`](crate::StoreErrorKind::NotDurable). Touches are not waited for.
    ///
    /// With as many confirmations as there are replicas, any of them may take over; with fewer it has to
    /// be the most advanced one, which Sentinel and cluster prefer. `WAIT` is no consensus: a primary that
    /// is cut off goes on until it is told, so set `min-replicas-to-write` on the servers as well.
    Strong {
        /// How many replicas have to confirm a write.
        replicas: u32,
        /// How long they may take.
        wait: Duration,
        /// Connections for these writes, each for one at a time; 1 to 64.
        connections: usize,
    },
}

impl Consistency {
    /// One replica within 500 milliseconds, 8 connections.
    pub const STRONG: Self = Self::Strong { replicas: 1, wait: Duration::from_millis(500), connections: 8 };
}

/// Reads that replicas answer. The primary is asked for sessions that this process has not met yet, and
/// wherever a replica has less than this process knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaReads {
    /// How old the data of a replica may be. What other processes have written, and whom they have logged
    /// out, is seen this much later at most; what this process has written is seen at once. Default two seconds.
    pub max_lag: Duration,
}

impl Default for ReplicaReads {
    fn default() -> Self {
        Self { max_lag: Duration::from_secs(2) }
    }
}

/// A name and a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The ACL user; `None` for a bare password.
    pub username: Option<String>,
    /// The password.
    pub password: String,
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// TLS to Redis. The name that is verified is the host of the URL, and of the nodes that a cluster
/// or a Sentinel names: an address, if they name addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// A PEM file with the authorities that are trusted. Default: those of the system.
    pub ca: Option<PathBuf>,
    /// PEM files with our certificate chain (leaf first) and its key, for servers that ask for one.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl RedisConfig {
    /// The defaults, with a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            username: None,
            password: None,
            sentinel: None,
            tls: None,
            prefix: "iap".to_owned(),
            limits: Limits::default(),
            connections: 4,
            command_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(5),
            max_queue: 10_000,
            unresponsive_after: Duration::from_secs(3),
            consistency: Consistency::Eventual,
            tracking: false,
            replica_reads: None,
            events: None,
        }
    }

    /// The addresses in the URL, without user and password.
    pub fn address(&self) -> String {
        self.place().map_or_else(|_| "(no valid address)".to_owned(), |place| place.addresses())
    }

    /// Checks the settings without connecting and without reading files.
    ///
    /// # Errors
    ///
    /// `Invalid` for another kind of URL than those above, so that a mistyped `rediss://` does not
    /// become a connection in plain text, and for settings that do not fit the URL.
    pub fn check(&self) -> Result<(), StoreError> {
        let prefix_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
        if self.prefix.is_empty() || self.prefix.len() > 32 || !self.prefix.chars().all(prefix_char) {
            return Err(invalid("the key prefix has 1 to 32 letters, digits, `:`, `-` or `_`"));
        }
        let place = self.place()?;
        if self.tls.is_some() && !place.tls {
            return Err(invalid("settings for TLS need a URL with TLS: rediss://"));
        }
        if self.username.is_some() && self.password.is_none() {
            return Err(invalid("a user name needs a password"));
        }
        if self.sentinel.is_some() && !place.config.server.is_sentinel() {
            return Err(invalid("credentials for Sentinel need a URL of redis-sentinel://"));
        }
        if matches!(self.consistency, Consistency::Strong { replicas: 0, .. }) {
            return Err(invalid("strong consistency needs at least one replica"));
        }
        if let Some(reads) = self.replica_reads {
            let conflict = [
                (reads.max_lag < SHORTEST_LAG, "a lag of less than 50 milliseconds cannot be measured"),
                (self.tracking, "reads of replicas and of a near cache exclude each other"),
                (
                    self.consistency != Consistency::Eventual,
                    "reads of replicas do not go with strong consistency",
                ),
                (
                    place.config.server.is_clustered(),
                    "a cluster has no reads of replicas: its masters share the reads",
                ),
            ];
            if let Some((_, text)) = conflict.into_iter().find(|(is, _)| *is) {
                return Err(invalid(text));
            }
        }
        Ok(())
    }

    fn place(&self) -> Result<Place, StoreError> {
        url::parse(&self.url)
    }

    /// What connections are made by.
    ///
    /// # Errors
    ///
    /// `Invalid`, also for files of certificates that cannot be read.
    pub(super) fn builder(&self) -> Result<Builder, StoreError> {
        self.check()?;
        let Place { mut config, tls } = self.place()?;
        // The first connection fails at once; later ones follow the reconnect policy.
        config.fail_fast = true;
        if let Some(password) = &self.password {
            config.username.clone_from(&self.username);
            config.password = Some(password.clone());
        }
        if let Some(credentials) = &self.sentinel {
            url::set_sentinel_credentials(&mut config, credentials);
        }
        if tls {
            let tls = self.tls.clone().unwrap_or_default();
            let settings =
                UpstreamTlsSettings { ca: tls.ca, client: tls.client, ..UpstreamTlsSettings::default() };
            let tls = UpstreamTls::load(&settings)
                .map_err(|error| invalid(format!("TLS to Redis: {error}")).with_source(error))?;
            let connector: fred::types::config::TlsConnector = (*tls.client_config()).clone().into();
            config.tls = Some(connector.into());
        }
        let mut builder = Builder::from_config(config);
        builder.set_policy(ReconnectPolicy::new_exponential(0, 100, 2000, 2));
        builder.set_performance_config(PerformanceConfig {
            default_command_timeout: self.command_timeout,
            ..PerformanceConfig::default()
        });
        builder.set_connection_config(self.connection());
        Ok(builder)
    }

    /// The same, for those that fail as connecting fails.
    pub(super) fn connector(&self) -> Result<Builder, Error> {
        self.builder().map_err(|error| Error::new(ErrorKind::Config, error.to_string()))
    }

    fn connection(&self) -> ConnectionConfig {
        ConnectionConfig {
            connection_timeout: self.connect_timeout,
            // What a new connection begins with. A server that hangs takes connections, too: it must
            // not hold up for long the way to the one that takes its place.
            internal_command_timeout: self.command_timeout.min(self.connect_timeout),
            max_command_buffer_len: self.max_queue.max(1),
            // A command that was cut off is repeated by the store, which knows whether it may be. What is
            // sent on is sent on by the store, too: see `asking`.
            max_command_attempts: 1,
            max_redirections: 0,
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
            tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
            ..ConnectionConfig::default()
        }
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

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, text)
}

#[cfg(test)]
mod tests;
