//! The part of the conformance suite about users.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::OpId;
use crate::error::StoreErrorKind;
use crate::record::Created;
use crate::store::{ScanQuery, SessionStore};
use crate::write::{Commit, Expiry, Login, LoginPolicy, NewSession, Reason, Rotation, WhenFull};

use super::conformance::{Fixture, SHORT, all, create, load, rotation, until, writes};

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Fixture>,
{
    login_evicts_the_oldest(&make().await).await;
    login_is_refused_when_full(&make().await).await;
    login_with_rotation(&make().await).await;
    expired_sessions_free_their_places(&make().await).await;
    logout_and_revocation_free_places(&make().await).await;
    concurrent_logins_keep_the_limit(&make().await).await;
}

async fn login_evicts_the_oldest(fixture: &Fixture) {
    let store = &fixture.store;
    let policy = LoginPolicy { max: 2, when_full: WhenFull::EvictOldest };
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(new_login(store, "alice", policy).await.expect("login").record.key);
    }
    let error = store.load(sessions[0], None).await.expect_err("evicted");
    assert_eq!((error.kind(), error.reason()), (StoreErrorKind::Revoked, Some(Reason::Evicted)));
    let late = store.commit(sessions[0], writes(vec![])).await.expect_err("evicted");
    assert_eq!(late.kind(), StoreErrorKind::Revoked);
    for key in &sessions[1..] {
        assert_eq!(load(store, *key).await.user.as_deref(), Some("alice"));
    }
    assert_eq!(of_user(store, "alice").await, sorted(sessions[1..].to_vec()));
}

async fn login_is_refused_when_full(fixture: &Fixture) {
    let store = &fixture.store;
    let policy = LoginPolicy { max: 1, when_full: WhenFull::RefuseNew };
    let first = new_login(store, "bob", policy).await.expect("login").record.key;
    let refused = new_login(store, "bob", policy).await.expect_err("full");
    assert_eq!(refused.kind(), StoreErrorKind::Refused);
    let anonymous = create(store).await.record.key;
    let refused = rotate_to(store, anonymous, "bob", policy).await.expect_err("full");
    assert_eq!(refused.kind(), StoreErrorKind::Refused);
    assert_eq!(load(store, anonymous).await.user, None, "a refused login leaves the session as it was");
    assert_eq!(load(store, first).await.user.as_deref(), Some("bob"));
    new_login(store, "carol", policy).await.expect("another user");
    assert_eq!(all(store).await.len(), 3, "refused logins leave no sessions behind");
}

async fn login_with_rotation(fixture: &Fixture) {
    let store = &fixture.store;
    let policy = LoginPolicy { max: 1, when_full: WhenFull::RefuseNew };
    let anonymous = create(store).await.record.key;
    let first = rotate_to(store, anonymous, "dora", policy).await.expect("login");
    assert_eq!(load(store, anonymous).await.key, first.record.key);
    let again = rotate_to(store, first.record.key, "dora", policy).await.expect("the same user again");
    assert_eq!(of_user(store, "dora").await, [again.record.key], "it does not compete with itself");
    let plain = store.rotate(again.record.key, rotation(vec![])).await.expect("rotate");
    assert_eq!(load(store, plain.record.key).await.user.as_deref(), Some("dora"));
    assert_eq!(of_user(store, "dora").await, [plain.record.key]);
    let other = rotate_to(store, plain.record.key, "emil", policy).await.expect("another user");
    assert_eq!(load(store, other.record.key).await.user.as_deref(), Some("emil"));
    assert!(of_user(store, "dora").await.is_empty(), "the place of the former user is free");
}

async fn expired_sessions_free_their_places(fixture: &Fixture) {
    let store = &fixture.store;
    let policy = LoginPolicy { max: 1, when_full: WhenFull::RefuseNew };
    let expiry = Expiry { idle: SHORT, absolute: Duration::from_secs(3600) };
    let login = Some(Login { user: "fay".into(), policy });
    let short = NewSession { login, ..NewSession::new(expiry) };
    store.create(short).await.expect("login");
    (fixture.advance)(SHORT);
    until("an expired session frees its place", || async { new_login(store, "fay", policy).await.is_ok() })
        .await;
}

async fn logout_and_revocation_free_places(fixture: &Fixture) {
    let store = &fixture.store;
    let policy = LoginPolicy { max: 1, when_full: WhenFull::RefuseNew };
    let first = new_login(store, "gil", policy).await.expect("login").record.key;
    let logout = Commit { op: OpId::random(), ops: vec![], expected: None, logout: true };
    store.commit(first, logout).await.expect("logout");
    assert_eq!(load(store, first).await.user, None, "the session goes on without a user");
    let second = new_login(store, "gil", policy).await.expect("the place is free").record.key;
    store.revoke(second, Reason::Operator).await.expect("revoke");
    new_login(store, "gil", policy).await.expect("the place is free");
}

async fn concurrent_logins_keep_the_limit(fixture: &Fixture) {
    let store = &fixture.store;
    let policy = LoginPolicy { max: 1, when_full: WhenFull::RefuseNew };
    let login = || new_login(store, "hal", policy);
    let (a, b, c, d) = tokio::join!(login(), login(), login(), login());
    let won = [a, b, c, d].into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1, "one of them gets the place");
    assert_eq!(of_user(store, "hal").await.len(), 1);
}

async fn new_login(
    store: &Arc<dyn SessionStore>,
    user: &str,
    policy: LoginPolicy,
) -> Result<Created, crate::StoreError> {
    let login = Some(Login { user: user.into(), policy });
    store.create(NewSession { login, ..NewSession::new(Expiry::default()) }).await
}

async fn rotate_to(
    store: &Arc<dyn SessionStore>,
    key: crate::SessionKey,
    user: &str,
    policy: LoginPolicy,
) -> Result<Created, crate::StoreError> {
    let login = Some(Login { user: user.into(), policy });
    store.rotate(key, Rotation { login, ..rotation(vec![]) }).await
}

async fn of_user(store: &Arc<dyn SessionStore>, user: &str) -> Vec<crate::SessionKey> {
    let page = store.scan(ScanQuery::of_user(user)).await.expect("scan");
    sorted(page.sessions.iter().map(|summary| summary.key).collect())
}

fn sorted(mut keys: Vec<crate::SessionKey>) -> Vec<crate::SessionKey> {
    keys.sort();
    keys
}
