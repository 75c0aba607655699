//! The session of one request: loaded at first use, changed in memory, committed once.

mod adopt;
mod atomic;
mod change;
mod commit;
mod load;
mod login;
mod state;
mod told;

use std::fmt;
use std::sync::Arc;

use http::Extensions;
use iap_core::hooks::SpanGuard;
use iap_core::{Connection, MatchedRoute, TraceId, Transaction};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::carrier::Channel;
use crate::carrier::token::Presented;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionKey;
use crate::metrics::LayerMetrics;
use crate::migrate::Presented as Foreign;
use crate::policy::{SessionConfig, SessionPolicy, Visitor};
use crate::record::{Attributes, Op};
use crate::store::SessionStore;
use crate::write::Reason;

use state::{Changes, State};

pub(crate) use commit::Failure;

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

/// What a request brings.
pub(crate) struct Visit {
    pub(crate) policy: SessionPolicy,
    /// The ids that it has sent.
    pub(crate) presented: Vec<Presented>,
    /// Where sessions of another system are adopted: what the client has of it.
    pub(crate) foreign: Option<Foreign>,
    pub(crate) visitor: Visitor,
    pub(crate) connection: Option<Arc<Connection>>,
    pub(crate) route: Option<MatchedRoute>,
}

struct Inner {
    shared: Arc<Shared>,
    visit: Visit,
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
    pub(crate) fn new(shared: Arc<Shared>, visit: Visit, transaction: Option<Transaction>) -> Self {
        let inner = Inner {
            shared,
            visit,
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
        self.inner.visit.presented.first().map(|presented| presented.id.secret())
    }

    /// The policy of the request's route.
    pub(crate) fn policy(&self) -> &SessionPolicy {
        &self.inner.visit.policy
    }

    /// How the client is told its id.
    pub(crate) fn channel(&self) -> Channel<'_> {
        let visit = &self.inner.visit;
        self.inner.shared.config.channel(visit.policy.carrier, visit.connection.as_deref())
    }

    /// The trace of the request, if it is watched.
    pub(crate) fn trace_id(&self) -> Option<TraceId> {
        self.inner.transaction.as_ref().map(|transaction| transaction.context().trace_id)
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

/// Awaits what a store is asked, whose commands are spans below `span`.
async fn within<T>(span: Option<&SpanGuard>, work: impl Future<Output = T>) -> T {
    match span {
        Some(span) => span.transaction().within(work).await,
        None => work.await,
    }
}
