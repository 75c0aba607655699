//! For tests: the conformance suite that every store has to pass, a store that fails on demand, and
//! a real Redis server.

mod conformance;
mod flaky;
mod logins;
#[cfg(feature = "redis")]
mod redis_server;

pub use conformance::{Fixture, conformance};
pub use flaky::FlakyStore;
#[cfg(feature = "redis")]
pub use redis_server::RedisServer;
