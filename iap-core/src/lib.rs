//! Placeholder; being written.
#![allow(missing_docs)]
pub mod body;
pub mod clock;
pub mod connection;
pub mod error;
pub mod hooks;
pub mod route;
pub mod target;
pub mod trace_context;
pub mod upstream;

pub use body::Body;
pub use clock::{Clock, ManualClock, SystemClock};
pub use connection::Connection;
pub use error::{BoxError, Error, Kind, Origin};
pub use hooks::{Hooks, Transaction};
pub use route::{MatchedRoute, Route, RouteTable};
pub use target::Target;
pub use trace_context::{SpanId, TraceContext, TraceId};
