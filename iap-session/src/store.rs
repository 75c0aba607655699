//! The contract of a session store.
//!
//! A store of your own is one `impl` over [`Record`], which knows all rules for a single session:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//!
//! use iap_core::{Clock, SystemClock};
//! use iap_session::*;
//! use parking_lot::Mutex;
//!
//! /// Sessions in one map. It has no login limits and no grace after a rotation.
//! struct TinyStore {
//!     ids: SessionIds,
//!     limits: Limits,
//!     sessions: Mutex<HashMap<SessionKey, Record>>,
//! }
//!
//! impl TinyStore {
//!     fn change<T>(
//!         &self,
//!         key: &SessionKey,
//!         change: impl FnOnce(&mut Record, u64) -> Result<T, StoreError>,
//!     ) -> Result<T, StoreError> {
//!         let now = SystemClock.now_ms();
//!         let mut sessions = self.sessions.lock();
//!         match sessions.get_mut(key) {
//!             Some(record) if !record.is_expired(now) => change(record, now),
//!             _ => Err(StoreError::gone()),
//!         }
//!     }
//! }
//!
//! impl SessionStore for TinyStore {
//!     fn ids(&self) -> &SessionIds {
//!         &self.ids
//!     }
//!     fn limits(&self) -> &Limits {
//!         &self.limits
//!     }
//!     fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>> {
//!         Box::pin(async move {
//!             let (id, key) = self.ids.generate();
//!             let record = Record::new(key, &new, &self.limits, SystemClock.now_ms())?;
//!             self.sessions.lock().insert(key, record.clone());
//!             Ok(Created { id, record: Arc::new(record) })
//!         })
//!     }
//!     fn load(
//!         &self,
//!         key: SessionKey,
//!         known: Option<u64>,
//!     ) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
//!         Box::pin(async move {
//!             let now_ms = SystemClock.now_ms();
//!             let sessions = self.sessions.lock();
//!             Ok(sessions.get(&key).filter(|record| !record.is_expired(now_ms)).map(|record| {
//!                 match known {
//!                     Some(version) if version == record.version => Loaded::Unchanged { now_ms },
//!                     _ => Loaded::Found { record: Arc::new(record.clone()), now_ms },
//!                 }
//!             }))
//!         })
//!     }
//!     fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>> {
//!         Box::pin(async move {
//!             self.change(&key, |record, now| record.apply(&commit, &self.limits, now))
//!         })
//!     }
//!     fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
//!         Box::pin(async move { self.change(&key, |record, now| Ok(record.touch(now))) })
//!     }
//!     fn rotate(
//!         &self,
//!         key: SessionKey,
//!         rotation: Rotation,
//!     ) -> BoxFuture<'_, Result<Created, StoreError>> {
//!         Box::pin(async move {
//!             let (id, new_key) = self.ids.generate();
//!             let next = self.change(&key, |old, now| old.rotated(new_key, &rotation, &self.limits, now))?;
//!             let mut sessions = self.sessions.lock();
//!             sessions.remove(&key).ok_or_else(StoreError::gone)?;
//!             sessions.insert(new_key, next.clone());
//!             Ok(Created { id, record: Arc::new(next) })
//!         })
//!     }
//!     fn revoke(&self, key: SessionKey, _reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>> {
//!         Box::pin(async move { Ok(self.sessions.lock().remove(&key).is_some()) })
//!     }
//!     fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>> {
//!         Box::pin(async move {
//!             let sessions = self.sessions.lock();
//!             let wanted = |record: &&Record| query.user.is_none() || record.user == query.user;
//!             let sessions = sessions.values().filter(wanted).map(Record::summary).collect();
//!             Ok(ScanPage { sessions, next: None })
//!         })
//!     }
//!     fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
//!         Box::pin(async move {
//!             let live = self.sessions.lock().len() as u64;
//!             Ok(StoreStats { backend: "tiny", live, exact: true, ..StoreStats::default() })
//!         })
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = TinyStore {
//!     ids: SessionIds::ephemeral(),
//!     limits: Limits::default(),
//!     sessions: Mutex::default(),
//! };
//! let created = store.create(NewSession::new(Expiry::default())).await?;
//! let write = Op::Set("cart".into(), 3.into());
//! let commit = Commit { op: OpId::random(), ops: vec![write], expected: None, logout: false };
//! assert_eq!(store.commit(created.record.key, commit).await?, 2);
//! # Ok::<(), StoreError>(()) }).unwrap();
//! ```
//!
//! A store for production passes `testing::conformance` (feature `testing`),
//! which also asks for what the example leaves out: login limits, the grace after a rotation,
//! revocation with a reason.

mod stats;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{SessionIds, SessionKey};
use crate::limits::Limits;
use crate::record::{Created, Loaded, Record, Summary};
pub use stats::{Pressure, StoreStats};

use crate::write::{Commit, Imported, NewSession, Reason, Rotation};

/// A future that can be stored and sent, so that stores are usable as `dyn SessionStore`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where sessions live. See the [module page](self) for a complete implementation.
///
/// Rules for all methods:
///
/// - Absent is an answer of the store. A time-out or a lost connection is
///   [`Unavailable`](crate::StoreErrorKind::Unavailable), never "no session".
/// - A session past its deadline is absent, whether or not it has been removed yet.
/// - Nothing but [`SessionStore::create`], [`SessionStore::rotate`] and [`SessionStore::import`] makes a
///   session exist.
/// - A write that is repeated with the same [`OpId`](crate::OpId) has no second effect.
/// - The key of a rotated session leads to the new one during the grace, for every method.
pub trait SessionStore: Send + Sync + 'static {
    /// The hashing of ids; the same on all nodes of a cluster.
    fn ids(&self) -> &SessionIds;

    /// What a session may hold.
    fn limits(&self) -> &Limits;

    /// Creates a session under an id that the store picks.
    ///
    /// # Errors
    ///
    /// `TooLarge`, `Invalid`, `Refused` (by the login policy), `Unavailable`, `Ambiguous`.
    fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>>;

    /// Reads a session; with a `known` version, only if it has another one.
    ///
    /// # Errors
    ///
    /// `Revoked` when the session was ended on purpose, or is no longer in its user's set;
    /// `Unavailable`, `Corrupt`.
    fn load(&self, key: SessionKey, known: Option<u64>) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>>;

    /// Writes changes to a session and returns its new version. Also counts as an access.
    ///
    /// # Errors
    ///
    /// `Gone`, `Revoked`, `Conflict` (only where a version was expected), `TooLarge`,
    /// `Unavailable`, `Ambiguous`.
    fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Notes an access, which moves the idle deadline.
    ///
    /// # Errors
    ///
    /// `Gone`, `Revoked`, `Unavailable`.
    fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Gives the session a new id, with changes and perhaps a login in the same step.
    ///
    /// # Errors
    ///
    /// `Conflict` if `key` was rotated before; `Refused`; as [`SessionStore::commit`].
    fn rotate(&self, key: SessionKey, rotation: Rotation) -> BoxFuture<'_, Result<Created, StoreError>>;

    /// Ends a session. `false` if there was none, or it had been ended already.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Ambiguous`.
    fn revoke(&self, key: SessionKey, reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// A page of sessions, in no order. A session that lives during the whole scan is seen at
    /// least once; one that is created or rotated meanwhile may be missed or seen twice.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor of another store; `Unavailable`.
    fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>>;

    /// What the store holds. Meant for dashboards: it may cost a short scan.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>>;

    /// How hard it is pressed. Asked every few seconds: a store whose [`stats`](Self::stats) cost a scan has to have another way.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    fn pressure(&self) -> BoxFuture<'_, Result<Pressure, StoreError>> {
        let stats = self.stats();
        Box::pin(async move { Ok(Pressure { in_flight: None, dropped: stats.await?.evicted }) })
    }

    /// Takes a session over from another system, under a key of [`SessionIds::foreign`]. Of all attempts with one
    /// key the first one takes it, in one step; `false` says that it was taken before, whatever has become of it
    /// since: a session that has ended does not come back while the other system still has it.
    ///
    /// # Errors
    ///
    /// `Gone` if its time is over; as [`SessionStore::create`]; `Invalid` by a store that cannot do it.
    fn import(&self, key: SessionKey, imported: Imported) -> BoxFuture<'_, Result<bool, StoreError>> {
        let _ = (key, imported);
        let error = StoreError::new(StoreErrorKind::Invalid, "this store cannot import sessions");
        Box::pin(std::future::ready(Err(error)))
    }

    /// The client of an imported session has its new id: the foreign one leads to it for `grace` only, by
    /// [`Taken::foreign_until_ms`](crate::record::Taken). The first call decides; others have no effect.
    ///
    /// # Errors
    ///
    /// `Gone`, `Revoked`, `Unavailable`.
    fn settle(&self, key: SessionKey, grace: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        let _ = (key, grace);
        Box::pin(std::future::ready(Ok(())))
    }

    /// From now on `listener` is told of sessions that have changed, whoever changed them. A store that
    /// does not learn of it tells nothing; what others cache of it is then only bounded in age.
    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        let _ = listener;
    }

    /// What is known of a session without asking, read at most `max_age` ago: for a request that would fail
    /// otherwise while the store is away. A store that keeps nothing aside, as is the default, knows nothing.
    fn stale(&self, key: SessionKey, max_age: Duration) -> Option<Arc<Record>> {
        let _ = (key, max_age);
        None
    }

    /// Loads a session for a cache.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::load`].
    fn load_watched(
        &self,
        key: SessionKey,
        known: Option<u64>,
    ) -> BoxFuture<'_, Result<Watched, StoreError>> {
        let load = self.load(key, known);
        Box::pin(async move { Ok(Watched { loaded: load.await?, watched: true }) })
    }
}

impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    fn ids(&self) -> &SessionIds {
        (**self).ids()
    }
    fn limits(&self) -> &Limits {
        (**self).limits()
    }
    fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>> {
        (**self).create(new)
    }
    fn load(&self, key: SessionKey, known: Option<u64>) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        (**self).load(key, known)
    }
    fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>> {
        (**self).commit(key, commit)
    }
    fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).touch(key)
    }
    fn rotate(&self, key: SessionKey, rotation: Rotation) -> BoxFuture<'_, Result<Created, StoreError>> {
        (**self).rotate(key, rotation)
    }
    fn revoke(&self, key: SessionKey, reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).revoke(key, reason)
    }
    fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>> {
        (**self).scan(query)
    }
    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        (**self).stats()
    }
    fn pressure(&self) -> BoxFuture<'_, Result<Pressure, StoreError>> {
        (**self).pressure()
    }
    fn import(&self, key: SessionKey, imported: Imported) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).import(key, imported)
    }
    fn settle(&self, key: SessionKey, grace: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).settle(key, grace)
    }
    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        (**self).listen(listener);
    }
    fn stale(&self, key: SessionKey, max_age: Duration) -> Option<Arc<Record>> {
        (**self).stale(key, max_age)
    }
    fn load_watched(
        &self,
        key: SessionKey,
        known: Option<u64>,
    ) -> BoxFuture<'_, Result<Watched, StoreError>> {
        (**self).load_watched(key, known)
    }
}

/// Something in a store has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// One session.
    Session(SessionKey),
    /// The set of a user's sessions, by [`SessionIds::user_key`].
    User(&'a str),
    /// Nobody knows what: everything counts as changed.
    All,
}

/// Who wants to know of changes. Calls come from the store's tasks: they must not block.
pub trait ChangeListener: Send + Sync + 'static {
    /// Something has changed.
    fn changed(&self, change: Change<'_>);
}

/// The answer to [`SessionStore::load_watched`].
#[derive(Debug, Clone)]
pub struct Watched {
    /// As of [`SessionStore::load`].
    pub loaded: Option<Loaded>,
    /// Whether the answer may be kept: the store tells when it changes, or never tells anything.
    pub watched: bool,
}

/// What a scan asks for.
#[derive(Debug, Clone, Default)]
pub struct ScanQuery {
    /// Only sessions of this user. Such a scan is one page.
    pub user: Option<Arc<str>>,
    /// Where to go on: [`ScanPage::next`] of the page before.
    pub cursor: Option<String>,
    /// About how many sessions a page has; 0 counts as 100, and 1000 is the most.
    pub limit: usize,
}

impl ScanQuery {
    /// All sessions of one user.
    pub fn of_user(user: &str) -> Self {
        Self { user: Some(user.into()), ..Self::default() }
    }

    /// The page size within its bounds.
    pub fn page_size(&self) -> usize {
        if self.limit == 0 { 100 } else { self.limit.min(1000) }
    }
}

/// A page of a scan. A page may be empty although others follow.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct ScanPage {
    /// The sessions.
    pub sessions: Vec<Summary>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}
