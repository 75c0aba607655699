use super::*;

fn kind(config: &RedisConfig) -> StoreErrorKind {
    config.check().expect_err(&config.url).kind()
}

#[test]
fn every_kind_of_url_is_understood() {
    for (url, address, database) in [
        ("redis://user:pass@one:7000/3", "one:7000", Some(3)),
        ("rediss://one", "one:6379", None),
        ("valkeys://one", "one:6379", None),
        ("redis-cluster://:pass@one:7000?node=two:7001", "two:7001, one:7000", None),
        ("rediss-cluster://one:7000?node=two:7001", "two:7001, one:7000", None),
        ("valkey-cluster://one:7000/0", "one:7000", None),
        ("redis-sentinel://one?sentinelServiceName=main&node=two:26380", "two:26380, one:26379", None),
        ("rediss-sentinel://one/2?sentinelServiceName=main", "one:26379", Some(2)),
        ("unix:///run/redis/one.sock", "/run/redis/one.sock", None),
        ("redis+unix://user:pass@x/run/one.sock?db=3", "/run/one.sock", Some(3)),
    ] {
        let config = RedisConfig::new(url);
        config.check().expect(url);
        assert_eq!(config.address(), address);
        let place = url::parse(url).expect(url);
        let tls = url.starts_with("rediss") || url.starts_with("valkeys");
        assert_eq!((place.tls, place.config.database), (tls, database), "{url}");
        assert_eq!(place.config.password.as_deref(), url.contains("pass").then_some("pass"), "{url}");
    }
}

#[test]
fn other_urls_are_refused_and_not_repeated() {
    for url in [
        "tls://h:1",
        "http://h:1",
        "redis:h:1",
        "foo",
        "",
        "REDISS://h:1",
        "rediss+unix:///x",
        "redis-sentinel://:hunter2@h:1",
        "redis-cluster://:hunter2@h:1/3",
        "redis://:hunter2@h:1/many",
        "redis://:hunter2@h:1/300",
        "unix:///x?db=many",
        "unix://",
        "redis://:hunter2@h:99999",
    ] {
        let error = RedisConfig::new(url).check().expect_err(url);
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let error = RedisConfig::new("tls://h:1").check().expect_err("no scheme of Redis");
    assert!(error.to_string().contains("rediss:// for TLS"), "{error}");
}

#[test]
fn settings_must_fit_the_url() {
    let plain = || RedisConfig::new("redis://one");
    for prefix in ["", "a*", "a b", &"x".repeat(33)] {
        assert_eq!(kind(&RedisConfig { prefix: prefix.to_owned(), ..plain() }), StoreErrorKind::Invalid);
    }
    assert_eq!(kind(&RedisConfig { tls: Some(RedisTls::default()), ..plain() }), StoreErrorKind::Invalid);
    assert_eq!(kind(&RedisConfig { username: Some("u".into()), ..plain() }), StoreErrorKind::Invalid);
    let sentinel = Some(Credentials { username: None, password: "hunter2".into() });
    assert_eq!(kind(&RedisConfig { sentinel, ..plain() }), StoreErrorKind::Invalid);
    let ca = Some("/nowhere/ca.pem".into());
    let config = RedisConfig { tls: Some(RedisTls { ca, client: None }), ..RedisConfig::new("rediss://one") };
    config.check().expect("a check reads no files");
    let error = config.builder().expect_err("the file is not there");
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

#[test]
fn reads_of_replicas_must_fit_the_other_settings() {
    let config =
        |url: &str| RedisConfig { replica_reads: Some(ReplicaReads::default()), ..RedisConfig::new(url) };
    config("redis-sentinel://one:1?sentinelServiceName=m").check().expect("replicas of a primary");
    let max_lag = Duration::from_millis(49);
    for wrong in [
        config("redis-cluster://one"),
        RedisConfig { tracking: true, ..config("redis://one") },
        RedisConfig { consistency: Consistency::STRONG, ..config("redis://one") },
        RedisConfig { replica_reads: Some(ReplicaReads { max_lag }), ..config("redis://one") },
    ] {
        assert_eq!(kind(&wrong), StoreErrorKind::Invalid);
    }
}

#[test]
fn secrets_are_not_shown() {
    let config = RedisConfig {
        username: Some("alice".into()),
        password: Some("hunter2".into()),
        sentinel: Some(Credentials { username: Some("watch".into()), password: "hunter3".into() }),
        ..RedisConfig::new("redis-sentinel://x:hunter4@one:1?sentinelServiceName=m&sentinelPassword=hunter5")
    };
    config.builder().expect("a good configuration");
    let shown = format!("{config:?} {:?} {}", config.sentinel, config.address());
    assert!(!shown.contains("hunter") && shown.contains("one:1"), "{shown}");
}
