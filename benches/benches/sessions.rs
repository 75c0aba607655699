//! Load and commit of a session: in memory, and in a Redis server that the benchmark starts,
//! and in a near cache before it. And users who are counted.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use iap_session::audience::{Audience, AudienceConfig, Sketch};
use iap_session::testing::RedisServer;
use iap_session::{
    Commit, Expiry, MemoryStore, NearCache, NearCacheConfig, NewSession, Op, OpId, RedisConfig, RedisStore,
    SessionIds, SessionStore,
};
use tokio::runtime::{Builder, Runtime};

fn load_and_commit(c: &mut Criterion, name: &str, runtime: &Runtime, store: &Arc<dyn SessionStore>) {
    let mut new = NewSession::new(Expiry::default());
    new.attributes.insert("cart".into(), serde_json::json!([1, 2, 3]));
    let created = runtime.block_on(store.create(new)).expect("a session");
    let mut group = c.benchmark_group("session");
    group.bench_function(format!("{name}/load"), |bench| {
        bench.iter(|| runtime.block_on(store.load(created.record.key, None)).expect("a session"));
    });
    group.bench_function(format!("{name}/commit"), |bench| {
        bench.iter(|| {
            let ops = vec![Op::Set("cart".into(), serde_json::json!([1, 2, 3, 4]))];
            let commit = Commit { op: OpId::random(), ops, expected: None, logout: false };
            runtime.block_on(store.commit(created.record.key, commit)).expect("committed")
        });
    });
    group.finish();
}

fn sessions(c: &mut Criterion) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let memory: Arc<dyn SessionStore> = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    load_and_commit(c, "memory", &runtime, &memory);
    let server = RedisServer::start();
    let connect = RedisStore::connect(SessionIds::ephemeral(), RedisConfig::new(server.url()));
    let redis: Arc<dyn SessionStore> = Arc::new(runtime.block_on(connect).expect("a connection"));
    load_and_commit(c, "redis", &runtime, &redis);
    let tracking = RedisConfig { tracking: true, ..RedisConfig::new(server.url()) };
    let connect = RedisStore::connect(SessionIds::ephemeral(), tracking);
    let near = runtime.block_on(connect).expect("a connection");
    let near: Arc<dyn SessionStore> = Arc::new(NearCache::new(near, NearCacheConfig::default()));
    load_and_commit(c, "near", &runtime, &near);
}

/// What a request costs whose user is counted, and what counting and uniting cost.
fn audience(c: &mut Criterion) {
    let mut group = c.benchmark_group("audience");
    let audience = Audience::new(AudienceConfig::new([1; 32]));
    let mut number = 0u64;
    group.bench_function("see", |bench| {
        bench.iter(|| {
            number += 1;
            audience.see("shop", 0, &number.to_le_bytes());
        });
    });
    let mut sketch = Sketch::new();
    group.bench_function("add", |bench| {
        bench.iter(|| {
            number += 1;
            sketch.add(&number.to_le_bytes());
        });
    });
    group.bench_function("count", |bench| bench.iter(|| sketch.count()));
    let other = sketch.clone();
    group.bench_function("merge", |bench| bench.iter(|| sketch.merge(&other)));
    group.finish();
}

criterion_group!(benches, sessions, audience);
criterion_main!(benches);
