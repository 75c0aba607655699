use serde_json::json;

use super::*;
use crate::OpId;
use crate::record::Op;
use crate::write::Commit;

#[tokio::test]
async fn requests_at_the_same_moment_get_different_sums() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let sums: Arc<Mutex<Vec<i64>>> = Arc::default();
    let app = {
        let sums = sums.clone();
        bench.app(move |session| {
            let sums = sums.clone();
            async move {
                // All have read the session before one of them writes.
                session.user().await?;
                tokio::task::yield_now().await;
                let sum = session.increment("number", 2).await?;
                sums.lock().push(sum);
                session.insert(format!("mine{sum}"), true)
            }
        })
    };
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (app, request) = (app.clone(), get(&cookie));
        requests.spawn(async move { app.oneshot(request).await.unwrap().status() });
    }
    assert!(requests.join_all().await.into_iter().all(|status| status == StatusCode::OK));
    sums.lock().sort_unstable();
    assert_eq!(*sums.lock(), [2, 4, 6, 8, 10, 12, 14, 16]);
    let read = bench.app(async |session| {
        assert_eq!(session.get::<i64>("number").await?, Some(16));
        assert_eq!(
            session.snapshot().await?.attributes.len(),
            10,
            "what waited for the commit is there, too"
        );
        Ok(())
    });
    assert_eq!(send(&read, get(&cookie)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn compare_and_set_is_decided_by_the_store_and_shows_what_it_has() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let race = bench.app({
        let store = bench.store.clone();
        move |session| {
            let store = store.clone();
            async move {
                assert_eq!(session.value("seat").await?, None);
                // Another request comes first.
                let (key, _) = session.identity().await?.unwrap();
                let ops = vec![Op::Set("seat".into(), 2.into())];
                store.commit(key, Commit { op: OpId::random(), ops, expected: None, logout: false }).await?;
                assert!(!session.compare_and_set("seat", None, Some(1)).await?);
                assert_eq!(session.value("seat").await?, Some(json!(2)), "it is seen now");
                assert!(session.compare_and_set("seat", Some(json!(2)), Some(3)).await?);
                assert_eq!(session.value("seat").await?, Some(json!(3)));
                assert!(session.compare_and_set("seat", Some(json!(3)), None::<u8>).await?);
                assert_eq!(session.value("seat").await?, None);
                Ok(())
            }
        }
    });
    assert_eq!(send(&race, get(&cookie)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn before_there_is_a_session_it_is_written_with_the_response() {
    let bench = bench();
    let app = bench.app(async |session| {
        assert_eq!(session.increment("number", 5).await?, 5);
        assert_eq!(session.increment("number", -2).await?, 3);
        assert!(!session.compare_and_set("number", Some(json!(5)), Some(0)).await?);
        assert!(session.compare_and_set("number", Some(json!(3)), Some(4)).await?);
        Ok(())
    });
    let created = send(&app, get("")).await.unwrap();
    let cookie = cookie_of(&created).expect("it begins with this");
    let read = bench.app(async |session| {
        assert_eq!(session.get::<i64>("number").await?, Some(4));
        Ok(())
    });
    assert_eq!(send(&read, get(&cookie)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_be_added_is_an_error_and_changes_nothing() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let app = bench.app(async |session| {
        let kind = async |name: &str, by| session.increment(name, by).await.map_err(|error| error.kind());
        assert_eq!(kind("seen", 1).await, Err(StoreErrorKind::Invalid), "it is a truth value");
        assert_eq!(kind("most", i64::MAX).await, Ok(i64::MAX));
        assert_eq!(kind("most", 1).await, Err(StoreErrorKind::Invalid));
        assert_eq!(kind("", 1).await, Err(StoreErrorKind::Invalid));
        Ok(())
    });
    assert_eq!(send(&app, get(&cookie)).await.unwrap().status(), StatusCode::OK);
    let cart = bench.app(async |session| {
        session.destroy()?;
        session.increment("number", 1).await.map(|_| ())
    });
    let begun = send(&cart, get(&cookie)).await.unwrap();
    assert!(cookie_of(&begun).is_some_and(|new| new != cookie), "a destroyed session is not written to");
}
