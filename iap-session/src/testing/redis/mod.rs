//! Real Redis servers for tests: one, one with replicas behind Sentinel, and a cluster.

mod cluster;
mod sentinel;
mod server;
mod wire;

use std::time::{Duration, Instant};

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;
pub use server::RedisServer;

/// Waits for a condition of the servers.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < give_up, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}
