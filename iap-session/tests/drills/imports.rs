//! Gateways that die, race and lose replies while they take sessions over from another system.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use iap_core::{Clock, SystemClock};
use iap_session::testing::{Proxy, RedisServer, Way};
use iap_session::{
    Expiry, Imported, Loaded, Login, LoginPolicy, OpId, Reason, Rotation, ScanQuery, SessionKey,
    SessionStore, StoreErrorKind, WhenFull,
};

use crate::ledger::{answered, until};
use crate::{all_keys_expire, beside, connect};

const SESSIONS: usize = 200;
/// Users have some sessions each, and no more are allowed.
const USERS: usize = 50;

fn imported(number: usize) -> Imported {
    let now_ms = SystemClock.now_ms();
    let policy = LoginPolicy { max: (SESSIONS / USERS) as u32, when_full: WhenFull::RefuseNew };
    Imported {
        op: OpId::random(),
        created_ms: now_ms - 600_000,
        accessed_ms: now_ms - 1000,
        expiry: Expiry::default(),
        attributes: [("number".to_owned(), number.into())].into(),
        login: Some(Login { user: user(number).into(), policy }),
        remember: Duration::from_secs(3600),
    }
}

fn user(number: usize) -> String {
    format!("user{}", number % USERS)
}

fn key(store: &Arc<dyn SessionStore>, number: usize) -> SessionKey {
    store.ids().foreign("drill", &format!("old session {number}")).key()
}

/// Takes every session over that is left, and balances the books: each old session is one of ours, as it was, with its place
/// in its user's set, and none is taken twice. What is ended then stays ended.
async fn balance(store: &Arc<dyn SessionStore>, server: &RedisServer, name: &str, before: usize) {
    let mut taken = before;
    for number in 0..SESSIONS {
        taken += usize::from(answered(|| store.import(key(store, number), imported(number))).await.unwrap());
    }
    for number in 0..SESSIONS {
        let found = answered(|| store.load(key(store, number), None)).await.unwrap();
        let Some(Loaded::Found { record, .. }) = found else { panic!("{name}: session {number} is lost") };
        assert_eq!(record.attributes["number"], number);
        assert_eq!(record.user.as_deref(), Some(&*user(number)));
        assert_eq!(record.version, 1, "{name}: nothing was written twice");
    }
    for number in 0..USERS {
        let page = answered(|| store.scan(ScanQuery::of_user(&user(number)))).await.unwrap();
        assert_eq!(page.sessions.len(), SESSIONS / USERS, "{name}: places of {}", user(number));
    }
    println!(
        "LEDGER | {name} | {SESSIONS} sessions | {before} known to be taken before | {taken} known in all |"
    );
    assert!(taken <= SESSIONS, "{name}: a session was taken twice");
    for number in 0..SESSIONS {
        let key = key(store, number);
        if number % 2 == 0 {
            assert!(answered(|| store.revoke(key, Reason::Destroyed)).await.unwrap());
        } else {
            let grace = Duration::ZERO;
            let rotation = Rotation::new(grace);
            answered(|| store.rotate(key, rotation.clone())).await.unwrap();
        }
        let again = answered(|| store.import(key, imported(number))).await.unwrap();
        assert!(!again, "{name}: what has ended or has another id was taken again");
        assert!(!matches!(store.load(key, None).await, Ok(Some(_))), "{name}: it came back");
    }
    all_keys_expire([server]);
}

/// Two gateways take over the same sessions; each is killed at a moment of its own, again and again. What a killed gateway
/// has sent, Redis does; nothing else of it is left.
#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_die_between_the_steps_lose_no_session() {
    let server = beside(RedisServer::start).await;
    let store: Arc<dyn SessionStore> = connect(server.url()).await;
    let taken = Arc::new(AtomicUsize::new(0));
    for round in 0..40 {
        let mut gateways = Vec::new();
        for gateway in 0..2 {
            let (own, taken): (Arc<dyn SessionStore>, _) = (connect(server.url()).await, taken.clone());
            gateways.push(tokio::spawn(async move {
                // From both ends of what is left, so that they meet.
                for step in 0..SESSIONS {
                    let number = if gateway == 0 { step } else { SESSIONS - 1 - step };
                    if let Ok(true) = own.import(key(&own, number), imported(number)).await {
                        taken.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }));
        }
        // Later and later, so that every step is met.
        let goal = round * 5;
        let dies = async || {
            let finished = gateways.iter().all(tokio::task::JoinHandle::is_finished);
            finished || taken.load(Ordering::SeqCst) >= goal
        };
        until("they go on", dies).await;
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        gateways.iter().for_each(tokio::task::JoinHandle::abort);
        for gateway in gateways {
            let _ = gateway.await;
        }
    }
    let before = taken.load(Ordering::SeqCst);
    balance(&store, &server, "Import, gateways die between the steps", before).await;
}

/// Whether a session was taken is not lost with the reply.
#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_take_nothing_twice() {
    let server = beside(RedisServer::start).await;
    let proxy = Proxy::start(&server).await;
    let store: Arc<dyn SessionStore> = connect(proxy.url()).await;
    proxy.set(Way::Lossy(20));
    let mut taken = 0;
    for number in 0..SESSIONS / 2 {
        // Repeated under its own name, as a gateway would.
        let what = imported(number);
        match answered(|| store.import(key(&store, number), what.clone())).await {
            Ok(first) => taken += usize::from(first),
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
    proxy.set(Way::Open);
    assert_eq!(taken, SESSIONS / 2, "each is known to be taken by the one that took it");
    balance(&store, &server, "Import, every 20th reply is lost", taken).await;
}

/// A server without memory takes nothing over, and has forgotten nothing afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_takes_nothing_over() {
    let server = beside(RedisServer::start).await;
    let store: Arc<dyn SessionStore> = connect(server.url()).await;
    for number in 0..SESSIONS / 2 {
        assert!(store.import(key(&store, number), imported(number)).await.unwrap());
    }
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let refused =
        store.import(key(&store, SESSIONS - 1), imported(SESSIONS - 1)).await.expect_err("no memory");
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    balance(&store, &server, "Import, OOM under noeviction", SESSIONS / 2).await;
}
