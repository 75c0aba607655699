//! For tests: the conformance suite that every store has to pass, a store that fails on demand, and
//! real Redis servers: one, one behind Sentinel, a cluster, by a network that can be made worse.

mod conditions;
mod conformance;
mod flaky;
mod imports;
mod logins;
mod provenance;
#[cfg(feature = "redis")]
mod redis;

pub use conformance::{Fixture, conformance};
pub use flaky::FlakyStore;
#[cfg(feature = "redis")]
pub use redis::{Proxy, RedisCluster, RedisSentinel, RedisServer, Way, patient};
