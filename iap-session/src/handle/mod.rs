//! The session of one request: loaded at first use, changed in memory, committed once.

mod commit;
mod load;
mod state;
mod told;

use std::fmt;
use std::sync::Arc;

use http::Extensions;
use iap_core::Transaction;
use iap_core::hooks::Field;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{SessionId, SessionKey};
use crate::limits::{attribute_bytes, check_user};
use crate::metrics::LayerMetrics;
use crate::policy::{Outage, SessionConfig};
use crate::record::{Attributes, Op};
use crate::store::{ScanQuery, SessionStore};
use crate::write::{Reason, WhenFull};

use state::{Base, Changes, State};

pub(crate) use commit::{CookieChange, Failure};

/// The session of a request. Cheap to clone; all clones are the same session.
///
/// Nothing is read before the first use, and nothing is written before the response head is
/// ready: then [`SessionLayer`](crate::SessionLayer) commits all changes at once, and the handle
/// is sealed. A write after that, from a streaming body or a spawned future, is a
/// [`StoreErrorKind::Sealed`] error.
///
/// ```
/// use iap_session::{Session, StoreError};
///
/// async fn count(request: &http::Request<()>) -> Result<u64, StoreError> {
///     let Some(session) = Session::from_request(request) else { return Ok(0) };
///     let visits = session.get::<u64>("visits").await?.unwrap_or(0) + 1;
///     session.insert("visits", visits)?;
///     Ok(visits)
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) config: SessionConfig,
    pub(crate) metrics: LayerMetrics,
}

struct Inner {
    shared: Arc<Shared>,
    outage: Outage,
    candidates: Vec<SessionId>,
    transaction: Option<Transaction>,
    /// Held while the store is asked, so that it is asked once.
    loading: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// The state of a session as its request sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// Who is logged in.
    pub user: Option<String>,
    /// Whether the store has no such session yet.
    pub new: bool,
    /// The version that was loaded; 0 if it is new.
    pub version: u64,
    /// What may be told of the stored session: [`SessionKey::short`]. It changes with the id.
    pub handle: Option<String>,
    /// Why the session that the client had before was ended, if it was: `destroyed`, `operator`
    /// or `evicted`.
    pub ended: Option<&'static str>,
    /// The attributes, with this request's changes.
    pub attributes: Attributes,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        outage: Outage,
        candidates: Vec<SessionId>,
        transaction: Option<Transaction>,
    ) -> Self {
        let inner = Inner {
            shared,
            outage,
            candidates,
            transaction,
            loading: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The session of a request; `None` where the layer is missing or switched off.
    pub fn from_request<B>(request: &http::Request<B>) -> Option<Self> {
        Self::from_extensions(request.extensions())
    }

    /// The session of a request that was taken apart.
    pub fn from_parts(parts: &http::request::Parts) -> Option<Self> {
        Self::from_extensions(&parts.extensions)
    }

    /// The session in a request's extensions.
    pub fn from_extensions(extensions: &Extensions) -> Option<Self> {
        extensions.get::<Self>().cloned()
    }

    /// The id that the client has sent, whether or not there is such a session.
    pub(crate) fn presented(&self) -> Option<[u8; 32]> {
        self.inner.candidates.first().map(SessionId::secret)
    }

    /// Reads an attribute. Loads the session at first use.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] if the attribute is of another type; errors of the load.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(value) = self.value(name).await? else { return Ok(None) };
        serde_json::from_value(value).map(Some).map_err(|_| {
            // The parser's message could quote the value; it is left out.
            let text = format!("the attribute `{name}` is not a {}", std::any::type_name::<T>());
            StoreError::new(StoreErrorKind::Invalid, text)
        })
    }

    /// Sets an attribute.
    ///
    /// # Errors
    ///
    /// `Sealed`; `TooLarge` or `Invalid` by the store's limits. The limit on the whole session is
    /// checked again with the commit.
    pub fn insert(&self, name: impl Into<String>, value: impl Serialize) -> Result<(), StoreError> {
        let value = serde_json::to_value(value)
            .map_err(|_| StoreError::new(StoreErrorKind::Invalid, "the value has no JSON form"))?;
        self.change(vec![Op::Set(name.into(), value)])
    }

    /// Removes an attribute; an absent one is no error.
    ///
    /// # Errors
    ///
    /// `Sealed`.
    pub fn remove(&self, name: impl Into<String>) -> Result<(), StoreError> {
        self.change(vec![Op::Remove(name.into())])
    }

    /// Who is logged in. Loads the session at first use.
    ///
    /// # Errors
    ///
    /// Errors of the load.
    pub async fn user(&self) -> Result<Option<Arc<str>>, StoreError> {
        self.load().await?;
        Ok(self.inner.state.lock().user())
    }

    /// Who is logged in, as far as that is known without asking the store.
    pub(crate) fn known_user(&self) -> Option<Arc<str>> {
        self.inner.state.lock().user()
    }

    /// Which session it is, and of whom. Loads it; `None` where there is none.
    pub(crate) async fn identity(&self) -> Result<Option<(SessionKey, Option<Arc<str>>)>, StoreError> {
        self.load().await?;
        let state = self.inner.state.lock();
        Ok(state.record().map(|record| (record.key, state.user())))
    }

    /// Logs a user in: with the commit the session gets a new id and the user's name.
    ///
    /// Where the policy refuses further sessions this is checked now, so that the application can
    /// say so, and decided by the commit: of two requests at the same moment the later one ends
    /// with 409.
    ///
    /// # Errors
    ///
    /// `Refused` by the login policy; `Conflict` if the client came with an id that was just
    /// changed; `Invalid` for an impossible name; `Sealed`; errors of the load.
    pub async fn login(&self, user: &str) -> Result<(), StoreError> {
        check_user(user)?;
        self.load().await?;
        let (key, by_old_id) = match &self.inner.state.lock().base {
            Base::Degraded => return Err(unavailable()),
            Base::Found { record, by_old_id, .. } => (Some(record.key), *by_old_id),
            _ => (None, false),
        };
        if by_old_id {
            let text = "the session's id was changed by another request";
            return Err(StoreError::new(StoreErrorKind::Conflict, text));
        }
        let policy = self.inner.shared.config.login;
        if policy.when_full == WhenFull::RefuseNew {
            let page = self.inner.shared.store.scan(ScanQuery::of_user(user)).await?;
            let others = page.sessions.iter().filter(|other| Some(other.key) != key).count();
            if others >= policy.max.max(1) as usize {
                self.tell_refused(self.inner.state.lock().record().map(|record| &**record), user);
                let text = format!("the user has as many sessions as allowed: {others}");
                return Err(StoreError::new(StoreErrorKind::Refused, text));
            }
        }
        self.with_changes(|changes| {
            changes.login = Some(user.into());
            changes.logout = false;
        })?;
        if let Some(transaction) = &self.inner.transaction {
            transaction.set(Field::User, user);
        }
        Ok(())
    }

    /// Logs the user out. The session and its attributes stay; [`Session::destroy`] ends them.
    ///
    /// # Errors
    ///
    /// `Sealed`.
    pub fn logout(&self) -> Result<(), StoreError> {
        self.with_changes(|changes| {
            changes.login = None;
            changes.logout = true;
        })
    }

    /// Gives the session a new id with the commit: after a change of rights that is not a login.
    ///
    /// # Errors
    ///
    /// `Sealed`.
    pub fn rotate(&self) -> Result<(), StoreError> {
        self.with_changes(|changes| changes.rotate = true)
    }

    /// Ends the session and takes the cookie away. What is inserted after it begins a new one.
    ///
    /// # Errors
    ///
    /// `Sealed`.
    pub fn destroy(&self) -> Result<(), StoreError> {
        self.with_changes(|changes| *changes = Changes { destroy: true, ..Changes::default() })
    }

    /// Why the session that the client had a cookie of was ended; `None` if it was not, or before
    /// the session is loaded.
    pub fn ended(&self) -> Option<Reason> {
        self.inner.state.lock().ended
    }

    /// Everything at once. Loads the session at first use.
    ///
    /// # Errors
    ///
    /// Errors of the load.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.load().await?;
        let state = self.inner.state.lock();
        let record = state.record();
        let mut attributes = record.map(|record| record.attributes.clone()).unwrap_or_default();
        for (name, value) in &state.changes.attributes {
            match value {
                Some(value) => attributes.insert(name.clone(), value.clone()),
                None => attributes.remove(name),
            };
        }
        Ok(Snapshot {
            user: state.user().map(|user| user.as_ref().to_owned()),
            new: record.is_none(),
            version: record.map_or(0, |record| record.version),
            handle: record.map(|record| record.key.short()),
            ended: state.ended.map(Reason::as_str),
            attributes,
        })
    }

    /// An attribute as it is stored.
    pub(crate) async fn value(&self, name: &str) -> Result<Option<Value>, StoreError> {
        if let Some(changed) = self.inner.state.lock().changes.attributes.get(name) {
            return Ok(changed.clone());
        }
        self.load().await?;
        let state = self.inner.state.lock();
        Ok(state.record().and_then(|record| record.attributes.get(name)).cloned())
    }

    /// Applies all changes or none.
    pub(crate) fn change(&self, ops: Vec<Op>) -> Result<(), StoreError> {
        let limits = self.inner.shared.store.limits();
        for op in &ops {
            match op {
                Op::Set(name, value) => limits.check_attribute(name, value).map(|_| ())?,
                Op::Remove(name) => limits.check_attribute(name, &Value::Null).map(|_| ())?,
            }
        }
        let mut state = self.open()?;
        let size = |name: &str, value: &Option<Value>| {
            value.as_ref().map_or(name.len(), |value| attribute_bytes(name, value))
        };
        let changes = &mut state.changes;
        let (mut added, mut bytes) = (0, 0);
        for op in &ops {
            match op {
                Op::Set(name, value) => bytes += attribute_bytes(name, value),
                Op::Remove(name) => bytes += name.len(),
            }
            added += 1;
        }
        // What waits for the commit is bounded like the session, with room for removals.
        let count = changes.attributes.len() + added;
        if count > 2 * limits.attributes || changes.bytes + bytes > 2 * limits.session_bytes {
            return Err(StoreError::new(StoreErrorKind::TooLarge, "too many changes in one request"));
        }
        for op in ops {
            let (name, value) = match op {
                Op::Set(name, value) => (name, Some(value)),
                Op::Remove(name) => (name, None),
            };
            changes.bytes += size(&name, &value);
            if let Some(before) = changes.attributes.insert(name.clone(), value) {
                changes.bytes -= size(&name, &before);
            }
        }
        Ok(())
    }

    /// From now on nothing can be changed.
    pub(crate) fn seal(&self) {
        self.inner.state.lock().sealed = true;
    }

    fn with_changes(&self, change: impl FnOnce(&mut Changes)) -> Result<(), StoreError> {
        change(&mut self.open()?.changes);
        Ok(())
    }

    fn open(&self) -> Result<parking_lot::MutexGuard<'_, State>, StoreError> {
        let state = self.inner.state.lock();
        if state.sealed {
            let text = "the response has been committed; the session cannot be changed any more";
            return Err(StoreError::new(StoreErrorKind::Sealed, text));
        }
        Ok(state)
    }
}

/// Without ids and values.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state.lock();
        f.debug_struct("Session")
            .field("record", &state.record())
            .field("changes", &state.changes.attributes.keys())
            .field("sealed", &state.sealed)
            .finish_non_exhaustive()
    }
}

fn unavailable() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the session could not be loaded")
}
