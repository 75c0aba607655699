use std::time::Duration;

use iap_session::Consistency;

use super::super::{Config, Environment, parse};

fn redis(settings: &str) -> Result<Config, String> {
    let text = format!("sessions: {{store: redis, secret: {{env: S}}, redis: {{{settings}}}}}\n");
    parse("iap.yaml", &text, &Environment::new()).map_err(|error| error.to_string())
}

#[test]
fn all_settings_of_redis_reach_the_store() {
    let config = redis(
        "url: 'rediss-sentinel://h:1/3?sentinelServiceName=m', username: u, password: {env: P}, \
         sentinel_username: w, sentinel_password: {file: s}, prefix: shop, connections: 7, timeout: 300ms, \
         tls: {ca: ca.pem, certificate: c.pem, key: k.pem}",
    )
    .unwrap();
    let store = config.sessions.redis.unwrap().store();
    assert_eq!((store.address().as_str(), store.prefix.as_str(), store.connections), ("h:1", "shop", 7));
    assert_eq!(store.command_timeout, Duration::from_millis(300));
    let tls = store.tls.unwrap();
    assert_eq!((tls.ca, tls.client), (Some("ca.pem".into()), Some(("c.pem".into(), "k.pem".into()))));
    let config =
        redis("url: 'redis://h:1', consistency: strong, strong: {replicas: 2, wait: 1s, connections: 3}");
    let strong = Consistency::Strong { replicas: 2, wait: Duration::from_secs(1), connections: 3 };
    assert_eq!(config.unwrap().sessions.redis.unwrap().store().consistency, strong);
    let near = redis("url: 'redis://h:1', near_cache: {enabled: true}").unwrap().sessions.redis.unwrap();
    assert!(near.store().tracking && near.store().consistency == Consistency::Eventual);
    let reads = redis("url: 'redis://h:1', replica_reads: {enabled: true, max_lag: 700ms}").unwrap();
    let max_lag = Duration::from_millis(700);
    let reads = reads.sessions.redis.unwrap().store().replica_reads;
    assert_eq!(reads, Some(iap_session::ReplicaReads { max_lag }));
    let plain = redis("url: 'unix:///run/redis.sock'").unwrap().sessions.redis.unwrap().store();
    assert_eq!((plain.address().as_str(), plain.connections), ("/run/redis.sock", 4));
    assert_eq!(plain.replica_reads, None);
}

/// The defaults here are those of the library.
#[test]
fn the_defaults_are_those_of_the_store() {
    let here = redis("url: 'redis://h:1'").unwrap().sessions.redis.unwrap();
    let there = iap_session::RedisConfig::new("redis://h:1");
    assert_eq!(here.store().prefix, there.prefix);
    assert_eq!(here.store().connections, there.connections);
    assert_eq!(here.store().command_timeout, there.command_timeout);
    assert_eq!(here.store().consistency, there.consistency);
    let strong = Consistency::Strong {
        replicas: here.strong.replicas,
        wait: here.strong.wait.0,
        connections: here.strong.connections,
    };
    assert_eq!(strong, Consistency::STRONG);
    let near = iap_session::NearCacheConfig::default();
    let cache = &here.near_cache;
    assert_eq!((cache.max_count, cache.max_memory.0), (near.max_entries, near.max_bytes as u64));
    assert_eq!(cache.max_staleness.0, near.max_staleness);
    let breaker = iap_session::BreakerConfig::default();
    assert_eq!((here.breaker.failures, here.breaker.after.0), (breaker.failures, breaker.after));
    assert_eq!(here.breaker.pause.0, breaker.pause);
}

#[test]
fn settings_that_do_not_fit_are_named() {
    for (settings, part) in [
        ("url: 'redis://h:1', tls: {ca: x}", "sessions.redis.url: settings for TLS"),
        ("url: 'rediss://h:1', tls: {key: x}", "belong together"),
        ("url: 'redis://h:1', sentinel_password: {env: S}", "redis-sentinel://"),
        ("url: 'redis://h:1', connections: 0", "sessions.redis.connections"),
        ("url: 'redis://h:1', timeout: 0s", "sessions.redis.timeout"),
        ("url: 'redis://h:1', consistency: strong, near_cache: {enabled: true}", "sessions.redis.near_cache"),
        ("url: 'redis://h:1', near_cache: {max_staleness: 0s}", "enabled: false"),
        ("url: 'redis://h:1', strong: {replicas: 0}", "sessions.redis.strong"),
        ("url: 'redis-cluster://h:1', replica_reads: {enabled: true}", "sessions.redis.replica_reads"),
        ("url: 'redis://h:1', strong: {connections: 0}", "sessions.redis.strong.connections"),
        ("url: 'redis://h:1', breaker: {failures: 0}", "sessions.redis.breaker"),
        ("url: 'redis://h:1', prefix: 'a b'", "prefix"),
        ("url: 'redis-sentinel://h:1'", "sentinelServiceName"),
        (
            "url: 'redis-sentinel://h:1?sentinelServiceName=m&sentinelPassword=hunter2'",
            "holds a user name or",
        ),
        ("url: 'redis-cluster://h:1/3'", "no databases but 0"),
    ] {
        let message = redis(settings).expect_err(settings);
        assert!(message.contains(part) && !message.contains("hunter2"), "{message}");
    }
}
