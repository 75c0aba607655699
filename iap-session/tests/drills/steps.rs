//! A gateway that dies between any two steps of what takes several.

use std::sync::Arc;
use std::time::Duration;

use iap_session::testing::{Proxy, RedisServer, Way};
use iap_session::{
    Expiry, Loaded, Login, LoginPolicy, NewSession, Op, Record, RedisConfig, RedisStore, Rotation, ScanQuery,
    SessionKey, SessionStore, StoreErrorKind, WhenFull,
};

use crate::ledger::{commit, create};
use crate::{all_keys_expire, beside, connect, connect_with};

const GRACE: Duration = Duration::from_secs(60);
/// More steps than anything has.
const MOST: u64 = 20;

fn login(user: &str) -> Login {
    Login { user: user.into(), policy: LoginPolicy { max: 1, when_full: WhenFull::EvictOldest } }
}

/// What a client has whose gateway has died: its old id.
async fn by(store: &Arc<RedisStore>, key: SessionKey) -> Option<Arc<Record>> {
    match store.load(key, None).await.expect("nobody has ended it") {
        Some(Loaded::Found { record, .. }) => Some(record),
        _ => None,
    }
}

/// Lets a gateway die after each of the steps of `work`; `check` looks at what is left, by another gateway.
/// Returns how many steps there were.
async fn after_each_step(
    server: &RedisServer,
    prepare: impl AsyncFn(&Arc<RedisStore>, u64) -> SessionKey,
    work: impl AsyncFn(&Arc<RedisStore>, SessionKey, u64) -> bool,
    check: impl AsyncFn(&Arc<RedisStore>, SessionKey, u64, bool),
) -> u64 {
    let survivor = connect(server.url()).await;
    let proxy = Proxy::start(server).await;
    for steps in 0..MOST {
        proxy.set(Way::Open);
        let config = RedisConfig { command_timeout: Duration::from_secs(5), ..RedisConfig::new(proxy.url()) };
        let dying = connect_with(config).await;
        let key = prepare(&survivor, steps).await;
        proxy.set(Way::Dies(steps));
        let done = work(&dying, key, steps).await;
        let lived = proxy.requests() <= steps;
        assert!(done || !lived, "nothing but its death stops it");
        check(&survivor, key, steps, done).await;
        if lived {
            return steps;
        }
    }
    panic!("it has no end");
}

async fn logged_in(store: &Arc<RedisStore>, user: &str) -> Vec<SessionKey> {
    let page = store.scan(ScanQuery::of_user(user)).await.expect("an answer");
    page.sessions.iter().map(|session| session.key).collect()
}

/// A login changes the id and takes a place in the user's set; the one who was there before has to go.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_dies_between_the_steps_of_a_login() {
    let server = beside(RedisServer::start).await;
    let user = |steps: u64| format!("user{steps}");
    let steps = after_each_step(
        &server,
        async |store, steps| {
            let before =
                NewSession { login: Some(login(&user(steps))), ..NewSession::new(Expiry::default()) };
            store.create(before).await.expect("another session of this user");
            let store: Arc<dyn SessionStore> = store.clone();
            let key = create(&store, Expiry::default()).await;
            store.commit(key, commit(7)).await.expect("a cart");
            key
        },
        async |store, key, steps| {
            let ops = vec![Op::Set("role".into(), "customer".into())];
            let rotation = Rotation { ops, login: Some(login(&user(steps))), ..Rotation::new(GRACE) };
            store.rotate(key, rotation).await.is_ok()
        },
        async |store, key, steps, done| {
            let record =
                by(store, key).await.expect("the client has its session, whichever step was the last");
            assert_eq!(record.attributes["count"], 7, "with all that was in it");
            let entered = record.user.is_some();
            assert_eq!(entered, record.attributes.contains_key("role"), "all of the login or nothing");
            assert!(entered || !done, "what was acknowledged is there");
            let sessions = logged_in(store, &user(steps)).await;
            assert!(sessions.len() <= 1, "never more than allowed");
            assert!(!entered || sessions == [record.key], "who is in has the place");
            if !entered {
                // The next attempt finds nothing in its way.
                let again = Rotation { login: Some(login(&user(steps))), ..Rotation::new(GRACE) };
                let next = store.rotate(key, again).await.expect("a login").record;
                assert_eq!(logged_in(store, &user(steps)).await, [next.key]);
            }
        },
    )
    .await;
    println!("a gateway dies after each of {steps} steps of a login: no session lost, no place taken twice");
    assert!(steps >= 5, "a login has steps to die between: {steps}");
    all_keys_expire([&server]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_dies_between_the_steps_of_a_change_of_id() {
    let server = beside(RedisServer::start).await;
    let steps = after_each_step(
        &server,
        async |store, _| {
            let new = NewSession { login: Some(login("kim")), ..NewSession::new(Expiry::default()) };
            store.create(new).await.expect("a session").record.key
        },
        async |store, key, _| store.rotate(key, Rotation::new(GRACE)).await.is_ok(),
        async |store, key, _, _| {
            let record = by(store, key).await.expect("the client has its session");
            assert_eq!(record.user.as_deref(), Some("kim"));
            // It can be used on, whichever id it has now.
            store.commit(key, commit(1)).await.expect("a write");
            assert_eq!(by(store, key).await.expect("a session").key, record.key);
        },
    )
    .await;
    println!("a gateway dies after each of {steps} steps of a change of id: no session lost");
    assert!(steps >= 4, "it has steps to die between: {steps}");
    // A copy that nobody knows ends within a minute.
    for key in server.ask(&["KEYS", "iap:s:*"]).unwrap().lines() {
        let field = |name: &str| server.ask(&["HGET", key, name]).unwrap();
        if field("_st") == "a" && field("a:count").is_empty() {
            let left: i64 = server.ask(&["PTTL", key]).unwrap().parse().unwrap();
            assert!(left <= 60_000, "{key} lives on for {left} ms");
        }
    }
    all_keys_expire([&server]);
}

/// A first login creates the session and takes the place.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_dies_between_the_steps_of_a_first_login() {
    let server = beside(RedisServer::start).await;
    let user = |steps: u64| format!("new{steps}");
    let steps = after_each_step(
        &server,
        async |store, steps| {
            let before =
                NewSession { login: Some(login(&user(steps))), ..NewSession::new(Expiry::default()) };
            store.create(before).await.expect("another session of this user").record.key
        },
        async |store, _, steps| {
            let new = NewSession { login: Some(login(&user(steps))), ..NewSession::new(Expiry::default()) };
            store.create(new).await.is_ok()
        },
        async |store, before, steps, done| {
            let sessions = logged_in(store, &user(steps)).await;
            assert!(sessions.len() <= 1, "never more than allowed");
            let stands = match store.load(before, None).await {
                Ok(found) => found.is_some(),
                Err(error) if error.kind() == StoreErrorKind::Revoked => false,
                Err(error) => panic!("{error:?}"),
            };
            assert_eq!(stands, sessions.contains(&before), "in with a place, or out without");
            assert!(!done || !stands, "who came later has the place");
        },
    )
    .await;
    println!("a gateway dies after each of {steps} steps of a first login: no place taken twice");
    assert!(steps >= 3, "it has steps to die between: {steps}");
    all_keys_expire([&server]);
}
