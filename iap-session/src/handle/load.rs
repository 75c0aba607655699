//! Loading at first use.

use std::time::Duration;

use iap_core::hooks::{Field, Stage};

use crate::carrier::token::Presented;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::migrate::Presented as Foreign;
use crate::policy::Outage;
use crate::record::{Loaded, Record};
use crate::write::Reason;

use super::state::Base;
use super::{Session, within};

/// What asking the store for all candidates has brought.
pub(super) struct Answer {
    pub(super) base: Base,
    pub(super) ended: Option<Reason>,
    /// The id that has led to the session, where its token is to be written anew.
    pub(super) outdated: Option<SessionId>,
}

impl Session {
    /// Asks the store, unless it was asked before.
    pub(crate) async fn load(&self) -> Result<(), StoreError> {
        if let Some(known) = self.known() {
            return known;
        }
        let _loading = self.inner.loading.lock().await;
        if let Some(known) = self.known() {
            return known;
        }
        let answer = self.ask().await;
        let mut state = self.inner.state.lock();
        state.base = answer.base;
        state.ended = answer.ended;
        state.outdated = answer.outdated;
        drop(state);
        self.known().unwrap_or(Ok(()))
    }

    /// The outcome of the load, if there was one.
    fn known(&self) -> Option<Result<(), StoreError>> {
        let mut state = self.inner.state.lock();
        match &state.base {
            Base::NotLoaded if self.brings_nothing() => {
                state.base = Base::Absent;
                Some(Ok(()))
            }
            Base::NotLoaded => None,
            Base::Failed(kind) => Some(Err(StoreError::new(*kind, "the session could not be loaded"))),
            Base::Absent | Base::Found { .. } | Base::Degraded => Some(Ok(())),
        }
    }

    fn brings_nothing(&self) -> bool {
        self.inner.visit.presented.is_empty()
            && self.inner.visit.foreign.as_ref().is_none_or(Foreign::is_empty)
    }

    async fn ask(&self) -> Answer {
        let transaction = self.inner.transaction.as_ref();
        let mut span = transaction.map(|transaction| transaction.span(Stage::SessionLoad));
        let metrics = &self.inner.shared.metrics;
        match within(span.as_ref(), self.ask_stores()).await {
            Ok(answer) => {
                match &answer.base {
                    Base::Found { record, .. } => {
                        metrics.hits.increment(1);
                        if let Some(transaction) = transaction {
                            transaction.set(Field::Session, &record.key.short());
                            if let Some(user) = &record.user {
                                transaction.set(Field::User, user);
                            }
                        }
                    }
                    _ if answer.ended.is_some() => metrics.ended.increment(1),
                    _ => metrics.misses.increment(1),
                }
                answer
            }
            Err(error) => {
                metrics.load_errors.increment(1);
                tracing::warn!(kind = error.kind().as_str(), %error, "a session could not be loaded");
                if let Some(span) = &mut span {
                    span.fail(error.kind().as_str());
                }
                let base = match self.inner.visit.policy.outage {
                    _ if error.kind() != StoreErrorKind::Unavailable => None,
                    Outage::Anonymous => Some(Base::Degraded),
                    Outage::Stale(max_age) => self.stale(max_age),
                    Outage::FailClosed => None,
                };
                let base = base.unwrap_or(Base::Failed(error.kind()));
                Answer { base, ended: None, outdated: None }
            }
        }
    }

    async fn ask_stores(&self) -> Result<Answer, StoreError> {
        let answer = self.ask_store().await?;
        self.adopted(answer).await
    }

    /// What was known of the session a while ago, for requests that change nothing.
    fn stale(&self, max_age: Duration) -> Option<Base> {
        let (shared, visit) = (&self.inner.shared, &self.inner.visit);
        if !visit.visitor.only_reads() {
            return None;
        }
        let known =
            |presented: &Presented| shared.store.stale(shared.store.ids().key(&presented.id), max_age);
        let record =
            visit.presented.iter().find_map(known).filter(|record| !self.is_bound_elsewhere(record))?;
        shared.metrics.stale.increment(1);
        // As if it had been used just now: an access cannot be noted.
        let now_ms = record.accessed_ms;
        Some(Base::Found { record, now_ms, by_old_id: false })
    }

    /// Tries the ids one after the other. An error of one of them is the answer unless another
    /// one leads to a session: which of them was the right one cannot be told.
    async fn ask_store(&self) -> Result<Answer, StoreError> {
        let store = &self.inner.shared.store;
        let (mut ended, mut failed) = (None, None);
        for Presented { id, outdated } in &self.inner.visit.presented {
            let key = store.ids().key(id);
            match store.load(key, None).await {
                Ok(Some(Loaded::Found { record, now_ms })) => {
                    if self.is_bound_elsewhere(&record) {
                        continue;
                    }
                    let by_old_id = record.key != key;
                    let outdated = (*outdated && !by_old_id).then(|| id.clone());
                    let base = Base::Found { record, now_ms, by_old_id };
                    return Ok(Answer { base, ended: None, outdated });
                }
                Ok(_) => {}
                Err(error) => match error.reason() {
                    Some(reason) => ended = Some(reason),
                    None => failed = Some(error),
                },
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(Answer { base: Base::Absent, ended, outdated: None }),
        }
    }

    /// Whether the session belongs to a client with other traits.
    fn is_bound_elsewhere(&self, record: &Record) -> bool {
        let Some(bound) = &record.binding else { return false };
        let Some(ours) = self.binding() else { return false };
        let elsewhere = *bound != ours;
        if elsewhere {
            self.inner.shared.metrics.bound_elsewhere.increment(1);
            tracing::warn!(
                session = record.key.short(),
                "a session's id was sent by a client with other traits"
            );
        }
        elsewhere
    }
}
