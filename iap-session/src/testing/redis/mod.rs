//! Real Redis servers for tests: one, one with replicas behind Sentinel, a cluster, and the network before them.

mod cluster;
mod network;
mod sentinel;
mod server;
mod wire;

use std::time::{Duration, Instant};

pub use cluster::RedisCluster;
pub use network::{Proxy, Way};
pub use sentinel::RedisSentinel;
pub use server::RedisServer;

use crate::redis::RedisConfig;

/// Settings of two connections that wait long, so that a busy machine is not taken for a lost server.
pub fn patient(url: String) -> RedisConfig {
    RedisConfig {
        command_timeout: Duration::from_secs(15),
        connect_timeout: Duration::from_secs(15),
        unresponsive_after: Duration::from_secs(30),
        connections: 2,
        ..RedisConfig::new(url)
    }
}

/// Waits for a condition of the servers.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < give_up, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}
