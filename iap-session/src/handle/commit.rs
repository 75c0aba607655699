//! The one commit of a request, before the first byte of its response.

use std::mem;

use iap_core::hooks::{Field, Stage};

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{OpId, SessionId, SessionKey};
use crate::provenance::Provenance;
use crate::record::{Attributes, Created, Op, Record};
use crate::write::{Commit, Login, NewSession, Reason, Rotation};

use super::state::{Base, Changes};
use super::{Session, unavailable};

/// What the response has to say about the cookie.
pub(crate) enum CookieChange {
    Keep,
    Set(SessionId),
    Remove,
}

/// A commit that did not happen.
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    /// The user wanted to leave: the browser forgets the session even though the store could not.
    pub(crate) leave: bool,
}

impl Failure {
    fn new(error: StoreError, leave: bool) -> Self {
        let over = matches!(error.kind(), StoreErrorKind::Gone | StoreErrorKind::Revoked);
        Self { leave: leave && (over || error.is_retryable()), error }
    }
}

/// Where a request comes from: asked for when a session begins or somebody logs in.
pub(crate) type From<'a> = &'a (dyn Fn() -> Provenance + Sync);

impl Session {
    /// Seals the handle and writes what has to be written.
    pub(crate) async fn commit(&self, from: From<'_>) -> Result<CookieChange, Failure> {
        let needs_load = {
            let mut state = self.inner.state.lock();
            let needs_load = state.changes.any() && matches!(state.base, Base::NotLoaded);
            state.sealed = !needs_load;
            needs_load
        };
        if needs_load {
            // A failure is remembered as the base, and answered below.
            let _ = self.load().await;
        }
        let (base, changes, ended) = {
            let mut state = self.inner.state.lock();
            state.sealed = true;
            let leave = state.changes.leaves();
            let base = match &state.base {
                Base::NotLoaded => return Ok(CookieChange::Keep),
                Base::Failed(kind) => {
                    let error = StoreError::new(*kind, "the session could not be loaded");
                    return Err(Failure::new(error, leave));
                }
                Base::Degraded if !state.changes.any() => return Ok(CookieChange::Keep),
                Base::Degraded => return Err(Failure::new(unavailable(), leave)),
                Base::Absent => None,
                Base::Found { record, now_ms, by_old_id } => {
                    let (record, now_ms) = (record.clone(), *now_ms);
                    // The id was changed a moment ago; the response that did it has the cookie.
                    let rotate = state.changes.rotate && !by_old_id;
                    state.changes.rotate = rotate;
                    Some((record, now_ms))
                }
            };
            (base, mem::take(&mut state.changes), state.ended)
        };
        let leave = changes.leaves();
        let written = match base {
            None => self.create(changes, from).await.map(|created| match created {
                Some(id) => CookieChange::Set(id),
                None if ended.is_some() || leave => self.removal(),
                None => CookieChange::Keep,
            }),
            Some((record, _)) if changes.destroy => self.replace(&record, changes, from).await,
            Some((record, _)) if changes.any() => self.write(&record, changes, from).await,
            Some((record, now_ms)) => {
                if record.touch_due(now_ms) {
                    return Ok(self.touch(record.key).await);
                }
                Ok(CookieChange::Keep)
            }
        };
        written.map_err(|error| Failure::new(error, leave))
    }

    /// Creates a session if there is anything to remember.
    async fn create(&self, changes: Changes, from: From<'_>) -> Result<Option<SessionId>, StoreError> {
        let set = changes.attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let attributes: Attributes = set.collect();
        if attributes.is_empty() && changes.login.is_none() {
            return Ok(None);
        }
        let shared = &self.inner.shared;
        let login = changes.login.map(|user| Login { user, policy: shared.config.login });
        let expiry = shared.config.expiry;
        let new = NewSession { op: OpId::random(), expiry, attributes, login, provenance: from() };
        let user = new.login.as_ref().map(|login| login.user.clone());
        let created = self.observed(shared.store.create(new)).await;
        let created = created.inspect_err(|error| self.refusal(error, None, user.as_deref()))?;
        self.tell_created(&created);
        self.note(&created);
        Ok(Some(created.id))
    }

    /// Ends a session, and begins another one if something was written after that.
    async fn replace(
        &self,
        record: &Record,
        changes: Changes,
        from: From<'_>,
    ) -> Result<CookieChange, StoreError> {
        let shared = &self.inner.shared;
        if self.observed(shared.store.revoke(record.key, Reason::Destroyed)).await? {
            self.tell_destroyed(record);
        }
        Ok(self.create(changes, from).await?.map_or(CookieChange::Remove, CookieChange::Set))
    }

    async fn write(
        &self,
        record: &Record,
        changes: Changes,
        from: From<'_>,
    ) -> Result<CookieChange, StoreError> {
        let (shared, key) = (&self.inner.shared, record.key);
        let op = OpId::random();
        let ops = changes.attributes.into_iter().map(|(name, value)| match value {
            Some(value) => Op::Set(name, value),
            None => Op::Remove(name),
        });
        let ops: Vec<Op> = ops.collect();
        if changes.login.is_none() && !changes.rotate {
            let commit = Commit { op, ops, expected: None, logout: changes.logout };
            self.observed(shared.store.commit(key, commit)).await?;
            if changes.logout {
                self.tell_logout(record);
            }
            return Ok(CookieChange::Keep);
        }
        if changes.logout {
            let commit = Commit { op: OpId::random(), ops: vec![], expected: None, logout: true };
            self.observed(shared.store.commit(key, commit)).await?;
            self.tell_logout(record);
        }
        let plain = changes.login.is_none();
        let user = changes.login.clone();
        let login = changes.login.map(|user| Login { user, policy: shared.config.login });
        let provenance = if plain { Provenance::default() } else { from() };
        let grace = shared.config.rotation_grace;
        let rotation = Rotation { op, ops: ops.clone(), login, grace, provenance };
        match self.observed(shared.store.rotate(key, rotation)).await {
            Ok(created) => {
                self.tell_rotated(record, &created, !plain);
                self.note(&created);
                Ok(CookieChange::Set(created.id))
            }
            // Another request has changed the id meanwhile, which was all that was wanted.
            Err(error) if plain && error.kind() == StoreErrorKind::Conflict => {
                let commit = Commit { op: OpId::random(), ops, expected: None, logout: false };
                self.observed(shared.store.commit(key, commit)).await?;
                Ok(CookieChange::Keep)
            }
            Err(error) => {
                self.refusal(&error, Some(record), user.as_deref());
                Err(error)
            }
        }
    }

    fn refusal(&self, error: &StoreError, before: Option<&Record>, user: Option<&str>) {
        if let (StoreErrorKind::Refused, Some(user)) = (error.kind(), user) {
            self.tell_refused(before, user);
        }
    }

    /// A touch that fails loses no data, so the response goes out; the failure is counted.
    async fn touch(&self, key: SessionKey) -> CookieChange {
        match self.observed(self.inner.shared.store.touch(key)).await {
            Err(error) if error.kind() == StoreErrorKind::Revoked => self.removal(),
            _ => CookieChange::Keep,
        }
    }

    /// Takes the cookie away, if the client has one.
    fn removal(&self) -> CookieChange {
        if self.inner.candidates.is_empty() { CookieChange::Keep } else { CookieChange::Remove }
    }

    fn note(&self, created: &Created) {
        if let Some(transaction) = &self.inner.transaction {
            transaction.set(Field::Session, &created.record.key.short());
        }
    }

    /// Awaits a write within its span, and counts its failure.
    async fn observed<T>(&self, write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let transaction = self.inner.transaction.as_ref();
        let mut span = transaction.map(|transaction| transaction.span(Stage::SessionCommit));
        let result = write.await;
        if let Err(error) = &result {
            self.inner.shared.metrics.commit_errors.increment(1);
            tracing::warn!(kind = error.kind().as_str(), %error, "a session could not be written");
            if let Some(span) = &mut span {
                span.fail(error.kind().as_str());
            }
        }
        result
    }
}
