//! Sessions in Redis or Valkey, shared by all gateways of a cluster.
//!
//! A session is one hash, `<prefix>:s:<session key>`; the sessions of a user are another one,
//! `<prefix>:u:<keyed hash of the name>`. Every write is one script on one key. All keys carry a
//! time to live, and deadlines are checked again when a session is read, on the server's clock.
//!
//! A login is decided by the script on the user's index. A session counts as logged in only while
//! its handle stands there, so an evicted one is refused from that moment on, whether or not it
//! could be marked as ended, too.
//!
//! A rotation reads the session, writes it under a new key with a short life, then swaps the old
//! hash for a pointer, if the version has not moved, and gives the new one its full life. A crash
//! between the steps leaves one id that works; the copy nobody knows is gone within a minute.
//!
//! A session of another system is taken over by one script on one key, which keeps until long after the
//! session that it was: there is no step at which a gateway could die and lose it, or another one take it again.
//!
//! Reads go to primaries, but for those of sessions that this process knows where replicas may answer them
//! ([`ReplicaReads`]). A lost reply to a write is followed by one repetition with the same
//! operation id, then by [`Ambiguous`](crate::StoreErrorKind::Ambiguous). Redis replicates
//! asynchronously: a failover may lose the last acknowledged writes, unless [`Consistency`] is strong.

mod args;
mod asking;
mod audience;
mod claim;
mod codec;
mod config;
mod connection;
mod create;
mod durable;
mod events;
mod failure;
mod import;
mod info;
mod load;
mod login;
mod measure;
mod pool;
pub(crate) mod reader;
mod replicas;
mod rotate;
mod scan;
mod scripts;
mod tracking;
mod url;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fred::types::Value;

use crate::error::{StoreError, StoreErrorKind};
use crate::events::Emitter;
use crate::id::{SessionIds, SessionKey};
use crate::limits::Limits;
use crate::metrics::describe_metrics;
use crate::record::{Created, Loaded, Op, Record};
use crate::store::{
    BoxFuture, ChangeListener, Pressure, ScanPage, ScanQuery, SessionStore, StoreStats, Watched,
};
use crate::write::{Commit, Imported, NewSession, Reason, Rotation};

use args::Args;
use codec::{Stored, corrupt, encode_value};
use connection::{Connection, Reads};
use measure::{Op as Timed, RedisMetrics};

pub use config::{Consistency, Credentials, RedisConfig, RedisTls, ReplicaReads};

/// A store in Redis. See the [module page](self).
pub struct RedisStore {
    ids: SessionIds,
    limits: Limits,
    prefix: String,
    connection: Connection,
    events: Option<Emitter>,
    metrics: RedisMetrics,
}

/// Whether replicas are waited for, with strong consistency.
#[derive(Clone, Copy)]
enum Replicas {
    Confirm,
    Any,
}

/// A chain of rotations within one grace that is longer than this leads nowhere.
const MAX_HOPS: usize = 4;

impl RedisStore {
    /// Connects to Redis and waits until it answers.
    ///
    /// # Errors
    ///
    /// `Invalid` for a wrong configuration; `Unavailable`, with the address, if no connection can
    /// be made. After that, lost connections are made anew in the background without end.
    pub async fn connect(ids: SessionIds, config: RedisConfig) -> Result<Self, StoreError> {
        describe_metrics();
        let connection = Connection::open(&config).await?;
        let RedisConfig { limits, prefix, events, .. } = config;
        Ok(Self { ids, limits, prefix, connection, events, metrics: RedisMetrics::new() })
    }

    /// Closes the connections; every call after it fails as unavailable.
    pub async fn close(&self) {
        self.connection.close().await;
    }

    fn session_key(&self, key: &SessionKey) -> String {
        format!("{}:s:{key}", self.prefix)
    }

    fn user_key(&self, user: &str) -> String {
        format!("{}:u:{}", self.prefix, self.ids.user_key(user))
    }

    /// What stands under one key; `None` if nothing, or if its time is over.
    async fn read(&self, reads: &Reads, key: SessionKey) -> Result<Option<Stored>, StoreError> {
        let args = vec![self.session_key(&key).into()];
        let hash: codec::Hash = self.connection.read(reads, "HGETALL", args).await?;
        if hash.is_empty() {
            return Ok(None);
        }
        let now_ms = self.connection.now_ms();
        match codec::decode(key, &hash, now_ms)? {
            Stored::Taken => Ok(None),
            Stored::Live(record) if record.is_expired(now_ms) => {
                if reads.are_of_primary() {
                    self.clear(&record).await;
                }
                Ok(None)
            }
            stored => Ok(Some(stored)),
        }
    }

    /// The live session that `key` leads to.
    async fn find(&self, reads: &Reads, key: SessionKey) -> Result<Option<Record>, StoreError> {
        let mut key = key;
        for _ in 0..MAX_HOPS {
            match self.read(reads, key).await? {
                None => return Ok(None),
                Some(Stored::Live(record)) => return Ok(Some(*record)),
                Some(Stored::Ended(reason)) => return Err(StoreError::revoked(reason)),
                Some(Stored::Rotated(next)) => key = next,
                Some(Stored::Taken) => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn commit_now(&self, key: SessionKey, commit: Commit) -> Result<u64, StoreError> {
        let mut changes = BTreeMap::new();
        let mut tests = Vec::new();
        for op in &commit.ops {
            match op {
                Op::Set(name, value) => {
                    self.limits.check_attribute(name, value)?;
                    changes.insert(name.as_str(), Some(encode_value(value)));
                }
                Op::Remove(name) => {
                    changes.insert(name.as_str(), None);
                }
                Op::Test(name, Some(value)) => tests.push(("t", name.as_str(), encode_value(value))),
                Op::Test(name, None) => tests.push(("n", name.as_str(), String::new())),
            }
        }
        let mut args: Vec<Value> = vec![
            commit.op.to_string().into(),
            commit.expected.map(|version| version.to_string()).unwrap_or_default().into(),
            if commit.logout { "1" } else { "0" }.into(),
            self.limits.attributes.to_string().into(),
            self.limits.session_bytes.to_string().into(),
            // Until when: told for each attempt.
            "0".into(),
        ];
        let deadline = args.len() - 1;
        let changes = changes.into_iter().map(|(name, value)| {
            let kind = if value.is_some() { "s" } else { "d" };
            (kind, name, value.unwrap_or_default())
        });
        for (kind, name, value) in tests.into_iter().chain(changes) {
            args.extend([kind.into(), name.into(), value.into()]);
        }
        let args = Args::in_time(args, deadline);
        let (key, reply) = self.on_session(&scripts::COMMIT_SCRIPT, key, args, Replicas::Confirm).await?;
        self.note_time(reply.get(2));
        if let (Some(user), Some(handle)) = (reply.get(3), reply.get(4))
            && !handle.is_empty()
        {
            // The session is logged out already; a place that stays behind runs out by itself.
            let _ = self.release(user, handle).await;
        }
        let version = reply.get(1).and_then(|version| version.parse().ok());
        let version = version.ok_or_else(|| corrupt("a script gave no version"))?;
        self.seen(key, version);
        Ok(version)
    }

    async fn revoke_now(&self, key: SessionKey, reason: Reason) -> Result<bool, StoreError> {
        let args = vec![reason.as_str().into()];
        let (key, reply) = match self.on_session(&scripts::REVOKE_SCRIPT, key, args, Replicas::Confirm).await
        {
            Ok(done) => done,
            Err(error) if matches!(error.kind(), StoreErrorKind::Gone | StoreErrorKind::Revoked) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        self.ended(key);
        if reply[0] == "ended" {
            return Ok(false);
        }
        if let (Some(user), Some(handle)) = (reply.get(1), reply.get(2))
            && !handle.is_empty()
        {
            let _ = self.release(user, handle).await;
        }
        Ok(true)
    }

    /// Runs a script on the session that `key` leads to, and reads its word. The answer says which session it was.
    async fn on_session(
        &self,
        script: &fred::types::scripts::Script,
        key: SessionKey,
        args: impl Into<Args>,
        replicas: Replicas,
    ) -> Result<(SessionKey, Vec<String>), StoreError> {
        let (mut key, args) = (key, args.into());
        for _ in 0..MAX_HOPS {
            let (name, args) = (self.session_key(&key), args.clone());
            let reply = match replicas {
                Replicas::Confirm => self.connection.script(script, &name, args).await?,
                Replicas::Any => self.connection.script_unconfirmed(script, &name, args).await?,
            };
            match reply[0].as_str() {
                "ok" | "ended" => return Ok((key, reply)),
                "gone" => return Err(StoreError::gone()),
                "corrupt" => return Err(corrupt("the session's fields are not complete")),
                "conflict" => {
                    return Err(StoreError::new(
                        StoreErrorKind::Conflict,
                        "the session was changed meanwhile",
                    ));
                }
                "large" => {
                    let text = "the session would exceed its limits of bytes or attributes";
                    return Err(StoreError::new(StoreErrorKind::TooLarge, text));
                }
                state => match codec::decode_state(state)? {
                    Stored::Rotated(next) => key = next,
                    Stored::Ended(reason) => return Err(StoreError::revoked(reason)),
                    Stored::Live(_) | Stored::Taken => {
                        return Err(corrupt("a script gave an unknown answer"));
                    }
                },
            }
        }
        Err(StoreError::gone())
    }

    fn note_time(&self, reply: Option<&String>) {
        if let Some(now_ms) = reply.and_then(|text| text.parse().ok()) {
            self.connection.observe(now_ms);
        }
    }
}

impl SessionStore for RedisStore {
    fn ids(&self) -> &SessionIds {
        &self.ids
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            let created = self.metrics.timed(Timed::Create, self.create_now(new)).await?;
            self.seen(created.record.key, created.record.version);
            Ok(created)
        })
    }

    fn load(&self, key: SessionKey, known: Option<u64>) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        let load = async move { self.load_anywhere(key, known).await };
        Box::pin(self.metrics.timed(Timed::Load, load))
    }

    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        if let Some(tracking) = &self.connection.tracking {
            tracking.listen(listener);
        }
    }

    /// Without tracking nothing may be kept: nobody would tell.
    fn load_watched(
        &self,
        key: SessionKey,
        known: Option<u64>,
    ) -> BoxFuture<'_, Result<Watched, StoreError>> {
        Box::pin(async move {
            let tracked = self.connection.tracking.is_some();
            let reads = if tracked { Reads::watched() } else { Reads::plain() };
            let loaded = self.metrics.timed(Timed::Load, self.load_now(&reads, key, known)).await?;
            Ok(Watched { loaded, watched: reads.are_watched() })
        })
    }

    fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let committed = self.metrics.timed(Timed::Commit, self.commit_now(key, commit)).await;
            committed.inspect_err(|_| self.unseen(&key))
        })
    }

    fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let touch = self.on_session(&scripts::TOUCH_SCRIPT, key, vec![], Replicas::Any);
            let (_, reply) = self.metrics.timed(Timed::Touch, touch).await?;
            self.note_time(reply.get(1));
            Ok(())
        })
    }

    fn rotate(&self, key: SessionKey, rotation: Rotation) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            let rotated = self.metrics.timed(Timed::Rotate, self.rotate_now(key, rotation)).await?;
            self.ended(key);
            self.seen(rotated.record.key, rotated.record.version);
            Ok(rotated)
        })
    }

    fn revoke(&self, key: SessionKey, reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.metrics.timed(Timed::Revoke, self.revoke_now(key, reason)))
    }

    fn import(&self, key: SessionKey, imported: Imported) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.import_now(key, imported))
    }

    fn settle(&self, key: SessionKey, grace: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.settle_now(key, grace))
    }

    fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>> {
        Box::pin(self.metrics.timed(Timed::Scan, self.scan_now(query)))
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        Box::pin(self.stats_now())
    }

    fn pressure(&self) -> BoxFuture<'_, Result<Pressure, StoreError>> {
        Box::pin(self.pressure_now())
    }
}

#[cfg(test)]
mod tests;
