//! The places of a user's sessions: one index for each user, where logins are decided.

use fred::types::{ClusterHash, Value};
use futures_util::future::join_all;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionKey;
use crate::record::Record;
use crate::write::{Login, Reason, WhenFull};

use super::codec::{self, corrupt};
use super::connection::Reads;
use super::failure::Effect;
use super::scan::AT_ONCE;
use super::{RedisStore, scripts};

impl RedisStore {
    /// Refuses a session that has lost its place in its user's set.
    pub(super) async fn check_place(
        &self,
        reads: &Reads,
        user: Option<&str>,
        handle: &str,
    ) -> Result<(), StoreError> {
        let Some(user) = user else { return Ok(()) };
        let args = vec![self.user_key(user).into(), handle.into()];
        let stands: u64 = self.connection.read(reads, "HEXISTS", args).await?;
        if stands == 1 { Ok(()) } else { Err(StoreError::revoked(Reason::Evicted)) }
    }

    /// Takes a place for `record` in its user's set, or says why not. Sessions that have to go for
    /// it are marked as ended.
    pub(super) async fn admit(&self, record: &Record, login: &Login) -> Result<(), StoreError> {
        let mut reply = self.try_admit("probe", record, login, &[]).await?;
        if reply[0] == "full" {
            let dead = self.dead(&reply[1..], login.policy.max.max(1)).await?;
            let mode = match login.policy.when_full {
                WhenFull::RefuseNew => "refuse",
                WhenFull::EvictOldest => "evict",
            };
            reply = self.try_admit(mode, record, login, &dead).await?;
        }
        match reply[0].as_str() {
            "ok" => {
                for key in reply[1..].iter().filter_map(|key| SessionKey::from_hex(key)) {
                    // It has lost its place, which is enough to refuse it; the mark is a courtesy.
                    let marked = self.revoke_now(key, Reason::Evicted).await;
                    if matches!(marked, Ok(false)) {
                        continue;
                    }
                    self.metrics.displaced.increment(1);
                    if let Some(emitter) = &self.events {
                        emitter.revoked(key, Some(login.user.clone()), Reason::Evicted, None);
                    }
                }
                Ok(())
            }
            "refused" => {
                let text = format!("the user has as many sessions as allowed: {}", login.policy.max.max(1));
                Err(StoreError::new(StoreErrorKind::Refused, text))
            }
            _ => Err(corrupt("a script gave an unknown answer")),
        }
    }

    /// Handles of sessions that are over, among those of handles and keys in turn: idle ones end without the index being told, and
    /// give up their places first. As many as are needed for one more; asked for together, since each is elsewhere.
    async fn dead(&self, places: &[String], max: u32) -> Result<Vec<String>, StoreError> {
        let places: Vec<(&String, SessionKey)> = places
            .chunks_exact(2)
            .filter_map(|place| Some((&place[0], SessionKey::from_hex(&place[1])?)))
            .collect();
        let needed = (places.len() + 1).saturating_sub(max as usize);
        let mut dead = Vec::new();
        for some in places.chunks(AT_ONCE) {
            let stand = join_all(some.iter().map(|(_, key)| self.stands(*key))).await;
            for ((handle, _), stands) in some.iter().zip(stand) {
                if !stands? {
                    dead.push((*handle).clone());
                }
            }
            if dead.len() >= needed {
                break;
            }
        }
        Ok(dead)
    }

    /// Whether a session lives, or has gone on under another key. Reads no attributes.
    async fn stands(&self, key: SessionKey) -> Result<bool, StoreError> {
        let mut args = vec![self.session_key(&key).into()];
        args.extend(codec::STANDING_FIELDS.map(Into::into));
        let fields: Vec<Option<String>> = self.connection.read(&Reads::plain(), "HMGET", args).await?;
        Ok(codec::stands(&fields, self.connection.now_ms()))
    }

    async fn try_admit(
        &self,
        mode: &'static str,
        record: &Record,
        login: &Login,
        dead: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let mut args = self.place(mode, record, login.policy.max.max(1));
        args.extend(dead.iter().map(|handle| handle.as_str().into()));
        self.connection.script(&scripts::ADMIT_SCRIPT, &self.user_key(&login.user), args).await
    }

    pub(super) fn place(&self, mode: &'static str, record: &Record, max: u32) -> Vec<Value> {
        vec![
            mode.into(),
            (&*record.handle).into(),
            record.key.to_string().into(),
            record.absolute_ms.to_string().into(),
            max.to_string().into(),
        ]
    }

    /// Gives a place back.
    pub(super) async fn release(&self, user: &str, handle: &str) -> Result<(), StoreError> {
        let args = vec![self.user_key(user).into(), handle.into()];
        self.connection.command("HDEL", ClusterHash::FirstKey, args, Effect::Write).await
    }

    /// Takes back a session that was to begin, and its place.
    pub(super) async fn abandon(&self, record: &Record) {
        if let Some(user) = &record.user {
            let _ = self.release(user, &record.handle).await;
        }
        self.forget(record).await;
    }

    /// Removes a session that nobody has seen yet. If that fails, its short life ends it.
    pub(super) async fn forget(&self, record: &Record) {
        let args = vec![self.session_key(&record.key).into()];
        let _ = self.connection.command::<Value>("DEL", ClusterHash::FirstKey, args, Effect::Write).await;
    }
}
