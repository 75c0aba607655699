//! For tests: the conformance suite that every store has to pass, and a real Redis server.

mod conformance;
mod logins;
#[cfg(feature = "redis")]
mod redis_server;

pub use conformance::{Fixture, conformance};
#[cfg(feature = "redis")]
pub use redis_server::RedisServer;
