use std::time::Duration;

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
    let plain = redis("url: 'unix:///run/redis.sock'").unwrap().sessions.redis.unwrap().store();
    assert_eq!((plain.address().as_str(), plain.connections), ("/run/redis.sock", 4));
}

#[test]
fn settings_that_do_not_fit_are_named() {
    for (settings, part) in [
        ("url: 'redis://h:1', tls: {ca: x}", "sessions.redis.url: settings for TLS"),
        ("url: 'rediss://h:1', tls: {key: x}", "belong together"),
        ("url: 'redis://h:1', sentinel_password: {env: S}", "redis-sentinel://"),
        ("url: 'redis://h:1', connections: 0", "sessions.redis.connections"),
        ("url: 'redis://h:1', timeout: 0s", "sessions.redis.timeout"),
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
