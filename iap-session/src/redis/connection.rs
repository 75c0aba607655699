//! Commands to Redis, and what their failures mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fred::error::Error;
use fred::interfaces::{ClientLike, ClusterInterface};
use fred::types::config::{Options, Server};
use fred::types::scripts::Script;
use fred::types::{ClusterHash, CustomCommand, FromValue, Value};
use fred::util::redis_keyslot;

use crate::error::{StoreError, StoreErrorKind};
use crate::record::millis;

use super::args::Args;
use super::asking::Asking;
use super::config::RedisConfig;
use super::durable::Durable;
use super::failure::{self, Effect, not_connected};
use super::measure::{Traffic, Whom};
use super::pool::Pool;
use super::replicas::{Replica, Replicas};
use super::tracking::Tracking;

pub(super) struct Connection {
    pub(super) pool: Pool,
    pub(super) asking: Asking,
    pub(super) durable: Option<Durable>,
    pub(super) tracking: Option<Tracking>,
    pub(super) replicas: Option<Replicas>,
    pub(super) command_timeout: Duration,
    traffic: Traffic,
    address: Arc<str>,
    /// From here on time is counted: by a clock that nobody sets, whatever the system's shows.
    began: Instant,
    /// What the server's clock showed then, in Unix microseconds.
    began_us: AtomicU64,
}

/// The reads of one load: whom they ask, and whether the server tells of changes to all they have seen.
pub(super) struct Reads {
    watched: AtomicBool,
    replica: Option<Arc<Replica>>,
}

impl Reads {
    /// Reads whose answers are not kept.
    pub(super) fn plain() -> Self {
        Self { watched: false.into(), replica: None }
    }

    pub(super) fn watched() -> Self {
        Self { watched: true.into(), replica: None }
    }

    /// Reads of a replica: what they do not find may be there.
    pub(super) fn of(replica: Arc<Replica>) -> Self {
        Self { watched: false.into(), replica: Some(replica) }
    }

    pub(super) fn are_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    pub(super) fn are_of_primary(&self) -> bool {
        self.replica.is_none()
    }

    fn lose(&self) {
        self.watched.store(false, Ordering::Relaxed);
    }
}

/// One command on its way.
pub(super) struct Request {
    pub(super) name: &'static str,
    pub(super) command: CustomCommand,
    pub(super) args: Vec<Value>,
    pub(super) slot: Option<u16>,
    /// Whether replicas have to confirm it, where they have to confirm anything.
    pub(super) confirmed: bool,
}

impl Request {
    pub(super) fn new(name: &'static str, args: Vec<Value>, slot: Option<u16>) -> Self {
        let command = CustomCommand::new_static(name, ClusterHash::Random, false);
        Self { name, command, args, slot, confirmed: false }
    }
}

impl Connection {
    pub(super) async fn open(config: &RedisConfig) -> Result<Self, StoreError> {
        let address: Arc<str> = config.address().into();
        let waits = (config.connect_timeout, config.unresponsive_after);
        let size = config.connections.clamp(1, 64);
        let failed = |error: Error| {
            let text = format!("cannot connect to Redis at {address}: {error}");
            StoreError::new(StoreErrorKind::Unavailable, text)
        };
        let pool = Pool::open(config.builder()?, size, waits, Box::new(|_| None)).await.map_err(failed)?;
        let durable = Durable::open(config).await.map_err(failed)?;
        let tracking = Tracking::open(config).await.map_err(failed)?;
        let replicas = Replicas::open(config).await.map_err(failed)?;
        let connection = Self {
            pool,
            asking: Asking::default(),
            durable,
            tracking,
            replicas,
            command_timeout: config.command_timeout,
            traffic: Traffic::new(),
            address,
            began: Instant::now(),
            began_us: AtomicU64::new(0),
        };
        let time: Vec<u64> = connection.command("TIME", ClusterHash::Random, vec![], Effect::Read).await?;
        if let [seconds, micros] = time[..] {
            connection.observe(seconds * 1000 + micros / 1000);
        }
        Ok(connection)
    }

    /// The server's time, by the last reply that told it. Never ahead of it: what has ended by this has ended for the server.
    pub(super) fn now_ms(&self) -> u64 {
        self.began_us.load(Ordering::Relaxed).saturating_add(self.elapsed_us()) / 1_000
    }

    /// Notes what the server's clock showed just now.
    pub(super) fn observe(&self, server_ms: u64) {
        // Ours is rounded up: what is left over of the two clocks would add up to one, of milliseconds more than of these.
        let began_us = server_ms.saturating_mul(1_000).saturating_sub(self.elapsed_us() + 1);
        self.began_us.store(began_us, Ordering::Relaxed);
    }

    fn elapsed_us(&self) -> u64 {
        self.began.elapsed().as_micros().try_into().unwrap_or(u64::MAX - 1)
    }

    /// Runs a script on one key. The reply is a list of texts and never empty. With strong consistency,
    /// replicas have confirmed what it did.
    ///
    /// A lost reply is answered by one repetition with the same arguments: scripts recognise it.
    pub(super) async fn script(
        &self,
        script: &Script,
        key: &str,
        args: impl Into<Args>,
    ) -> Result<Vec<String>, StoreError> {
        self.run_in_time(script, key, args.into(), true).await
    }

    /// The same for what may be lost: replicas are not waited for.
    pub(super) async fn script_unconfirmed(
        &self,
        script: &Script,
        key: &str,
        args: impl Into<Args>,
    ) -> Result<Vec<String>, StoreError> {
        self.run_in_time(script, key, args.into(), false).await
    }

    async fn run_in_time(
        &self,
        script: &Script,
        key: &str,
        mut args: Args,
        confirmed: bool,
    ) -> Result<Vec<String>, StoreError> {
        for _ in 0..2 {
            let reply = self.run(script, key, &mut args, confirmed).await?;
            match (reply[0].as_str(), reply.get(1).and_then(|now_ms| now_ms.parse().ok())) {
                // Another server has taken over, whose clock shows something else.
                ("late", Some(now_ms)) => self.observe(now_ms),
                _ => return Ok(reply),
            }
        }
        Err(StoreError::new(StoreErrorKind::Unavailable, "the write came too late to the server"))
    }

    async fn run(
        &self,
        script: &Script,
        key: &str,
        args: &mut Args,
        confirmed: bool,
    ) -> Result<Vec<String>, StoreError> {
        // As long as an attempt is waited for.
        let wait = self.durable.as_ref().filter(|_| confirmed).map_or(Duration::ZERO, |all| all.quorum.wait);
        let patience_ms = millis(self.command_timeout + wait);
        let first = args.until(self.now_ms().saturating_add(patience_ms));
        match self.script_once(script, key, first, confirmed).await {
            Err(error) if error.kind() == StoreErrorKind::Ambiguous => {
                let again = args.until(self.now_ms().saturating_add(patience_ms));
                self.script_once(script, key, again, confirmed).await.map_err(|again| match again.kind() {
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
        let slot = slot.hash(&args);
        let reply = self.send(&Request::new(name, args, slot)).await;
        reply.and_then(Value::convert).map_err(|error| self.explain(error, effect))
    }

    /// Reads something under one key, and notes in `reads` whether the server tells when it changes.
    pub(super) async fn read<T: FromValue>(
        &self,
        reads: &Reads,
        name: &'static str,
        args: Vec<Value>,
    ) -> Result<T, StoreError> {
        let request = Request::new(name, args, None);
        let request = Request { slot: ClusterHash::FirstKey.hash(&request.args), ..request };
        if let Some(replica) = &reads.replica {
            let sent = self.traffic.send(&request, Whom::Replica);
            let reply = replica.read(&request).await;
            sent.received(reply.as_ref());
            return reply.and_then(Value::convert).map_err(|error| self.explain(error, Effect::Read));
        }
        if let (Some(tracking), true) = (&self.tracking, reads.are_watched()) {
            let sent = self.traffic.send(&request, Whom::Watching);
            let answer = tracking.read(&request).await;
            sent.received(answer.as_ref().map(|(reply, _)| reply));
            match answer {
                Ok((reply, watched)) => {
                    if !watched {
                        reads.lose();
                    }
                    return reply.convert().map_err(|error| self.explain(error, Effect::Read));
                }
                // Another connection may know the way.
                Err(_) => reads.lose(),
            }
        }
        let reply = self.send(&request).await;
        reply.and_then(Value::convert).map_err(|error| self.explain(error, Effect::Read))
    }

    /// The same, to one node of a cluster.
    pub(super) async fn command_at<T: FromValue>(
        &self,
        node: &Server,
        name: &'static str,
        args: Vec<Value>,
    ) -> Result<T, StoreError> {
        let cluster_node = self.pool.is_cluster().then(|| node.clone());
        let options = Options { cluster_node, ..fail_fast() };
        let reply = self.send_once(&Request::new(name, args, None), &options).await;
        reply.and_then(Value::convert).map_err(|error| self.explain(error, Effect::Read))
    }

    /// Sends a request, to wherever its slot is in a cluster.
    async fn send(&self, request: &Request) -> Result<Value, Error> {
        match self.send_once(request, &fail_fast()).await {
            Err(error) if self.pool.is_cluster() && failure::is_redirected(&error) => {
                self.follow(request).await
            }
            other => other,
        }
    }

    /// Sends a request by a connection that stands.
    pub(super) async fn send_once(&self, request: &Request, options: &Options) -> Result<Value, Error> {
        let sent = self.traffic.send(request, Whom::Primary);
        let result = self.send_over(request, options).await;
        sent.received(result.as_ref());
        result
    }

    async fn send_over(&self, request: &Request, options: &Options) -> Result<Value, Error> {
        if let Some(durable) = self.durable.as_ref().filter(|_| request.confirmed) {
            return durable.send(request).await;
        }
        let lease = self.pool.lease().ok_or_else(not_connected)?;
        let begun = Instant::now();
        // The hash of a custom command is passed over by fred, which takes the first argument for the key:
        // of a script that is its digest, and each call would be answered by MOVED.
        let options = Options { cluster_hash: request.slot.map(ClusterHash::Custom), ..options.clone() };
        let client = lease.client().with_options(&options);
        let result = client.custom::<Value, Value>(request.command.clone(), request.args.clone()).await;
        lease.ended(begun, request.slot, &result);
        result
    }

    /// The servers that hold keys, in a stable order. One of a cluster that is not connected is among
    /// them: it has to fail what is asked of all.
    pub(super) fn nodes(&self) -> Result<Vec<Server>, StoreError> {
        let lease = self.pool.lease().ok_or_else(|| self.away())?;
        let client = lease.client();
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

    /// The most commands that were under way at once since this was asked last.
    pub(super) fn most_in_flight(&self) -> u64 {
        self.traffic.most_under_way()
    }

    /// Says good-bye to the server.
    pub(super) async fn close(&self) {
        self.pool.close().await;
        if let Some(durable) = &self.durable {
            durable.close().await;
        }
        if let Some(tracking) = &self.tracking {
            tracking.close().await;
        }
        if let Some(replicas) = &self.replicas {
            replicas.close().await;
        }
    }

    fn away(&self) -> StoreError {
        self.explain(not_connected(), Effect::Read)
    }

    async fn script_once(
        &self,
        script: &Script,
        key: &str,
        args: &[Value],
        confirmed: bool,
    ) -> Result<Vec<String>, StoreError> {
        let call = async |name: &'static str, what: Value| {
            let mut all = vec![what, 1.into(), key.into()];
            all.extend_from_slice(args);
            // As custom commands they are pipelined, which fred does not do for its own EVALSHA.
            let request = Request::new(name, all, Some(redis_keyslot(key.as_bytes())));
            self.send(&Request { confirmed, ..request }).await
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
        failure::explain(&self.address, error, effect)
    }
}

/// A command that meets a broken connection fails, rather than wait for the next one.
pub(super) fn fail_fast() -> Options {
    Options { fail_fast: true, ..Options::default() }
}
