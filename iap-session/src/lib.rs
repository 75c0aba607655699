//! Session clustering: sessions that any gateway of a cluster can serve, for applications that
//! are embedded in Rust or run behind the gateway in any language.
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//!
//! use http::{Request, Response, header};
//! use iap_core::{Body, BoxError};
//! use iap_session::{MemoryStore, Session, SessionIds, SessionLayer};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // One secret for all gateways, and a `RedisStore`, make it a cluster.
//! let ids = SessionIds::new(b"32 bytes from a secret store....")?;
//! let layer = SessionLayer::new(Arc::new(MemoryStore::new(ids)));
//!
//! let count = service_fn(|request: Request<Body>| async move {
//!     let session = Session::from_request(&request).ok_or("the layer is missing")?;
//!     let visits = session.get::<u64>("visits").await?.unwrap_or(0) + 1;
//!     session.insert("visits", visits)?;
//!     Ok::<_, BoxError>(Response::new(Body::from(format!("visit {visits}"))))
//! });
//! let app = layer.layer(count);
//!
//! let first = app.clone().oneshot(Request::new(Body::empty())).await?;
//! let line = first.headers()[header::SET_COOKIE].to_str()?;
//! let cookie = line.split(';').next().unwrap_or_default();
//! assert!(line.starts_with("iap-session=") && line.contains("HttpOnly"));
//!
//! let again = Request::builder().header(header::COOKIE, cookie).body(Body::empty())?;
//! let second = app.oneshot(again).await?;
//! assert_eq!(http_body_util::BodyExt::collect(second.into_body()).await?.to_bytes(), "visit 2");
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it has |
//! |---|---|
//! | [`store`] | [`SessionStore`], the contract of a store, with a complete small one |
//! | [`memory`] | [`MemoryStore`]: one process, bounded |
//! | `redis` | `RedisStore`: a cluster (feature `redis`, on by default) |
//! | [`breaker`] | [`Breaker`]: fails at once while a store is away |
//! | [`near`] | [`NearCache`]: reads in the process, in front of a store |
//! | [`layer`] | [`SessionLayer`]: cookie in, commit out |
//! | [`handle`] | [`Session`]: what an embedded application uses |
//! | [`api`] | [`SessionApi`]: the same for applications in other languages |
//! | [`forward`] | the headers that upstreams get, and [`TokenRegistry`] |
//! | [`audience`] | how many users there are at once, by HyperLogLog |
//! | [`admin`] | [`Sessions`]: list, look at and end sessions |
//! | [`events`] | what happens to sessions, told once in a cluster |
//! | [`policy`] | [`SessionConfig`], [`SessionPolicy`]: who gets a session, and how its id travels |
//! | [`provenance`] | where sessions come from: what they are found by |
//! | [`record`], [`mod@write`], [`limits`] | a session as data, writes and rules, and what a session may hold |
//! | [`error`] | [`StoreError`] and what clients are told |
//! | [`migrate`] | sessions of other systems: taken over at once, or at first sight |
//! | [`metrics`] | the names of the metrics |
//! | `testing` | the conformance suite for stores (feature `testing`) |

#![deny(missing_docs)]

pub mod admin;
pub mod api;
mod attributes;
pub mod audience;
pub mod breaker;
mod carrier;
pub mod error;
pub mod events;
pub mod forward;
pub mod handle;
mod id;
pub mod layer;
pub mod limits;
pub mod memory;
pub mod metrics;
pub mod migrate;
pub mod near;
pub mod policy;
pub mod provenance;
pub mod record;
#[cfg(feature = "redis")]
pub mod redis;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod write;

pub use admin::{
    Budget, Detail, Entry, Filter, Note, Revocation, Revoked, Search, SearchPage, Sessions, Sort, SortBy,
    Values,
};
pub use api::{Revocations, SessionApi};
pub use breaker::{Breaker, BreakerConfig};
pub use error::{StoreError, StoreErrorKind};
pub use events::{Emitter, Event, EventId, EventKind, EventLog, Events, EventsConfig};
pub use forward::TokenRegistry;
pub use handle::{Session, Snapshot};
pub use id::{Foreign, OpId, SessionId, SessionIds, SessionKey};
pub use layer::{SessionFuture, SessionLayer, SessionService};
pub use limits::{Limits, attribute_bytes, check_user};
pub use memory::{MemoryConfig, MemoryStore};
pub use metrics::describe_metrics;
pub use near::{NearCache, NearCacheConfig};
pub use policy::{
    Binding, Carrier, CookieConfig, CreationFilter, Group, Mode, Outage, SameSite, SecureCookie,
    SessionConfig, SessionPolicy, TokenKeys,
};
pub use provenance::{ClientAddress, Provenance, ProvenanceConfig, RecordAddress};
pub use record::{Attributes, Created, Loaded, Op, Record, Summary, Taken};
#[cfg(feature = "redis")]
pub use redis::{Consistency, Credentials, RedisConfig, RedisStore, RedisTls, ReplicaReads};
pub use store::{
    BoxFuture, Change, ChangeListener, Pressure, ScanPage, ScanQuery, SessionStore, StoreStats, Watched,
};
pub use write::{Commit, Expiry, Imported, Login, LoginPolicy, NewSession, Reason, Rotation, WhenFull};
