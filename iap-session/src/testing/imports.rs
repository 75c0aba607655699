//! The part of the conformance suite about sessions that are taken over from other systems. A store that
//! cannot do that says so, and is asked nothing more.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::error::{StoreError, StoreErrorKind};
use crate::store::{ScanQuery, SessionStore};
use crate::write::{Expiry, Imported, Login, LoginPolicy, NewSession, Reason, Rotation, WhenFull};
use crate::{OpId, SessionKey};

use super::conformance::{Fixture, SHORT, all, commit, create, load, rotation, set, until};

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Fixture>,
{
    let fixture = make().await;
    let (key, imported) = foreign(&fixture, "probe").await;
    if let Err(error) = fixture.store.import(key, imported).await
        && error.kind() == StoreErrorKind::Invalid
    {
        return;
    }
    it_goes_on_where_it_was(&make().await).await;
    of_many_takeovers_one_counts(&make().await).await;
    what_has_ended_is_not_taken_again(&make().await).await;
    what_has_another_id_is_not_taken_again(&make().await).await;
    what_is_refused_is_not_taken(&make().await).await;
    users_keep_their_places(&make().await).await;
    the_first_settlement_counts(&make().await).await;
}

/// A session of another system that was used a minute ago.
async fn foreign(fixture: &Fixture, id: &str) -> (SessionKey, Imported) {
    let store = &fixture.store;
    // The store's own time.
    let probe = create(store).await.record;
    store.revoke(probe.key, Reason::Destroyed).await.expect("revoke");
    let now_ms = probe.created_ms;
    let imported = Imported {
        op: OpId::random(),
        created_ms: now_ms - 600_000,
        accessed_ms: now_ms - 60_000,
        expiry: Expiry::default(),
        attributes: [("cart".to_owned(), json!([1, {"of": "two"}]))].into(),
        login: None,
        remember: Duration::from_secs(3600),
    };
    (store.ids().foreign("test", id).key(), imported)
}

fn again(imported: &Imported) -> Imported {
    Imported { op: OpId::random(), ..imported.clone() }
}

async fn take(store: &Arc<dyn SessionStore>, key: SessionKey, imported: &Imported) -> bool {
    store.import(key, imported.clone()).await.expect("import")
}

async fn it_goes_on_where_it_was(fixture: &Fixture) {
    let store = &fixture.store;
    let (key, imported) = foreign(fixture, "a").await;
    assert!(store.load(key, None).await.expect("load").is_none(), "not taken yet");
    assert!(take(store, key, &imported).await);
    let found = load(store, key).await;
    assert_eq!(found.key, key);
    assert_eq!(found.attributes, imported.attributes);
    assert_eq!((found.created_ms, found.accessed_ms), (imported.created_ms, imported.accessed_ms));
    assert_eq!(found.deadline_ms(), imported.accessed_ms + 30 * 60_000, "its idle time has begun before");
    assert!(found.absolute_ms >= imported.accessed_ms + 60_000 + 12 * 3_600_000);
    assert!(found.taken.is_some_and(|taken| taken.until_ms > found.absolute_ms && taken.admits_foreign(0)));
    let id = store.ids().foreign("test", "a").id().clone();
    assert_eq!(store.ids().key(&id), key, "its new id leads to it");

    commit(store, key, vec![set("here", 1)]).await;
    assert!(take(store, key, &imported).await, "a repetition with the same name has the same answer");
    assert!(!take(store, key, &again(&imported)).await, "it is taken once");
    let found = load(store, key).await;
    assert_eq!((found.version, found.attributes.len()), (2, 2), "and stays as it is");
    assert_eq!(all(store).await, [key]);
}

async fn of_many_takeovers_one_counts(fixture: &Fixture) {
    let store = &fixture.store;
    let (key, mut imported) = foreign(fixture, "race").await;
    let policy = LoginPolicy { max: 1, when_full: WhenFull::RefuseNew };
    imported.login = Some(Login { user: "ida".into(), policy });
    let tries: Vec<_> = (0..8)
        .map(|number| {
            let (store, mut imported) = (store.clone(), again(&imported));
            imported.attributes.insert("by".into(), number.into());
            tokio::spawn(async move { (number, store.import(key, imported).await.expect("import")) })
        })
        .collect();
    let mut won = Vec::new();
    for one in tries {
        let (number, first) = one.await.expect("a takeover ends well");
        won.extend(first.then_some(number));
    }
    assert_eq!(won.len(), 1, "one takes it");
    let found = load(store, key).await;
    assert_eq!(found.attributes["by"], json!(won[0]), "and it is that one's");
    assert_eq!(of_user(store, "ida").await, [key], "with one place");
}

async fn what_has_ended_is_not_taken_again(fixture: &Fixture) {
    let store = &fixture.store;
    let (key, imported) = foreign(fixture, "revoked").await;
    assert!(take(store, key, &imported).await);
    assert!(store.revoke(key, Reason::Destroyed).await.expect("revoke"));
    let (expired, mut short) = foreign(fixture, "expired").await;
    short.expiry.absolute = SHORT;
    assert!(take(store, expired, &short).await);
    (fixture.advance)(SHORT);
    until("an imported session ends", || async { store.load(expired, None).await.expect("load").is_none() })
        .await;
    for _ in 0..2 {
        assert!(!take(store, key, &again(&imported)).await, "it was ended");
        assert!(!take(store, expired, &again(&imported)).await, "its time was over");
        assert!(!matches!(store.load(key, None).await, Ok(Some(_))));
        assert!(store.load(expired, None).await.expect("load").is_none());
        for key in [key, expired] {
            let late = store.commit(key, super::conformance::writes(vec![set("a", 1)])).await;
            let late = late.expect_err("it has ended").kind();
            assert!(matches!(late, StoreErrorKind::Gone | StoreErrorKind::Revoked), "{late:?}");
        }
    }
    assert!(all(store).await.is_empty());
}

async fn what_has_another_id_is_not_taken_again(fixture: &Fixture) {
    let store = &fixture.store;
    let (key, imported) = foreign(fixture, "rotated").await;
    assert!(take(store, key, &imported).await);
    let long = store.rotate(key, rotation(vec![])).await.expect("rotate").record.key;
    assert_eq!(load(store, key).await.key, long, "the old key leads to it in the grace");
    assert!(!take(store, key, &again(&imported)).await);
    let (key, imported) = foreign(fixture, "rotated soon").await;
    assert!(take(store, key, &imported).await);
    let rotated = store.rotate(key, Rotation { grace: SHORT, ..rotation(vec![]) }).await.expect("rotate");
    assert_eq!(rotated.record.taken, None, "the mark stays with the old key");
    (fixture.advance)(SHORT);
    until("the grace ends", || async { store.load(key, None).await.expect("load").is_none() }).await;
    let late = store.commit(key, super::conformance::writes(vec![])).await.expect_err("after the grace");
    assert_eq!(late.kind(), StoreErrorKind::Gone);
    assert!(!take(store, key, &again(&imported)).await);
    assert!(store.load(key, None).await.expect("load").is_none());
    assert_eq!(load(store, rotated.record.key).await.attributes, imported.attributes);
}

async fn what_is_refused_is_not_taken(fixture: &Fixture) {
    let store = &fixture.store;
    let kind = |result: Result<bool, StoreError>| result.expect_err("refused").kind();
    let (key, imported) = foreign(fixture, "refused").await;
    let mut large = again(&imported);
    large.attributes.insert("big".into(), json!("x".repeat(store.limits().attribute_bytes)));
    assert_eq!(kind(store.import(key, large).await), StoreErrorKind::TooLarge);
    let mut over = again(&imported);
    over.expiry.idle = Duration::from_secs(59);
    assert_eq!(kind(store.import(key, over).await), StoreErrorKind::Gone, "its time is over");
    let policy = LoginPolicy { max: 1, when_full: WhenFull::RefuseNew };
    let login = Some(Login { user: "jon".into(), policy });
    let other = NewSession { login: login.clone(), ..NewSession::new(Expiry::default()) };
    let other = store.create(other).await.expect("login").record.key;
    let full = Imported { login: login.clone(), ..again(&imported) };
    assert_eq!(kind(store.import(key, full.clone()).await), StoreErrorKind::Refused);
    assert!(store.load(key, None).await.expect("load").is_none());
    store.revoke(other, Reason::Operator).await.expect("revoke");
    assert!(take(store, key, &full).await, "what was refused can be taken later");
    assert_eq!(of_user(store, "jon").await, [key]);
}

async fn users_keep_their_places(fixture: &Fixture) {
    let store = &fixture.store;
    let policy = LoginPolicy { max: 2, when_full: WhenFull::EvictOldest };
    let login = Some(Login { user: "kim".into(), policy });
    let mut keys = Vec::new();
    for id in ["one", "two", "three"] {
        let (key, imported) = foreign(fixture, id).await;
        assert!(take(store, key, &Imported { login: login.clone(), ..imported }).await);
        keys.push(key);
    }
    let evicted = store.load(keys[0], None).await.expect_err("evicted");
    assert_eq!(evicted.reason(), Some(Reason::Evicted));
    assert_eq!(load(store, keys[1]).await.user.as_deref(), Some("kim"));
    let rotated = store.rotate(keys[1], rotation(vec![])).await.expect("rotate").record.key;
    let mut wanted = vec![rotated, keys[2]];
    wanted.sort();
    assert_eq!(of_user(store, "kim").await, wanted);
}

async fn the_first_settlement_counts(fixture: &Fixture) {
    let store = &fixture.store;
    let (key, imported) = foreign(fixture, "settled").await;
    assert!(take(store, key, &imported).await);
    store.settle(key, Duration::from_secs(10)).await.expect("settle");
    let first = load(store, key).await;
    let ends = first.taken.and_then(|taken| taken.foreign_until_ms).expect("an end");
    assert!(ends >= imported.accessed_ms + 70_000);
    store.settle(key, Duration::from_secs(3600)).await.expect("settle");
    assert_eq!(load(store, key).await.taken, first.taken, "the first one decides");
    assert_eq!((first.version, first.accessed_ms), (1, imported.accessed_ms), "it is no write and no access");
    let own = create(store).await.record.key;
    store.settle(own, Duration::ZERO).await.expect("nothing to settle is no error");
    assert_eq!(load(store, own).await.taken, None);
}

async fn of_user(store: &Arc<dyn SessionStore>, user: &str) -> Vec<SessionKey> {
    let page = store.scan(ScanQuery::of_user(user)).await.expect("scan");
    let mut keys: Vec<_> = page.sessions.iter().map(|summary| summary.key).collect();
    keys.sort();
    keys
}
