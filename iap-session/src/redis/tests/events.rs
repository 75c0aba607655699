//! Events of several gateways at a real server.

use tokio::runtime::Handle;

use super::*;
use crate::Sessions;
use crate::events::{
    self, Batch, Due, Emitter, Event, EventId, EventKind, EventLog, Events, EventsConfig, Swept, Told,
};

/// A store with what happens to its sessions.
struct Gateway {
    store: Arc<RedisStore>,
    events: Events,
}

async fn gateway(server: &RedisServer, node: &str) -> Gateway {
    let (emitter, queue) = events::channel(EventsConfig::default(), Some(node.into()));
    gateway_with(server, emitter, queue).await
}

async fn gateway_with(server: &RedisServer, emitter: Emitter, queue: events::Queue) -> Gateway {
    let ids = SessionIds::new(SECRET).unwrap();
    let config = RedisConfig { events: Some(emitter), ..patient(server.url()) };
    let store = Arc::new(RedisStore::connect(ids, config).await.unwrap());
    let log = Some(store.clone() as Arc<dyn EventLog>);
    Gateway { events: Events::start(queue, log, &Handle::current()), store }
}

impl Gateway {
    fn emitter(&self) -> &Emitter {
        self.events.emitter()
    }

    async fn create(&self, expiry: Expiry, user: Option<&str>) -> Arc<Record> {
        let policy = LoginPolicy { max: 1, when_full: WhenFull::EvictOldest };
        let login = user.map(|user| Login { user: user.into(), policy });
        let record = self.store.create(NewSession { login, ..NewSession::new(expiry) }).await.unwrap().record;
        self.emitter().created(&record);
        record
    }

    /// All that has been told anywhere.
    async fn told(&self) -> Vec<Event> {
        self.events.flush(Duration::from_secs(30)).await;
        let entries = self.store.events_after(EventId::default(), 1_000).await.unwrap();
        entries.into_iter().map(|(_, event)| event).collect()
    }

    async fn count(&self, kind: EventKind, key: SessionKey) -> usize {
        self.told().await.iter().filter(|event| event.kind == kind && event.key == Some(key)).count()
    }

    async fn watched(&self) -> Vec<String> {
        let key = "iap:{events}:deadlines".into();
        let args = vec![key, "-inf".into(), "+inf".into()];
        self.store
            .connection
            .command("ZRANGEBYSCORE", ClusterHash::FirstKey, args, Effect::Read)
            .await
            .unwrap()
    }
}

fn short() -> Expiry {
    Expiry { idle: Duration::from_millis(300), absolute: Duration::from_secs(3600) }
}

fn told_by(record: &Record) -> impl Fn(&Due) -> Event + Sync {
    let node = Some(Arc::from(&*record.key.short()));
    move |due: &Due| Event {
        at_ms: 0,
        kind: EventKind::Expired,
        key: Some(due.key),
        user: due.user.clone(),
        previous: None,
        by: None,
        reason: None,
        node: node.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gateway_sees_what_all_have_told_in_one_order() {
    let server = RedisServer::start();
    let gateways = [gateway(&server, "one").await, gateway(&server, "two").await];
    let first = gateways[0].create(Expiry::default(), Some("alice")).await;
    eventually("the other has it", async || (gateways[1].told().await.len() == 1).then_some(())).await;
    gateways[1].create(Expiry::default(), Some("alice")).await;
    let key = first.key;
    for gateway in &gateways {
        eventually("an eviction reaches all", async || {
            let page = gateway.events.read(EventId::default(), 100).await.unwrap();
            let kinds: Vec<_> = page.events.iter().map(|entry| entry.event.kind).collect();
            (kinds == [EventKind::Created, EventKind::Revoked, EventKind::Created]).then(|| {
                let event = &page.events[1].event;
                assert_eq!(
                    (event.key, event.by, event.user.as_deref()),
                    (Some(key), Some(Reason::Evicted), Some("alice"))
                );
                assert_eq!(event.node.as_deref(), Some("two"));
            })
        })
        .await;
    }
    let late = gateway(&server, "three").await;
    let page = late.events.read(EventId::default(), 2).await.unwrap();
    assert_eq!(page.events.len(), 2, "who comes later reads from where it wants");
    eventually("the rest follows", async || {
        let rest = late.events.read(page.next, 10).await.unwrap();
        (rest.events.len() == 1 && late.events.latest() == rest.next).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_by_time_is_told_once_though_several_look() {
    let server = RedisServer::start();
    let gateways =
        [gateway(&server, "one").await, gateway(&server, "two").await, gateway(&server, "three").await];
    let mut keys = Vec::new();
    for number in 0..40 {
        let user = format!("user{number}");
        keys.push(gateways[number % 3].create(short(), Some(&user)).await.key);
    }
    let told = eventually("all have expired", async || {
        let told = gateways[0].told().await;
        let expired: Vec<_> = told.into_iter().filter(|event| event.kind == EventKind::Expired).collect();
        (expired.len() >= keys.len()).then_some(expired)
    })
    .await;
    eventually("nothing is left to look at", async || gateways[0].watched().await.is_empty().then_some(()))
        .await;
    let mut seen: Vec<_> = told.iter().filter_map(|event| event.key).collect();
    seen.sort();
    keys.sort();
    assert_eq!(seen, keys, "each once");
    assert!(told.iter().all(|event| event.user.is_some()), "of whom is known though the session is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_touched_at_the_last_moment_lives() {
    let server = RedisServer::start();
    let gateway = gateway(&server, "one").await;
    let expiry = Expiry { idle: Duration::from_secs(2), absolute: Duration::from_secs(3600) };
    let (kept, left) = (gateway.create(expiry, None).await.key, gateway.create(expiry, None).await.key);
    let store = gateway.store.clone();
    let toucher = tokio::spawn(async move {
        while store.touch(kept).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    eventually("the other has expired", async || {
        (gateway.count(EventKind::Expired, left).await == 1).then_some(())
    })
    .await;
    // What was due is put back with its deadline: it is looked at again, and lives again.
    assert_eq!(gateway.watched().await, [format!("{kept}:")]);
    assert_eq!(gateway.count(EventKind::Expired, kept).await, 0);
    assert!(!toucher.is_finished(), "it lives");
    toucher.abort();
    eventually("then it expires", async || {
        (gateway.count(EventKind::Expired, kept).await == 1).then_some(())
    })
    .await;
}

/// A gateway that dies while it looks has told nothing: another one looks when its time is over.
#[tokio::test(flavor = "multi_thread")]
async fn who_dies_while_it_looks_is_followed_by_another() {
    let server = RedisServer::start();
    // Stores alone: nobody looks unless it is told to.
    let (first, second) = (connect(&server).await, connect(&server).await);
    let record = first.create(NewSession::new(short())).await.unwrap().record;
    let key = record.key;
    let due = Due { key, user: None, at_ms: record.deadline_ms() };
    let event = Event { kind: EventKind::Created, ..told_by(&record)(&due) };
    let told = vec![Told { event, watch: Some((due, record.absolute_ms)), forget: None }];
    let batch = Batch { op: OpId::random(), told };
    for _ in 0..3 {
        first.append(&batch, 100).await.unwrap();
    }
    assert_eq!(
        first.events_after(EventId::default(), 10).await.unwrap().len(),
        1,
        "a repeated batch has no second effect"
    );
    eventually("it has gone", async || second.load(key, None).await.unwrap().is_none().then_some(())).await;
    let expired = told_by(&record);
    // The first takes it, and never comes back.
    eventually("it is due", async || (first.claim().await.unwrap().len() == 1).then_some(())).await;
    assert_eq!(
        second.sweep(100, &expired).await.unwrap(),
        Swept::default(),
        "nobody else is given it meanwhile"
    );
    let member = format!("{key}:");
    server.ask(&["ZADD", "iap:{events}:deadlines", "XX", "1", &member]).unwrap();
    let (one, two) = tokio::join!(first.sweep(100, &expired), second.sweep(100, &expired));
    assert_eq!(one.unwrap().expired + two.unwrap().expired, 1);
    let told = first.events_after(EventId::default(), 10).await.unwrap();
    assert_eq!(told.iter().filter(|(_, event)| event.kind == EventKind::Expired).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_otherwise_is_not_told_as_expired_and_nothing_is_left_behind() {
    let server = RedisServer::start();
    let gateway = gateway(&server, "one").await;
    let sessions = Sessions::new(gateway.store.clone()).with_events(gateway.events.clone());
    let created = gateway.create(Expiry::default(), None).await;
    let policy = LoginPolicy::default();
    let login =
        Rotation { login: Some(Login { user: "alice".into(), policy }), ..Rotation::new(Duration::ZERO) };
    let entered = gateway.store.rotate(created.key, login).await.unwrap().record;
    gateway.emitter().login(&entered, Some(&created));
    let live = gateway.store.rotate(entered.key, Rotation::new(Duration::ZERO)).await.unwrap().record;
    gateway.emitter().rotated(&live, &entered);
    gateway.told().await;
    assert_eq!(gateway.watched().await, [format!("{}:alice", live.key)], "under its last key");
    let logout = Commit { op: OpId::random(), ops: vec![], expected: None, logout: true };
    gateway.store.commit(live.key, logout).await.unwrap();
    gateway.emitter().logout(&live);
    gateway.told().await;
    assert_eq!(gateway.watched().await, [format!("{}:", live.key)], "nobody is logged in");
    let live = live.key;
    assert!(sessions.revoke(live, None).await.unwrap());
    gateway.told().await;
    assert!(gateway.watched().await.is_empty());
    for key in server.ask(&["KEYS", "*"]).unwrap().lines() {
        assert_ne!(server.ask(&["PTTL", key]).unwrap(), "-1", "{key} lives for ever");
    }
}

/// Those who are ended by others, of whom nobody has told, are not told as expired.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_ended_by_one_who_died_is_dropped() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let record = store.create(NewSession::new(short())).await.unwrap().record;
    let due = Due { key: record.key, user: None, at_ms: record.deadline_ms() };
    let expired = told_by(&record);
    let event = Event { kind: EventKind::Created, ..expired(&due) };
    let told = vec![Told { event, watch: Some((due, record.absolute_ms)), forget: None }];
    store.append(&Batch { op: OpId::random(), told }, 100).await.unwrap();
    assert!(store.revoke(record.key, Reason::Operator).await.unwrap());
    // The mark stays for as long as the session would have lived: it is looked at while it stands.
    server.ask(&["ZADD", "iap:{events}:deadlines", "XX", "1", &format!("{}:", record.key)]).unwrap();
    server.ask(&["PERSIST", &format!("iap:s:{}", record.key)]).unwrap();
    assert_eq!(store.sweep(100, &expired).await.unwrap(), Swept { looked_at: 1, expired: 0 });
    assert_eq!(store.sweep(100, &expired).await.unwrap(), Swept::default());
    assert_eq!(store.events_after(EventId::default(), 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_waits_and_holds_nobody_up() {
    let mut server = RedisServer::start();
    let values = crate::metrics::tests::Values::default();
    let (emitter, queue) =
        metrics::with_local_recorder(&values, || events::channel(EventsConfig::default(), None));
    let gateway = gateway_with(&server, emitter, queue).await;
    gateway.create(Expiry::default(), None).await;
    assert_eq!(gateway.told().await.len(), 1);
    server.kill();
    // More than find room: who tells goes on at once, or this would never end.
    for number in 0..10_000 {
        gateway.emitter().refused(None, &format!("user{number}"));
    }
    server.restart();
    let dropped = || values.counter("iap_session_events_dropped_total ");
    assert!(dropped() >= 10_000 - EventsConfig::default().queue as u64 - 2 * 256, "{}", dropped());
    eventually("what waited is kept, and all that is not kept is counted", async || {
        let kept: u64 = server.ask(&["XLEN", "iap:{events}:log"]).ok()?.parse().ok()?;
        (kept > 0 && kept + dropped() == 10_000).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_serves_those_who_read() {
    let server = RedisServer::start();
    let gateway = gateway(&server, "one").await;
    let key = gateway.create(Expiry::default(), None).await.key;
    assert_eq!(gateway.told().await.len(), 1);
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    gateway.emitter().refused(None, "alice");
    assert!(gateway.store.load(key, None).await.unwrap().is_some());
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    eventually("then it is kept", async || {
        let told = gateway.store.events_after(EventId::default(), 100).await.unwrap();
        (told.len() == 2).then_some(())
    })
    .await;
}
