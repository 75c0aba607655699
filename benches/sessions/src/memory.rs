//! A million sessions in memory.

use std::sync::Arc;
use std::time::Duration;

use iap_session::{Expiry, MemoryConfig, MemoryStore, NewSession, SessionIds, SessionKey, SessionStore};
use serde_json::json;
use tokio::runtime::Builder;

use crate::{Spread, commit, load, rate};

const SESSIONS: usize = 1_000_000;
const THREADS: usize = 2;

pub fn run() {
    let config = MemoryConfig { max_sessions: 2 * SESSIONS, max_bytes: 8 << 30, ..MemoryConfig::default() };
    let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::with_config(SessionIds::ephemeral(), config));
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let before = resident();
    let create = |_| {
        let expiry = Expiry { idle: Duration::from_secs(3600), absolute: Duration::from_secs(7200) };
        let mut new = NewSession::new(expiry);
        new.attributes.insert("attribute07".into(), json!("x".repeat(86)));
        runtime.block_on(store.create(new)).expect("a session").record.key
    };
    let begin = std::time::Instant::now();
    let keys: Arc<Vec<SessionKey>> = Arc::new((0..SESSIONS).map(create).collect());
    let created = SESSIONS as f64 / begin.elapsed().as_secs_f64();
    let bytes = (resident() - before) as f64 / SESSIONS as f64 - 32.0;
    println!(
        "memory: {SESSIONS} sessions of 99 bytes take {bytes:.0} bytes each; {created:.0} creations/s by one thread"
    );
    for (what, count) in [("all of them", SESSIONS), ("10,000 of them", 10_000)] {
        let keys = Arc::new(keys[..count].to_vec());
        let loads = all(&store, &keys, async |store, key, _| load(store, key).await);
        let commits = all(&store, &keys, async |store, key, number| {
            store.commit(key, commit(number)).await.expect("committed");
        });
        println!(
            "memory: {:.2} M loads/s, {:.2} M commits/s of {what} by {THREADS} threads",
            loads / 1e6,
            commits / 1e6
        );
    }
}

/// The rate of all threads together.
fn all(
    store: &Arc<dyn SessionStore>,
    keys: &Arc<Vec<SessionKey>>,
    work: impl AsyncFn(&Arc<dyn SessionStore>, SessionKey, usize) + Copy + Send + 'static,
) -> f64 {
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (store, keys) = (store.clone(), keys.clone());
            std::thread::spawn(move || {
                let runtime = Builder::new_current_thread().build().expect("a runtime");
                let mut spread = Spread(0x9e37_79b9_7f4a_7c15 + thread as u64);
                runtime.block_on(rate(async || {
                    let index = spread.below(keys.len());
                    work(&store, keys[index], index).await;
                }))
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("a rate")).sum()
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}
