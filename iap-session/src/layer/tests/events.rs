use tokio::runtime::Handle;

use crate::events::{self, Event, EventId, EventKind, Events, EventsConfig};

use super::*;

/// A layer that tells what happens, and who listens to it.
fn told_bench(login: LoginPolicy) -> (Bench, Events) {
    let (emitter, queue) = events::channel(EventsConfig::default(), None);
    let events = Events::start(queue, None, &Handle::current());
    (bench_with(SessionConfig { login, events: Some(emitter), ..SessionConfig::default() }), events)
}

async fn told(events: &Events) -> Vec<Arc<Event>> {
    events.flush(Duration::from_secs(30)).await;
    let page = events.read(EventId::default(), 1_000).await.unwrap();
    page.events.into_iter().map(|entry| entry.event).collect()
}

#[tokio::test]
async fn a_life_is_told_in_order_and_each_step_names_the_one_before() {
    let (bench, events) = told_bench(LoginPolicy::default());
    let mut cookie = bench.cookie().await;
    for app in [
        bench.app(async |session| session.login("alice").await),
        bench.reader(),
        bench.writer(),
        bench.app(async |session| session.rotate()),
        bench.app(async |session| session.logout()),
        bench.app(async |session| session.logout()),
        bench.app(async |session| session.destroy()),
        bench.app(async |session| session.login("bora").await),
    ] {
        let response = send(&app, get(&cookie)).await.unwrap();
        cookie = cookie_of(&response).unwrap_or(cookie);
    }
    let told = told(&events).await;
    let kinds: Vec<_> = told.iter().map(|event| (event.kind, event.user.as_deref())).collect();
    use EventKind::*;
    let alice = Some("alice");
    let wanted = [
        (Created, None),
        (Login, alice),
        (Rotated, alice),
        (Logout, alice),
        (Revoked, None),
        (Created, Some("bora")),
        (Login, Some("bora")),
    ];
    assert_eq!(kinds, wanted, "what changes nothing is not told");
    assert_eq!((told[1].previous, told[2].previous), (told[0].key, told[1].key));
    assert_eq!((told[3].key, told[4].key, told[4].by), (told[2].key, told[2].key, Some(Reason::Destroyed)));
    assert_eq!((told[6].key, told[6].previous), (told[5].key, None));
    let page = bench.store.scan(ScanQuery::default()).await.unwrap();
    assert_eq!(told[6].key, Some(page.sessions[0].key));
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_and_one_that_fails_is_not() {
    let (bench, events) = told_bench(LoginPolicy { max: 1, when_full: WhenFull::RefuseNew });
    let login = bench.app(async |session| session.login("alice").await);
    send(&login, get("")).await.unwrap();
    send(&login, get("")).await.unwrap();
    let cookie = bench.cookie().await;
    send(&login, get(&cookie)).await.unwrap();
    bench.store.fail_writes(true);
    let other = bench.app(async |session| session.login("bora").await);
    send(&other, get("")).await.expect_err("no store");
    let told = told(&events).await;
    let refused: Vec<_> = told.iter().filter(|event| event.kind == EventKind::LoginRefused).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|event| event.user.as_deref() == Some("alice")));
    let page = bench.store.scan(ScanQuery::default()).await.unwrap();
    let anonymous = page.sessions.iter().find(|session| session.user.is_none()).unwrap().key;
    assert_eq!((refused[0].key, refused[1].key), (None, Some(anonymous)));
    assert!(!told.iter().any(|event| event.user.as_deref() == Some("bora")));
}
