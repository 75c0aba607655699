//! The one commit of a request, before the first byte of its response.

use std::mem;
use std::sync::Arc;

use iap_core::hooks::{Field, Stage};

use crate::carrier::Change;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::{OpId, SessionId, SessionKey};
use crate::policy::{KeptOut, Mode};
use crate::provenance::Provenance;
use crate::record::{Attributes, Created, Op, Record};
use crate::write::{Commit, Login, NewSession, Reason, Rotation};

use super::state::{Base, Changes};
use super::{Session, unavailable, within};

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

impl Session {
    /// Seals the handle and writes what has to be written.
    pub(crate) async fn commit(&self) -> Result<Change, Failure> {
        let change = self.commit_now().await?;
        Ok(self.with_given_id(change).await)
    }

    async fn commit_now(&self) -> Result<Change, Failure> {
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
        let (base, changes, ended, outdated) = {
            let mut state = self.inner.state.lock();
            state.sealed = true;
            let leave = state.changes.leaves();
            let base = match &state.base {
                Base::NotLoaded => return Ok(Change::Keep),
                Base::Failed(kind) => {
                    let error = StoreError::new(*kind, "the session could not be loaded");
                    return Err(Failure::new(error, leave));
                }
                Base::Degraded if !state.changes.any() => return Ok(Change::Keep),
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
            (base, mem::take(&mut state.changes), state.ended, state.outdated.take())
        };
        let leave = changes.leaves();
        let written = match base {
            None => self.create(changes).await.map(|created| match created {
                Some(id) => Change::Set(id),
                None if ended.is_some() || leave => self.removal(),
                None => Change::Keep,
            }),
            Some((record, _)) if changes.destroy => self.replace(&record, changes).await,
            Some((record, _)) if changes.any() => self.write(&record, changes).await,
            Some((record, now_ms)) => {
                if record.touch_due(now_ms) {
                    Ok(self.touch(record.key).await)
                } else {
                    Ok(Change::Keep)
                }
            }
        };
        match (written, outdated) {
            (Ok(Change::Keep), Some(id)) => Ok(Change::Set(id)),
            (written, _) => written.map_err(|error| Failure::new(error, leave)),
        }
    }

    /// Creates a session if there is anything to remember.
    async fn create(&self, changes: Changes) -> Result<Option<SessionId>, StoreError> {
        let set = changes.attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let attributes: Attributes = set.collect();
        if attributes.is_empty() && changes.login.is_none() {
            return Ok(None);
        }
        if changes.login.is_none()
            && let Some(why) = self.kept_out()
        {
            self.inner.shared.metrics.not_created(why).increment(1);
            return Ok(None);
        }
        let shared = &self.inner.shared;
        let route = self.inner.visit.policy.expiry.unwrap_or(shared.config.expiry);
        let (login, expiry) = match changes.login {
            Some((user, group)) => (Some(Login { user, policy: group.login }), group.expiry.unwrap_or(route)),
            None => (None, route),
        };
        let user = login.as_ref().map(|login| login.user.clone());
        let (binding, provenance) = (self.binding(), self.provenance());
        let new = NewSession { op: OpId::random(), expiry, attributes, login, binding, provenance };
        let created = self.observed(shared.store.create(new)).await;
        let created = created.inspect_err(|error| self.refusal(error, None, user.as_deref()))?;
        self.tell_created(&created);
        self.note(&created);
        Ok(Some(created.id))
    }

    /// Why the client is given no session of its own, if it is not.
    fn kept_out(&self) -> Option<KeptOut> {
        let visit = &self.inner.visit;
        if visit.policy.mode == Mode::Existing {
            return Some(KeptOut::Route);
        }
        visit.visitor.kept_out(&self.inner.shared.config.creation)
    }

    /// Where the request comes from.
    fn provenance(&self) -> Provenance {
        let visit = &self.inner.visit;
        self.inner.shared.config.provenance.of(visit.connection.as_deref(), visit.route.as_ref())
    }

    /// What a session of this client is bound to.
    pub(super) fn binding(&self) -> Option<Arc<str>> {
        let (shared, visit) = (&self.inner.shared, &self.inner.visit);
        let address = visit.connection.as_ref().map(|connection| connection.peer().ip());
        shared.config.binding.of(&visit.visitor, address, shared.store.ids())
    }

    /// Ends a session, and begins another one if something was written after that.
    async fn replace(&self, record: &Record, changes: Changes) -> Result<Change, StoreError> {
        let shared = &self.inner.shared;
        if self.observed(shared.store.revoke(record.key, Reason::Destroyed)).await? {
            self.tell_destroyed(record);
        }
        Ok(self.create(changes).await?.map_or(Change::Remove, Change::Set))
    }

    async fn write(&self, record: &Record, changes: Changes) -> Result<Change, StoreError> {
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
            return Ok(Change::Keep);
        }
        if changes.logout {
            let commit = Commit { op: OpId::random(), ops: vec![], expected: None, logout: true };
            self.observed(shared.store.commit(key, commit)).await?;
            self.tell_logout(record);
        }
        let plain = changes.login.is_none();
        let user = changes.login.as_ref().map(|(user, _)| user.clone());
        let mut rotation = Rotation { op, ops: ops.clone(), ..Rotation::new(shared.config.rotation_grace) };
        if let Some((user, group)) = changes.login {
            rotation.login = Some(Login { user, policy: group.login });
            rotation.expiry = group.expiry;
            rotation.binding = self.binding();
            rotation.provenance = self.provenance();
        }
        match self.observed(shared.store.rotate(key, rotation)).await {
            Ok(created) => {
                self.tell_rotated(record, &created, !plain);
                self.note(&created);
                Ok(Change::Set(created.id))
            }
            // Another request has changed the id meanwhile, which was all that was wanted.
            Err(error) if plain && error.kind() == StoreErrorKind::Conflict => {
                let commit = Commit { op: OpId::random(), ops, expected: None, logout: false };
                self.observed(shared.store.commit(key, commit)).await?;
                Ok(Change::Keep)
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
    async fn touch(&self, key: SessionKey) -> Change {
        match self.observed(self.inner.shared.store.touch(key)).await {
            Err(error) if error.kind() == StoreErrorKind::Revoked => self.removal(),
            _ => Change::Keep,
        }
    }

    /// Takes the cookie away, if the client has one.
    fn removal(&self) -> Change {
        if self.inner.visit.presented.is_empty() { Change::Keep } else { Change::Remove }
    }

    fn note(&self, created: &Created) {
        if let Some(transaction) = &self.inner.transaction {
            transaction.set(Field::Session, &created.record.key.short());
        }
    }

    /// Awaits a write within its span, and counts its failure.
    pub(super) async fn observed<T>(
        &self,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let transaction = self.inner.transaction.as_ref();
        let mut span = transaction.map(|transaction| transaction.span(Stage::SessionCommit));
        let result = within(span.as_ref(), write).await;
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
