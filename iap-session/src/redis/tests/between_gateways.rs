//! What several gateways, or one that goes on, must not do twice.

use super::*;

#[tokio::test]
async fn of_all_who_claim_something_one_is_first_for_a_while() {
    let server = RedisServer::start();
    let (first, second) = (connect(&server).await, connect(&server).await);
    let hour = Duration::from_secs(3600);
    let claims = [first.is_first("alert", "a\nb", hour), second.is_first("alert", "a\nb", hour)];
    let won = futures_util::future::join_all(claims).await.into_iter().map(Result::unwrap);
    assert_eq!(won.filter(|won| *won).count(), 1);
    assert!(!first.is_first("alert", "a\nb", hour).await.unwrap(), "nor a second time");
    assert!(first.is_first("alert", "another", hour).await.unwrap());
    assert!(first.is_first("report", "a\nb", Duration::from_millis(1)).await.unwrap());
    while !second.is_first("report", "a\nb", hour).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for key in server.ask(&["KEYS", "*"]).unwrap().lines() {
        assert_ne!(server.ask(&["PTTL", key]).unwrap(), "-1", "{key}");
        assert!(!key.contains("a\nb"), "{key}");
    }
}

/// A client sends what it has queued when it is connected again, though whoever wrote it has gone on.
#[tokio::test]
async fn a_write_that_was_given_up_takes_no_effect_later() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    let name = store.session_key(&key);
    let args = |until_ms: u64| -> Vec<Value> {
        let texts = [
            OpId::random().to_string(),
            String::new(),
            "0".into(),
            "9".into(),
            "999".into(),
            until_ms.to_string(),
        ];
        texts.into_iter().chain(["s", "a", "j1"].map(str::to_owned)).map(Value::from).collect()
    };
    let late = args(store.connection.now_ms() - 1);
    let late = store.connection.script(&scripts::COMMIT_SCRIPT, &name, late).await.unwrap_err();
    assert_eq!(late.kind(), StoreErrorKind::Unavailable, "{late}");
    let Some(Loaded::Found { record, .. }) = store.load(key, None).await.unwrap() else {
        panic!("not found")
    };
    assert_eq!((record.version, record.attributes.len()), (1, 0));
    // A server whose clock shows something else, by far, is believed at once.
    for shown in [store.connection.now_ms() - 3_600_000, store.connection.now_ms() + 3_600_000] {
        store.connection.observe(shown);
        let ops = vec![Op::Set("a".into(), json!(shown))];
        let commit = Commit { op: OpId::random(), ops, expected: None, logout: false };
        store.commit(key, commit).await.unwrap();
    }
}
