//! An embeddable HTTP pipeline, reverse proxy and web server, on tokio, hyper and tower.
//!
//! ```
//! use iap_core::{Route, RouteTable, Server, Target, http::StatusCode};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let routes = RouteTable::new([
//!     Route::new("hello", "/", Target::respond(StatusCode::OK, "hello\n")),
//!     Route::new("docs", "/docs", Target::files("docs")),
//! ])?;
//! let server = Server::builder().listen("127.0.0.1:0".parse()?).routes(routes).start()?;
//! println!("listening on {}", server.addresses()[0]);
//! server.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`server`] | listeners, worker threads, TLS, drain |
//! | [`pipeline`] | **the life of a request, in order: start reading here** |
//! | [`gate`] | what a request must be before anything looks at it |
//! | [`route`] | host, path and conditions to target |
//! | [`rules`] | what a route does with its requests on the way: access, logins, rates, redirects, ... |
//! | [`target`] | embedded services, upstreams, files, fixed responses |
//! | [`upstream`] | the reverse proxy and its connections |
//! | [`process`] | applications that are started and watched, as servers of an upstream |
//! | [`files`] | static files |
//! | [`hooks`] | what an observer is told, at no cost without one |
//! | [`trace_context`] | W3C `traceparent` |
//! | [`error`] | one error type, one mapping to HTTP |
//! | [`body`], [`connection`], [`networks`], [`clock`], [`entity_tag`], [`html`] | shared vocabulary |
//!
//! # Layers
//!
//! [`ServerBuilder::layer`](server::ServerBuilder::layer) puts tower layers around the targets. In
//! a request's extensions they find [`MatchedRoute`], `Arc<`[`Connection`]`>` and, with an observer,
//! [`Transaction`].

pub mod body;
pub mod clock;
pub mod connection;
mod cookies;
pub mod entity_tag;
pub mod error;
pub mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gate;
mod headers;
pub mod hooks;
pub mod html;
mod idle;
pub mod networks;
pub mod pipeline;
pub mod process;
pub mod route;
pub mod rules;
pub mod server;
pub mod target;
pub mod trace_context;
pub mod upstream;
mod websocket;

pub use body::Body;
pub use clock::{Clock, ManualClock, SystemClock};
pub use connection::Connection;
pub use error::{BoxError, Error, Kind, Origin};
pub use hooks::{Hooks, Transaction};
pub use http;
pub use networks::Networks;
pub use pipeline::Pipeline;
pub use process::Process;
pub use route::{MatchedRoute, PathParams, Route, RouteTable};
pub use server::{RunningServer, Server};
pub use target::Target;
pub use trace_context::{SpanId, TraceContext, TraceId};
pub use upstream::Upstream;
