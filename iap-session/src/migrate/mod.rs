//! Sessions of other systems go on here, so that a move logs nobody out.
//!
//! A [`Source`] reads what another system has stored. [`Import`] takes all of it over at once, and
//! [`Adoption`] each session when its client comes with the old cookie. Both do it by
//! [`SessionStore::import`](crate::SessionStore::import), which takes a session once, however often it is met.
//!
//! | source | reads |
//! |---|---|
//! | [`Spring`] | Spring Session in Redis, also the indexed repository |
//! | [`Connect`] | `connect-redis` of Express |
//! | [`TowerSessions`] | `tower-sessions` in Redis |
//! | [`Redisson`] | the Tomcat session manager of Redisson |
//! | [`TomcatFiles`] | the directory of Tomcat's `FileStore` |
//!
//! Values become JSON where they have a JSON form: numbers, booleans, texts, and lists, sets and maps of those; a
//! date becomes ISO 8601 text. What has none is kept as it is, and the report counts it by its type:
//!
//! ```json
//! {"$opaque": {"format": "java", "type": "shop.Cart", "base64": "rO0ABXNy..."}}
//! ```
//!
//! `format` is `java` for a stream that `ObjectInputStream` reads, or `bytes`.

mod adopt;
mod import;
mod java;
mod negative;
mod policy;
mod session;
mod time;
mod tomcat;
mod value;

#[cfg(feature = "redis")]
mod connect;
#[cfg(feature = "redis")]
mod keys;
#[cfg(feature = "redis")]
mod messagepack;
#[cfg(feature = "redis")]
mod redisson;
#[cfg(feature = "redis")]
mod spring;
#[cfg(feature = "redis")]
mod tower;

use crate::error::StoreError;
use crate::store::BoxFuture;

pub(crate) use adopt::Presented;
pub use adopt::{Adoption, AdoptionConfig};
#[cfg(feature = "redis")]
pub use connect::Connect;
pub use import::{Import, Report};
pub use policy::{Outcome, Takeover};
#[cfg(feature = "redis")]
pub use redisson::Redisson;
pub use session::{ForeignSession, Unreadable};
#[cfg(feature = "redis")]
pub use spring::Spring;
pub use tomcat::TomcatFiles;
#[cfg(feature = "redis")]
pub use tower::TowerSessions;

/// Where another system keeps its sessions. Nothing is changed there.
pub trait Source: Send + Sync + 'static {
    /// The system's name. Ids of different systems are different sessions.
    fn system(&self) -> &'static str;

    /// The session id in a cookie, without what does not belong to it. `None` if the value cannot be a cookie of
    /// this system, or its signature is wrong: then nobody is asked.
    fn id(&self, cookie: &str) -> Option<String>;

    /// The session of a cookie.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the other store does not answer: that is never "no session".
    fn find<'a>(&'a self, cookie: &'a str) -> BoxFuture<'a, Result<Option<Candidate>, StoreError>>;

    /// A page of all sessions, from the beginning or from [`Page::next`] on. A session that lives during the whole
    /// scan is seen at least once.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor of another source; `Unavailable`.
    fn scan(&self, cursor: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>>;
}

/// A session of another system, as far as it can be read.
#[derive(Debug)]
pub struct Candidate {
    /// Its id there, as [`Source::id`] gives it.
    pub id: String,
    /// What it holds.
    pub session: Result<ForeignSession, Unreadable>,
}

/// A page of a scan. It may be empty although others follow.
#[derive(Debug, Default)]
pub struct Page {
    /// The sessions.
    pub sessions: Vec<Candidate>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}

#[cfg(all(test, feature = "redis"))]
mod tests;
