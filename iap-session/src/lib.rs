//! Session clustering.
pub mod error;
mod id;
mod limits;
pub mod memory;
pub mod metrics;
mod record;
#[cfg(feature = "redis")]
pub mod redis;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod write;

pub use error::{StoreError, StoreErrorKind};
pub use id::{OpId, SessionId, SessionIds, SessionKey};
pub use limits::{Limits, attribute_bytes, check_user};
pub use memory::{MemoryConfig, MemoryStore};
pub use metrics::describe_metrics;
pub use record::{Attributes, Created, Loaded, Op, Record, Summary};
#[cfg(feature = "redis")]
pub use redis::{RedisConfig, RedisStore};
pub use store::{BoxFuture, ScanPage, ScanQuery, SessionStore, StoreStats};
pub use write::{Commit, Expiry, Login, LoginPolicy, NewSession, Reason, Rotation, WhenFull};
