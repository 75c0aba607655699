//! The session clients for other languages, in applications behind real gateways.

#[path = "../common/mod.rs"]
mod common;
mod contract;
mod java;
mod node;
mod python;

use std::path::PathBuf;

use common::{FREE_PORTS, Host, workspace};
use iap_session::testing::RedisServer;

/// A gateway whose sessions are in Redis, in front of one application that it starts itself: the name is its
/// route's and the first part of its paths.
fn gateway(redis: &RedisServer, name: &str, process: &str) -> Host {
    Host::start_with(&format!(
        "{FREE_PORTS}{}routes:
  - name: {name}
    path: /{name}
    process: {{{process}, ready: {{path: /{name}/ready}}, start_timeout: 60s}}
",
        common::redis_sessions(redis)
    ))
}

fn app(name: &str) -> PathBuf {
    workspace().join("iap-host/tests/apps/clients").join(name)
}

fn client(language: &str) -> PathBuf {
    workspace().join("iap-session/clients").join(language)
}
