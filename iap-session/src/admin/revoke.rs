//! Ending sessions: one, or all that a filter means.

use std::sync::Arc;

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::StoreError;
use crate::id::SessionKey;
use crate::limits::check_text;
use crate::record::Summary;
use crate::store::ScanQuery;
use crate::write::Reason;

use super::search::query;
use super::{Budget, Filter, Sessions};

/// Why an operator ends sessions, in words: 1 to 256 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(Arc<str>);

impl Note {
    /// A text that is fit for it.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`](crate::StoreErrorKind::Invalid).
    pub fn new(text: &str) -> Result<Self, StoreError> {
        check_text(text, 256, "a reason")?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Sessions that are to be ended.
#[derive(Debug, Clone, Default)]
pub struct Revocation {
    /// Which ones. An empty filter means all: it is for the caller to make sure of that.
    pub filter: Filter,
    /// Why.
    pub note: Option<Note>,
    /// Only count them.
    pub dry_run: bool,
    /// Where to go on: [`Revoked::next`] of the call before.
    pub cursor: Option<String>,
    /// How far one call goes.
    pub budget: Budget,
}

/// What has become of a [`Revocation`] so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Revoked {
    /// Sessions that were looked at.
    pub looked_at: u64,
    /// Those among them that were meant.
    pub matched: u64,
    /// Those that were ended. One that has ended by itself meanwhile is not among them.
    pub ended: u64,
    /// Those that could not be ended; they may live on.
    pub failed: u64,
    /// Where the next call has to go on, until there is nothing left.
    pub next: Option<String>,
}

impl Revoked {
    fn count(&mut self, results: Vec<Result<bool, StoreError>>) {
        for result in results {
            match result {
                Ok(ended) => self.ended += u64::from(ended),
                Err(_) => self.failed += 1,
            }
        }
    }
}

/// How many rounds [`Sessions::revoke_user`] makes for sessions that come into being meanwhile.
const ROUNDS: usize = 4;
/// How many sessions are ended at the same time.
const AT_ONCE: usize = 32;
/// Sessions that are asked for at a time.
const STEP: usize = 500;

impl Sessions {
    /// Ends a session. `false` if there was none.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::revoke`](crate::SessionStore::revoke).
    pub async fn revoke(&self, key: SessionKey, note: Option<&Note>) -> Result<bool, StoreError> {
        // Who is told of it wants to know whose it was, and under which key.
        let before = match self.events() {
            Some(_) => self.find(key).await.ok().flatten(),
            None => None,
        };
        let key = before.as_ref().map_or(key, |record| record.key);
        self.end(key, before.and_then(|record| record.user.clone()), note).await
    }

    /// Ends a session of a user who is known, as far as anybody is logged in.
    async fn end(
        &self,
        key: SessionKey,
        user: Option<Arc<str>>,
        note: Option<&Note>,
    ) -> Result<bool, StoreError> {
        let ended = self.store.revoke(key, Reason::Operator).await?;
        self.revoked.increment(u64::from(ended));
        if ended {
            if let Some(events) = self.events() {
                events.emitter().revoked(key, user, Reason::Operator, note.map(|note| note.0.clone()));
            }
            tracing::info!(session = key.short(), reason = note.map(Note::as_str), "a session was ended");
        }
        Ok(ended)
    }

    /// Ends all sessions of a user and says how many there were.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::scan`](crate::SessionStore::scan) and [`SessionStore::revoke`](crate::SessionStore::revoke);
    /// some sessions may have been ended.
    pub async fn revoke_user(&self, user: &str, note: Option<&Note>) -> Result<u64, StoreError> {
        let mut ended = 0;
        for _ in 0..ROUNDS {
            let page = self.store.scan(ScanQuery::of_user(user)).await?;
            if page.sessions.is_empty() {
                break;
            }
            for session in page.sessions {
                ended += u64::from(self.end(session.key, session.user, note).await?);
            }
        }
        Ok(ended)
    }

    /// Ends those of some sessions that still live.
    pub async fn revoke_keys(&self, keys: &[SessionKey], note: Option<&Note>) -> Revoked {
        let mut revoked =
            Revoked { looked_at: keys.len() as u64, matched: keys.len() as u64, ..Revoked::default() };
        for some in keys.chunks(AT_ONCE) {
            revoked.count(join_all(some.iter().map(|key| self.revoke(*key, note))).await);
        }
        revoked
    }

    /// Ends the sessions that a filter means, as far as the budget goes; a call with [`Revoked::next`] goes on.
    ///
    /// A session is judged by what it was when it was looked at: one that is used a moment later is ended nevertheless.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::scan`](crate::SessionStore::scan), if nothing was looked at: later on, what was done is told,
    /// and where to go on.
    pub async fn revoke_matching(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        let mut meter = revocation.budget.begin();
        let mut sum = Revoked { next: revocation.cursor.clone(), ..Revoked::default() };
        loop {
            let page = match self.store.scan(query(&revocation.filter, sum.next.clone(), STEP)).await {
                Ok(page) => page,
                // Begun anew, it would not be seen how far it came.
                Err(_) if sum.next.is_some() && sum.looked_at > 0 => return Ok(sum),
                Err(error) => return Err(error),
            };
            meter.count(page.sessions.len());
            let now_ms = self.clock.now_ms();
            let meant =
                page.sessions.into_iter().filter(|session| revocation.filter.matches(session, now_ms));
            let meant: Vec<Summary> = meant.collect();
            sum.looked_at = meter.looked_at;
            sum.matched += meant.len() as u64;
            for some in meant.chunks(AT_ONCE).filter(|_| !revocation.dry_run) {
                let note = revocation.note.as_ref();
                let ends = some.iter().map(|session| self.end(session.key, session.user.clone(), note));
                sum.count(join_all(ends).await);
            }
            sum.next = page.next;
            if sum.next.is_none() || meter.is_spent() {
                return Ok(sum);
            }
        }
    }
}
