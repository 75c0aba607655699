//! Commands to Redis, and what their failures mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fred::clients::{Client, Pool};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, ClusterInterface};
use fred::types::config::{Options, Server};
use fred::types::scripts::Script;
use fred::types::{ClientState, ClusterHash, CustomCommand, FromValue, Value};
use iap_core::{Clock, SystemClock};
use tokio::time::timeout;

use crate::error::{StoreError, StoreErrorKind};

use super::config::RedisConfig;

/// Whether a command changes anything: if so, a lost reply leaves its effect unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Read,
    Write,
}

pub(super) struct Connection {
    pool: Pool,
    address: Arc<str>,
    /// The server's clock minus ours, in milliseconds.
    skew_ms: AtomicI64,
}

impl Connection {
    pub(super) async fn open(config: &RedisConfig) -> Result<Self, StoreError> {
        let address: Arc<str> = config.address().into();
        let invalid = |error: Error| {
            StoreError::new(StoreErrorKind::Invalid, "the Redis configuration is not valid")
                .with_source(error)
        };
        let pool = config.builder()?.build_pool(config.connections.clamp(1, 64)).map_err(invalid)?;
        let failed = |cause: String| {
            let text = format!("cannot connect to Redis at {address}: {cause}");
            StoreError::new(StoreErrorKind::Unavailable, text)
        };
        match timeout(config.connect_timeout, pool.init()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let _ = pool.quit().await;
                return Err(failed(error.to_string()));
            }
            Err(_) => {
                let _ = pool.quit().await;
                return Err(failed(format!("no answer within {:?}", config.connect_timeout)));
            }
        }
        let connection = Self { pool, address, skew_ms: AtomicI64::new(0) };
        let time: Vec<u64> = connection.command("TIME", ClusterHash::Random, vec![], Effect::Read).await?;
        if let [seconds, micros] = time[..] {
            connection.observe(seconds * 1000 + micros / 1000);
        }
        Ok(connection)
    }

    /// The server's time, by the last reply that told it.
    pub(super) fn now_ms(&self) -> u64 {
        SystemClock.now_ms().saturating_add_signed(self.skew_ms.load(Ordering::Relaxed))
    }

    /// Notes what the server's clock showed just now.
    pub(super) fn observe(&self, server_ms: u64) {
        let skew = server_ms as i64 - SystemClock.now_ms() as i64;
        self.skew_ms.store(skew, Ordering::Relaxed);
    }

    /// Runs a script on one key. The reply is a list of texts and never empty.
    ///
    /// A lost reply is answered by one repetition with the same arguments: scripts recognise it.
    pub(super) async fn script(
        &self,
        script: &Script,
        key: &str,
        args: Vec<Value>,
    ) -> Result<Vec<String>, StoreError> {
        match self.script_once(script, key, &args).await {
            Err(error) if error.kind() == StoreErrorKind::Ambiguous => {
                self.script_once(script, key, &args).await.map_err(|again| match again.kind() {
                    // Whatever the second answer was, the first one may have taken effect.
                    StoreErrorKind::Unavailable => error,
                    _ => again,
                })
            }
            other => other,
        }
    }

    /// Runs a command whose key, if any, is hashed as `slot` says.
    pub(super) async fn command<T: FromValue>(
        &self,
        name: &'static str,
        slot: ClusterHash,
        args: Vec<Value>,
        effect: Effect,
    ) -> Result<T, StoreError> {
        let client = self.client()?;
        let command = CustomCommand::new_static(name, slot, false);
        let reply: Result<Value, Error> = client.with_options(&fail_fast()).custom(command, args).await;
        reply.and_then(Value::convert).map_err(|error| self.explain(error, effect))
    }

    /// The same, to one node of a cluster.
    pub(super) async fn command_at<T: FromValue>(
        &self,
        node: &Server,
        name: &'static str,
        args: Vec<Value>,
    ) -> Result<T, StoreError> {
        let client = self.client()?;
        let cluster_node = client.is_clustered().then(|| node.clone());
        let client = client.with_options(&Options { cluster_node, ..fail_fast() });
        let command = CustomCommand::new_static(name, ClusterHash::Random, false);
        let reply: Result<Value, Error> = client.custom(command, args).await;
        reply.and_then(Value::convert).map_err(|error| self.explain(error, Effect::Read))
    }

    /// The servers that hold keys, in a stable order. One of a cluster that is not connected is among
    /// them: it has to fail what is asked of all.
    pub(super) fn nodes(&self) -> Result<Vec<Server>, StoreError> {
        let client = self.client()?;
        let mut nodes = match client.is_clustered() {
            true => {
                client.cached_cluster_state().map(|state| state.unique_primary_nodes()).unwrap_or_default()
            }
            false => client.active_connections(),
        };
        nodes.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
        nodes.dedup();
        if nodes.is_empty() {
            // Nobody to ask is not "no sessions".
            return Err(self.away());
        }
        Ok(nodes)
    }

    /// Says good-bye to the server.
    pub(super) async fn close(&self) {
        let _ = self.pool.quit().await;
    }

    /// Leaves the connections to a background task to close.
    pub(super) fn abandon(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let pool = self.pool.clone();
            runtime.spawn(async move { pool.quit().await });
        }
    }

    /// A connection that stands. While the server is away requests fail at once rather than fill
    /// the queue of commands that wait for it.
    fn client(&self) -> Result<&Client, StoreError> {
        let client = self.pool.next();
        if client.state() == ClientState::Connected {
            return Ok(client);
        }
        Err(self.away())
    }

    fn away(&self) -> StoreError {
        StoreError::new(StoreErrorKind::Unavailable, format!("Redis at {} is not connected", self.address))
    }

    async fn script_once(
        &self,
        script: &Script,
        key: &str,
        args: &[Value],
    ) -> Result<Vec<String>, StoreError> {
        let client = self.client()?.with_options(&fail_fast());
        let call = |name: &'static str, what: Value| {
            let mut all = vec![what, 1.into(), key.into()];
            all.extend_from_slice(args);
            // As custom commands they are pipelined, which fred does not do for its own EVALSHA.
            let command = CustomCommand::new_static(name, ClusterHash::Offset(2), false);
            client.custom::<Value, Value>(command, all)
        };
        let mut reply = call("EVALSHA", script.sha1().clone().into()).await;
        if matches!(&reply, Err(error) if error.details().starts_with("NOSCRIPT")) {
            let source = script.lua().cloned().unwrap_or_default();
            reply = call("EVAL", source.into()).await;
        }
        let reply = reply.map_err(|error| self.explain(error, Effect::Write))?;
        let words: Vec<String> = reply.convert().map_err(|error| self.explain(error, Effect::Read))?;
        if words.is_empty() {
            return Err(super::codec::corrupt("a script gave no answer"));
        }
        Ok(words)
    }

    fn explain(&self, error: Error, effect: Effect) -> StoreError {
        let details = error.details();
        let says = |prefixes: &[&str]| prefixes.iter().any(|prefix| details.starts_with(prefix));
        let (kind, text) = if says(&["WRONGTYPE"]) {
            (StoreErrorKind::Corrupt, "another kind of value stands under the key")
        } else if says(&REFUSALS) {
            (StoreErrorKind::Unavailable, "the server does not take commands at the moment")
        } else if says(&["NOAUTH", "WRONGPASS", "NOPERM", "ERR The user executing the script"])
            || *error.kind() == ErrorKind::Auth
        {
            (StoreErrorKind::Unavailable, "the server does not let us in")
        } else if *error.kind() == ErrorKind::Backpressure {
            (StoreErrorKind::Unavailable, "too many commands are waiting")
        } else if matches!(error.kind(), ErrorKind::Parse | ErrorKind::Protocol | ErrorKind::NotFound)
            || says(&["ERR"])
        {
            (StoreErrorKind::Corrupt, "the server's answer is not what was asked for")
        } else if effect == Effect::Write {
            (StoreErrorKind::Ambiguous, "no reply came")
        } else {
            (StoreErrorKind::Unavailable, "no reply came")
        };
        StoreError::new(kind, format!("Redis at {}: {text}", self.address)).with_source(error)
    }
}

/// Errors by which a server has refused a command before it did anything.
const REFUSALS: [&str; 11] = [
    "OOM",
    "MISCONF",
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOREPLICAS",
    "BUSY",
    "TRYAGAIN",
    "MOVED",
    "ASK",
];

/// A command that meets a broken connection fails, rather than wait for the next one.
fn fail_fast() -> Options {
    Options { fail_fast: true, ..Options::default() }
}
