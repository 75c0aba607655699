//! What every store has to do, as one function that panics where a store does something else.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::StoreErrorKind;
use crate::record::{Created, Loaded, Op, Record};
use crate::store::{ScanQuery, SessionStore};
use crate::write::{Commit, Expiry, NewSession, Reason, Rotation};
use crate::{OpId, SessionKey};

use super::{conditions, imports, logins, provenance};

/// A store under test.
///
/// `advance` moves the store's clock. A store that lives by another machine's clock does nothing
/// there: the suite waits for what it expects, with short lives and a long deadline.
pub struct Fixture {
    /// The store, with default limits and empty.
    pub store: Arc<dyn SessionStore>,
    /// Moves the clock of the store, where that is possible.
    pub advance: Box<dyn Fn(Duration) + Send + Sync>,
}

/// Runs the suite; `make` is called for each part and returns an empty store.
///
/// ```
/// use std::sync::Arc;
/// use iap_core::ManualClock;
/// use iap_session::testing::{Fixture, conformance};
/// use iap_session::{MemoryConfig, MemoryStore, SessionIds};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(
/// conformance(|| async {
///     let clock = ManualClock::at(1_000_000);
///     let config = MemoryConfig { clock: Arc::new(clock.clone()), ..MemoryConfig::default() };
///     Fixture {
///         store: Arc::new(MemoryStore::with_config(SessionIds::ephemeral(), config)),
///         advance: Box::new(move |by| clock.advance(by)),
///     }
/// })
/// # );
/// ```
///
/// # Panics
///
/// With a text that says what the store should have done.
pub async fn conformance<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Fixture>,
{
    create_and_load(&make().await).await;
    conditional_load(&make().await).await;
    commits_merge_and_replay(&make().await).await;
    expected_versions(&make().await).await;
    limits_refuse_without_effect(&make().await).await;
    idle_sessions_end(&make().await).await;
    absolute_deadline_wins(&make().await).await;
    touch_moves_the_deadline(&make().await).await;
    revoked_stays_revoked(&make().await).await;
    rotation_and_grace(&make().await).await;
    concurrent_rotations_have_one_winner(&make().await).await;
    rotation_loses_no_commit(&make().await).await;
    scans_see_everything(&make().await).await;
    conditions::run(&make).await;
    logins::run(&make).await;
    imports::run(&make).await;
    provenance::run(&make().await).await;
}

async fn create_and_load(fixture: &Fixture) {
    let store = &fixture.store;
    let (_, unknown) = store.ids().generate();
    assert!(store.load(unknown, None).await.expect("absent is no error").is_none(), "absent is None");

    let mut new = NewSession::new(Expiry::default());
    new.attributes.insert("cart".into(), json!({"items": [1, 2, "ü"]}));
    let created = store.create(new.clone()).await.expect("create");
    assert_eq!(created.record.key, store.ids().key(&created.id), "the key is the hash of the id");
    let found = load(store, created.record.key).await;
    assert_eq!(found.attributes, new.attributes);
    assert_eq!((found.version, found.user.clone()), (1, None));
    assert_eq!(found.idle_ms, 30 * 60 * 1000);
    let other = store.create(new).await.expect("create");
    assert_ne!(other.record.key, created.record.key, "every session has an id of its own");
}

async fn conditional_load(fixture: &Fixture) {
    let store = &fixture.store;
    let key = create(store).await.record.key;
    let unchanged = store.load(key, Some(1)).await.expect("load");
    assert!(matches!(unchanged, Some(Loaded::Unchanged { .. })), "the known version is not sent again");
    commit(store, key, vec![set("a", 1)]).await;
    let changed = store.load(key, Some(1)).await.expect("load");
    assert!(matches!(changed, Some(Loaded::Found { record, .. }) if record.version == 2));
}

async fn commits_merge_and_replay(fixture: &Fixture) {
    let store = &fixture.store;
    let key = create(store).await.record.key;
    let first = writes(vec![set("a", 1), set("b", 1)]);
    assert_eq!(store.commit(key, first.clone()).await.expect("commit"), 2);
    let second =
        commit(store, key, vec![set("c", 3), Op::Remove("a".into()), Op::Remove("none".into())]).await;
    assert_eq!(second, 3);
    assert_eq!(store.commit(key, first).await.expect("replay"), 2, "a replay returns its first result");
    let found = load(store, key).await;
    let names: Vec<_> = found.attributes.keys().map(String::as_str).collect();
    assert_eq!(names, ["b", "c"], "others stay, removed goes, a replay has no effect");
    assert_eq!(found.version, 3);

    let (left, right) = tokio::join!(
        store.commit(key, writes(vec![set("left", true)])),
        store.commit(key, writes(vec![set("right", true)])),
    );
    left.expect("commit");
    right.expect("commit");
    let found = load(store, key).await;
    assert!(found.attributes.contains_key("left") && found.attributes.contains_key("right"));

    let (_, unknown) = store.ids().generate();
    let late = store.commit(unknown, writes(vec![set("a", 1)])).await.expect_err("no such session");
    assert_eq!(late.kind(), StoreErrorKind::Gone);
    assert!(store.load(unknown, None).await.expect("load").is_none(), "a commit creates nothing");
}

async fn expected_versions(fixture: &Fixture) {
    let store = &fixture.store;
    let key = create(store).await.record.key;
    let guarded = |expected| Commit { expected: Some(expected), ..writes(vec![set("a", expected)]) };
    assert_eq!(store.commit(key, guarded(1)).await.expect("commit"), 2);
    let error = store.commit(key, guarded(1)).await.expect_err("an old version");
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    assert_eq!(load(store, key).await.attributes["a"], json!(1));
}

async fn limits_refuse_without_effect(fixture: &Fixture) {
    let store = &fixture.store;
    let limits = *store.limits();
    let key = create(store).await.record.key;
    let big = Op::Set("big".into(), json!("x".repeat(limits.attribute_bytes)));
    let part = |index: usize| Op::Set(format!("part{index}"), json!("x".repeat(limits.attribute_bytes - 10)));
    let many = (0..=limits.attributes).map(|index| set(&format!("n{index}"), 1)).collect();
    let parts = limits.session_bytes / limits.attribute_bytes;
    let heavy = (0..=parts).map(part).collect();
    for ops in [vec![set("fine", 1), big], many, heavy] {
        let error = store.commit(key, writes(ops)).await.expect_err("over a limit");
        assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    }
    // The limit counts what is stored, not what one commit brings.
    for index in 0..parts {
        commit(store, key, vec![part(index)]).await;
    }
    let error = store.commit(key, writes(vec![part(parts)])).await.expect_err("over the session's limit");
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert_eq!(load(store, key).await.attributes.len(), parts, "a refused write changes nothing");
    commit(store, key, vec![Op::Remove("part0".into()), part(parts)]).await;

    let nameless = store.commit(key, writes(vec![set("", 1)])).await.expect_err("no name");
    assert_eq!(nameless.kind(), StoreErrorKind::Invalid);
}

async fn idle_sessions_end(fixture: &Fixture) {
    let store = &fixture.store;
    let key = create_for(store, SHORT, Duration::from_secs(3600)).await.record.key;
    (fixture.advance)(SHORT);
    until("an idle session ends", || async { store.load(key, None).await.expect("load").is_none() }).await;
    let late = store.commit(key, writes(vec![set("a", 1)])).await.expect_err("expired");
    assert_eq!(late.kind(), StoreErrorKind::Gone, "a late commit does not bring a session back");
    assert_eq!(store.touch(key).await.expect_err("expired").kind(), StoreErrorKind::Gone);
    let rotation = store.rotate(key, rotation(vec![])).await.expect_err("expired");
    assert_eq!(rotation.kind(), StoreErrorKind::Gone);
    assert!(store.load(key, None).await.expect("load").is_none());
}

async fn absolute_deadline_wins(fixture: &Fixture) {
    let store = &fixture.store;
    let key = create_for(store, Duration::from_secs(3600), SHORT).await.record.key;
    (fixture.advance)(SHORT);
    until("touches do not outlive the absolute deadline", || async {
        matches!(store.touch(key).await, Err(error) if error.kind() == StoreErrorKind::Gone)
    })
    .await;
    assert!(store.load(key, None).await.expect("load").is_none());
}

async fn touch_moves_the_deadline(fixture: &Fixture) {
    let store = &fixture.store;
    let created = create(store).await.record;
    until("a touch moves the deadline", || async {
        (fixture.advance)(Duration::from_millis(5));
        store.touch(created.key).await.expect("touch");
        load(store, created.key).await.deadline_ms() > created.deadline_ms()
    })
    .await;
    assert_eq!(load(store, created.key).await.version, 1, "a touch makes no new version");
}

async fn revoked_stays_revoked(fixture: &Fixture) {
    let store = &fixture.store;
    let key = create(store).await.record.key;
    assert!(store.revoke(key, Reason::Operator).await.expect("revoke"));
    assert!(!store.revoke(key, Reason::Destroyed).await.expect("revoke"), "the second one ends nothing");
    let load = store.load(key, None).await.expect_err("revoked");
    assert_eq!((load.kind(), load.reason()), (StoreErrorKind::Revoked, Some(Reason::Operator)));
    let late = store.commit(key, writes(vec![set("a", 1)])).await.expect_err("revoked");
    assert_eq!(late.kind(), StoreErrorKind::Revoked);
    assert_eq!(store.touch(key).await.expect_err("revoked").kind(), StoreErrorKind::Revoked);
    let rotated = store.rotate(key, rotation(vec![])).await.expect_err("revoked");
    assert_eq!(rotated.kind(), StoreErrorKind::Revoked);
    let (_, unknown) = store.ids().generate();
    assert!(!store.revoke(unknown, Reason::Operator).await.expect("revoke"));
}

async fn rotation_and_grace(fixture: &Fixture) {
    let store = &fixture.store;
    let old = create(store).await.record.key;
    commit(store, old, vec![set("kept", 1)]).await;
    let rotated = store.rotate(old, rotation(vec![set("added", 2)])).await.expect("rotate");
    let new = rotated.record.key;
    assert_ne!(new, old);
    assert_eq!(new, store.ids().key(&rotated.id));
    for key in [old, new] {
        let found = load(store, key).await;
        assert_eq!(found.key, new, "both ids lead to the new session");
        assert_eq!((&found.attributes["kept"], &found.attributes["added"]), (&json!(1), &json!(2)));
    }
    let again = store.rotate(old, rotation(vec![])).await.expect_err("rotated before");
    assert_eq!(again.kind(), StoreErrorKind::Conflict, "the old id cannot rotate again");
    commit(store, old, vec![set("late", 3)]).await;
    assert_eq!(load(store, new).await.attributes["late"], json!(3), "a late commit reaches the new session");

    let short = Rotation { grace: SHORT, ..rotation(vec![]) };
    let newest = store.rotate(new, short).await.expect("rotate").record.key;
    (fixture.advance)(SHORT);
    until("the grace ends", || async { store.load(new, None).await.expect("load").is_none() }).await;
    let late = store.commit(new, writes(vec![set("late", 4)])).await.expect_err("after the grace");
    assert_eq!(late.kind(), StoreErrorKind::Gone);
    load(store, newest).await;
}

async fn concurrent_rotations_have_one_winner(fixture: &Fixture) {
    let store = &fixture.store;
    let old = create(store).await.record.key;
    let rotate = || store.rotate(old, rotation(vec![]));
    let (a, b, c) = tokio::join!(rotate(), rotate(), rotate());
    let results = [a, b, c];
    let won: Vec<_> = results.iter().flatten().collect();
    assert_eq!(won.len(), 1, "one rotation wins");
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(error.kind(), StoreErrorKind::Conflict);
    }
    assert_eq!(load(store, old).await.key, won[0].record.key);
    assert_eq!(all(store).await.len(), 1, "the losers leave nothing behind");
}

/// Commits from many sides while the id changes again and again. What was acknowledged is there.
async fn rotation_loses_no_commit(fixture: &Fixture) {
    let store = &fixture.store;
    for _ in 0..10 {
        let old = create(store).await.record.key;
        let start = Arc::new(tokio::sync::Barrier::new(5));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (store, start) = (store.clone(), start.clone());
                tokio::spawn(async move {
                    start.wait().await;
                    for count in 0..20 {
                        commit(&store, old, vec![set(&format!("w{writer}.{count}"), count)]).await;
                    }
                })
            })
            .collect();
        start.wait().await;
        let rotated = loop {
            match store.rotate(old, rotation(vec![set("rotated", true)])).await {
                Ok(rotated) => break rotated.record.key,
                // A store may give up while others write; then the session is as it was.
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict),
            }
        };
        for writer in writers {
            writer.await.expect("a writer ends well");
        }
        let found = load(store, rotated).await;
        assert_eq!(found.attributes.len(), 81, "every acknowledged write is there");
        assert_eq!(all(store).await, [rotated], "and nothing else");
        store.revoke(rotated, Reason::Destroyed).await.expect("revoke");
    }
}

async fn scans_see_everything(fixture: &Fixture) {
    let store = &fixture.store;
    let mut wanted = Vec::new();
    for _ in 0..25 {
        wanted.push(create(store).await.record.key);
    }
    let gone = create(store).await.record.key;
    store.revoke(gone, Reason::Destroyed).await.expect("revoke");
    let mut seen = all(store).await;
    seen.sort();
    seen.dedup();
    wanted.sort();
    assert_eq!(seen, wanted, "all live sessions and no others");
    assert_eq!(store.stats().await.expect("stats").live, 25);
    let nonsense = ScanQuery { cursor: Some("no cursor".into()), ..ScanQuery::default() };
    assert_eq!(store.scan(nonsense).await.expect_err("nonsense").kind(), StoreErrorKind::Invalid);
}

/// A life short enough to wait for where the clock cannot be moved.
pub(super) const SHORT: Duration = Duration::from_millis(250);

pub(super) async fn create(store: &Arc<dyn SessionStore>) -> Created {
    store.create(NewSession::new(Expiry::default())).await.expect("create")
}

async fn create_for(store: &Arc<dyn SessionStore>, idle: Duration, absolute: Duration) -> Created {
    store.create(NewSession::new(Expiry { idle, absolute })).await.expect("create")
}

pub(super) async fn load(store: &Arc<dyn SessionStore>, key: SessionKey) -> Arc<Record> {
    match store.load(key, None).await.expect("load") {
        Some(Loaded::Found { record, .. }) => record,
        other => panic!("the session should have been found, not {other:?}"),
    }
}

/// The keys of all pages, in pages so small that there are several.
pub(super) async fn all(store: &Arc<dyn SessionStore>) -> Vec<SessionKey> {
    let mut seen = Vec::new();
    let mut query = ScanQuery { limit: 10, ..ScanQuery::default() };
    for _ in 0..1000 {
        let page = store.scan(query.clone()).await.expect("scan");
        seen.extend(page.sessions.iter().map(|summary| summary.key));
        query.cursor = page.next;
        if query.cursor.is_none() {
            return seen;
        }
    }
    panic!("a scan ends");
}

pub(super) async fn commit(store: &Arc<dyn SessionStore>, key: SessionKey, ops: Vec<Op>) -> u64 {
    store.commit(key, writes(ops)).await.expect("commit")
}

pub(super) fn set(name: &str, value: impl Into<serde_json::Value>) -> Op {
    Op::Set(name.into(), value.into())
}

pub(super) fn writes(ops: Vec<Op>) -> Commit {
    Commit { op: OpId::random(), ops, expected: None, logout: false }
}

pub(super) fn rotation(ops: Vec<Op>) -> Rotation {
    Rotation { ops, ..Rotation::new(Duration::from_secs(60)) }
}

/// Waits until `holds` is true; gives up after half a minute.
pub(super) async fn until<F, Fut>(what: &str, holds: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = bool>,
{
    let give_up = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < give_up, "{what}: not within half a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
