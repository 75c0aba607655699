//! What sessions cost: the memory store, the near cache, Redis beside `redis-benchmark` and tower-sessions, the
//! layer and the sketch. `cargo run --release --manifest-path benches/sessions/Cargo.toml [part]`, on a machine
//! that does nothing else.

mod layer;
mod memory;
mod near;
mod redis;

use std::sync::Arc;
use std::time::{Duration, Instant};

use iap_session::{Commit, Expiry, NewSession, Op, OpId, SessionKey, SessionStore};
use serde_json::json;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long each number is measured.
const SPAN: Duration = Duration::from_secs(3);

fn main() {
    let part = std::env::args().nth(1).unwrap_or_default();
    let wanted = |name: &str| part.is_empty() || part == name;
    if wanted("memory") {
        memory::run();
    }
    if wanted("layer") {
        layer::run();
    }
    if wanted("near") {
        near::run();
    }
    if wanted("redis") {
        redis::run();
    }
}

/// A session of about 2 kB: 20 attributes of 100 bytes.
fn session_of_2_kb() -> NewSession {
    let mut new = NewSession::new(Expiry::default());
    for index in 0..20 {
        new.attributes.insert(format!("attribute{index:02}"), json!("x".repeat(86)));
    }
    new
}

/// A commit of one attribute.
fn commit(number: usize) -> Commit {
    let ops = vec![Op::Set("attribute07".into(), json!(format!("{number:086}")))];
    Commit { op: OpId::random(), ops, expected: None, logout: false }
}

async fn load(store: &Arc<dyn SessionStore>, key: SessionKey) {
    store.load(key, None).await.expect("an answer").expect("a session");
}

/// Numbers that are spread well and cost next to nothing.
struct Spread(u64);

impl Spread {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// How often a second `work` was done, by one thread.
async fn rate(mut work: impl AsyncFnMut()) -> f64 {
    let (begin, mut count) = (Instant::now(), 0u64);
    while begin.elapsed() < SPAN {
        for _ in 0..64 {
            work().await;
        }
        count += 64;
    }
    count as f64 / begin.elapsed().as_secs_f64()
}

fn nanoseconds(work: impl AsyncFnMut()) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    1e9 / runtime.block_on(rate(work))
}
