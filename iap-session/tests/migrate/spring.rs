use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iap_session::migrate::{Redisson, Source, Spring};
use serde_json::json;

use crate::{beside, found, import, java, redis, run, store, taken};

const NAMESPACE: &str = Spring::NAMESPACE;

fn id(digit: char) -> String {
    [8, 4, 4, 4, 12].map(|count| digit.to_string().repeat(count)).join("-")
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_real_jdk_are_read_and_taken_once() {
    let (server, config) = redis().await;
    let port = server.port().to_string();
    beside(move || java("SpringSessions", &[&port])).await;
    // What is no session, and what cannot be read.
    server.ask(&["SET", "spring:session:sessions:55555555-5555-5555-5555-555555555555", "text"]).unwrap();
    let broken = "spring:session:sessions:66666666-6666-6666-6666-666666666666";
    server.ask(&["HSET", broken, "creationTime", "soon", "maxInactiveInterval", "60"]).unwrap();
    let source: Arc<dyn Source> = Arc::new(Spring::new(&config, NAMESPACE, None).unwrap());

    let session = found(&source, &STANDARD.encode(id('1'))).await;
    let attributes = &session.attributes;
    for (name, value) in [
        ("long", json!(i64::MAX)),
        ("integer", json!(-5)),
        ("short", json!(300)),
        ("byte", json!(-1)),
        ("yes", json!(true)),
        ("double", json!(2.5)),
        ("float", json!(0.1)),
        ("char", json!("ü")),
        ("text", json!("한국어 😀 \0 end")),
        ("long text", json!("x".repeat(40_000))),
        ("date", json!("2000-02-29T00:00:00.123Z")),
        ("list", json!([1, "two", null, true])),
        ("linked", json!([1])),
        ("set", json!(["a", "b"])),
        ("map", json!({"k": [1.5]})),
        ("as list", json!(["p", "q"])),
        ("list of", json!([1, 2, 3])),
        ("map of", json!({"one": 1})),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    assert!(!attributes.contains_key("removed"), "a field without bytes is a removed attribute");
    for (name, class) in
        [("cart", "SpringSessions$Cart"), ("numbers", "java.util.HashMap"), ("color", "SpringSessions$Color")]
    {
        let opaque = &attributes[name]["$opaque"];
        assert_eq!((&opaque["format"], &opaque["type"]), (&json!("java"), &json!(class)));
        assert!(opaque["base64"].as_str().unwrap().starts_with("rO0AB"), "nothing of it is lost");
        assert_eq!(session.opaque[class], 1);
    }
    assert_eq!(session.idle, Some(Duration::from_secs(1800)));
    assert_eq!(session.accessed_ms, session.created_ms + 1000);

    let (store, read) = (store(), 6);
    let dry = run(&store, &source, true).await;
    assert_eq!((dry.read, dry.imported), (read, 3));
    assert_eq!(store.stats().await.unwrap().live, 0, "a dry run writes nothing");
    let report = import(&store, &source).await;
    assert_eq!(report, dry, "and tells what will be");
    assert_eq!((report.expired, report.unreadable_total(), report.is_complete()), (1, 2, false));
    assert_eq!(report.opaque["SpringSessions$Cart"], 1);
    let again = import(&store, &source).await;
    assert_eq!((again.imported, again.before), (0, 3), "nothing is taken twice");
    assert!(again.opaque.is_empty(), "what was not imported now is not counted again");

    let first = taken(&store, &source, &id('1')).await;
    assert_eq!(first.accessed_ms, session.accessed_ms);
    assert_eq!(first.idle_ms, 1_800_000);
    let never = taken(&store, &source, &id('2')).await;
    assert_eq!(never.idle_ms, 12 * 3_600_000, "what never ended has the longest life there is here");
    assert_eq!(taken(&store, &source, &id('4')).await.user.as_deref(), Some("alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn redisson_keeps_the_sessions_of_tomcat() {
    let (server, config) = redis().await;
    let port = server.port().to_string();
    beside(move || java("SpringSessions", &[&port])).await;
    // A codec that is not read: nothing is lost, and the key's own life counts.
    let binary = "shop:redisson:tomcat_session:00000000000000000000000000000000";
    server.ask(&["HSET", binary, "session:lastAccessedTime", "\u{1}\u{2}", "count", "\u{1}\u{7}"]).unwrap();
    server.ask(&["PEXPIRE", binary, "600000"]).unwrap();
    let source: Arc<dyn Source> = Arc::new(Redisson::new(&config, "shop", None).unwrap());
    let session = found(&source, "ABCDEF0123456789ABCDEF0123456789.node1").await;
    assert_eq!(session.attributes["count"], 7);
    assert_eq!(session.attributes.len(), 2);
    assert_eq!(session.idle, Some(Duration::from_secs(1800)));
    let binary = found(&source, "00000000000000000000000000000000").await;
    assert_eq!(
        binary.attributes["count"],
        json!({"$opaque": {"format": "bytes", "type": "unknown bytes", "base64": "AQc="}})
    );
    assert!(binary.idle.unwrap() <= Duration::from_secs(600));
    let store = store();
    let report = import(&store, &source).await;
    assert_eq!((report.read, report.imported), (2, 2));
    taken(&store, &source, "ABCDEF0123456789ABCDEF0123456789").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_lead_to_ids_and_nonsense_to_none() {
    let (_server, config) = redis().await;
    let spring = Spring::new(&config, NAMESPACE, None).unwrap();
    for cookie in [STANDARD.encode(id('a')), STANDARD.encode(format!("{}.node1", id('a'))), id('a')] {
        assert_eq!(spring.id(&cookie), Some(id('a')), "{cookie}");
    }
    for nonsense in
        ["", "x", "../../etc/passwd", "a:b", "%00", &STANDARD.encode("expires:1"), &"a".repeat(300)]
    {
        assert_eq!(spring.id(nonsense), None, "{nonsense}");
        assert!(spring.find(nonsense).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_serializer_is_read_too() {
    let (server, config) = redis().await;
    let key = format!("{NAMESPACE}:sessions:{}", id('7'));
    let context = r#"{"authentication": {"principal": {"@class": "User", "username": "dora"}}}"#;
    let fields = [
        ("creationTime", "1700000000000"),
        ("lastAccessedTime", r#"["java.lang.Long", 1700000001000]"#),
        ("maxInactiveInterval", "-1"),
        ("sessionAttr:cart", r#"{"@class": "shop.Cart", "items": ["java.util.ArrayList", [1]]}"#),
        ("sessionAttr:SPRING_SECURITY_CONTEXT", context),
    ];
    for (name, value) in fields {
        server.ask(&["HSET", &key, name, value]).unwrap();
    }
    let source: Arc<dyn Source> = Arc::new(Spring::new(&config, NAMESPACE, None).unwrap());
    let session = found(&source, &id('7')).await;
    assert_eq!(session.attributes["cart"]["items"][1], json!([1]));
    assert_eq!((session.created_ms, session.accessed_ms), (1_700_000_000_000, 1_700_000_001_000));
    assert_eq!((session.user.as_deref(), session.idle), (Some("dora"), None));
}
