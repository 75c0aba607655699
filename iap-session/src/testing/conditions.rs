//! The part of the conformance suite about conditions, bindings and lives that change.

use std::future::Future;
use std::time::Duration;

use serde_json::json;

use crate::error::StoreErrorKind;
use crate::record::Op;
use crate::write::{Expiry, NewSession, Rotation};

use super::conformance::{Fixture, commit, create, load, rotation, set, writes};

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Fixture>,
{
    conditions_are_of_the_moment(&make().await).await;
    one_of_many_conditional_writes_wins(&make().await).await;
    bindings_and_lives_change_with_the_id(&make().await).await;
}

fn test(name: &str, value: Option<serde_json::Value>) -> Op {
    Op::Test(name.into(), value)
}

async fn conditions_are_of_the_moment(fixture: &Fixture) {
    let store = &fixture.store;
    let key = create(store).await.record.key;
    let value = json!({"b": [1, 2.5, "ü"], "a": null});
    commit(store, key, vec![test("a", None), Op::Set("a".into(), value.clone())]).await;
    for wrong in [None, Some(json!({"b": [1, 2.5, "ü"]})), Some(json!("other"))] {
        let ops = vec![set("b", 1), test("a", wrong)];
        let error = store.commit(key, writes(ops)).await.expect_err("another value");
        assert_eq!(error.kind(), StoreErrorKind::Conflict);
    }
    let absent = store.commit(key, writes(vec![test("none", Some(json!(1)))])).await;
    assert_eq!(absent.expect_err("absent is another value").kind(), StoreErrorKind::Conflict);
    let record = load(store, key).await;
    assert_eq!((record.version, record.attributes.len()), (2, 1), "a conflict changes nothing");

    let replayed = writes(vec![test("a", Some(value)), Op::Remove("a".into()), test("b", None), set("b", 2)]);
    assert_eq!(store.commit(key, replayed.clone()).await.expect("conditions hold"), 3);
    assert_eq!(store.commit(key, replayed).await.expect("replay"), 3, "a replay is no conflict");
    let record = load(store, key).await;
    assert_eq!(record.attributes, [("b".to_owned(), json!(2))].into());
    // What the store counts is still right: a session may be filled to its limit.
    let room = store.limits().attributes - 1;
    commit(store, key, (0..room).map(|index| set(&format!("n{index}"), 1)).collect()).await;
    let full = store.commit(key, writes(vec![test("b", Some(json!(2))), set("more", 1)])).await;
    assert_eq!(full.expect_err("over the limit").kind(), StoreErrorKind::TooLarge);
}

async fn one_of_many_conditional_writes_wins(fixture: &Fixture) {
    let store = &fixture.store;
    let key = create(store).await.record.key;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            store.commit(key, writes(vec![test("seat", None), set("seat", number)])).await.is_ok()
        });
    }
    let won = writers.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1, "the seat is taken once");
}

async fn bindings_and_lives_change_with_the_id(fixture: &Fixture) {
    let store = &fixture.store;
    let new = NewSession { binding: Some("home".into()), ..NewSession::new(Expiry::default()) };
    let first = store.create(new).await.expect("create").record;
    assert_eq!(load(store, first.key).await.binding.as_deref(), Some("home"));
    commit(store, first.key, vec![set("a", 1)]).await;

    let kept = store.rotate(first.key, rotation(vec![])).await.expect("rotate").record;
    let kept = load(store, kept.key).await;
    assert_eq!((kept.binding.as_deref(), kept.idle_ms), (Some("home"), 1_800_000), "nothing else was asked");

    let expiry = Expiry { idle: Duration::from_secs(100), absolute: Duration::from_secs(1000) };
    let change = Rotation { expiry: Some(expiry), binding: Some("office".into()), ..rotation(vec![]) };
    let next = store.rotate(kept.key, change).await.expect("rotate").record;
    let next = load(store, next.key).await;
    assert_eq!((next.binding.as_deref(), next.idle_ms), (Some("office"), 100_000));
    let from = next.absolute_ms - 1_000_000;
    assert!(from >= next.created_ms && from <= next.accessed_ms, "the new life counts from the rotation");
}
