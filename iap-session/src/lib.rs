//! Session clustering.
mod admin;
pub mod api;
mod cookie;
pub mod error;
pub mod forward;
pub mod handle;
mod id;
pub mod layer;
mod limits;
pub mod memory;
pub mod metrics;
mod policy;
mod record;
#[cfg(feature = "redis")]
pub mod redis;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod write;

pub use admin::{Detail, Entry, Sessions, Values};
pub use api::SessionApi;
pub use error::{StoreError, StoreErrorKind};
pub use forward::TokenRegistry;
pub use handle::{Session, Snapshot};
pub use id::{OpId, SessionId, SessionIds, SessionKey};
pub use layer::{SessionLayer, SessionService};
pub use limits::{Limits, attribute_bytes, check_user};
pub use memory::{MemoryConfig, MemoryStore};
pub use metrics::describe_metrics;
pub use policy::{CookieConfig, Mode, Outage, SecureCookie, SessionConfig, SessionPolicy};
pub use record::{Attributes, Created, Loaded, Op, Record, Summary};
#[cfg(feature = "redis")]
pub use redis::{RedisConfig, RedisStore};
pub use store::{BoxFuture, ScanPage, ScanQuery, SessionStore, StoreStats};
pub use write::{Commit, Expiry, Login, LoginPolicy, NewSession, Reason, Rotation, WhenFull};
