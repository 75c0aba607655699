use std::time::Duration;

use iap_core::ManualClock;
use tokio::runtime::Handle;

use super::*;
use crate::memory::{MemoryConfig, MemoryStore};
use crate::store::SessionStore;
use crate::write::{Expiry, Login, LoginPolicy, NewSession, WhenFull};
use crate::{Note, SessionIds, Sessions};

struct Bench {
    store: Arc<MemoryStore>,
    clock: ManualClock,
    events: Events,
}

fn bench(config: EventsConfig, max_sessions: usize) -> Bench {
    let (emitter, queue) = channel(config, Some("gateway-1".into()));
    let clock = ManualClock::at(1_700_000_000_000);
    let settings = MemoryConfig {
        clock: Arc::new(clock.clone()),
        events: Some(emitter),
        max_sessions,
        ..MemoryConfig::default()
    };
    let store = Arc::new(MemoryStore::with_config(SessionIds::ephemeral(), settings));
    Bench { store, clock, events: Events::start(queue, None, &Handle::current()) }
}

impl Bench {
    async fn all(&self) -> Vec<Entry> {
        self.events.flush(Duration::from_secs(30)).await;
        self.events.read(EventId::default(), 1_000).await.unwrap().events
    }

    async fn login(&self, user: &str) -> SessionKey {
        let policy = LoginPolicy { max: 1, when_full: WhenFull::EvictOldest };
        let login = Some(Login { user: user.into(), policy });
        let new = NewSession { login, ..NewSession::new(Expiry::default()) };
        self.clock.advance(Duration::from_millis(1));
        self.store.create(new).await.unwrap().record.key
    }
}

#[tokio::test]
async fn a_store_tells_of_ends_by_itself() {
    let bench = bench(EventsConfig::default(), 2);
    let first = bench.login("alice").await;
    let second = bench.login("alice").await;
    bench.login("bora").await;
    let last = bench.login("chi").await;
    bench.clock.advance(Expiry::default().idle);
    bench.store.sweep();
    let told: Vec<_> = bench.all().await.into_iter().map(|entry| entry.event).collect();
    let of = |key, kind| told.iter().filter(|event| event.key == Some(key) && event.kind == kind).count();
    assert_eq!(of(first, EventKind::Revoked), 1, "a newer login has taken its place: {told:?}");
    assert_eq!((&told[0].by, told[0].user.as_deref()), (&Some(Reason::Evicted), Some("alice")));
    assert_eq!(of(second, EventKind::Evicted), 1, "there was room for two: {told:?}");
    assert_eq!(of(last, EventKind::Expired), 1, "{told:?}");
    assert!(told.iter().all(|event| event.node.as_deref() == Some("gateway-1")));
    bench.store.sweep();
    assert_eq!(bench.all().await.len(), told.len(), "each end is told once");
}

#[tokio::test]
async fn an_operator_says_why() {
    let bench = bench(EventsConfig::default(), 100);
    let sessions = Sessions::new(bench.store.clone()).with_events(bench.events.clone());
    let key = bench.login("alice").await;
    let note = Note::new("stolen laptop").unwrap();
    assert!(sessions.revoke(key, Some(&note)).await.unwrap());
    assert!(!sessions.revoke(key, Some(&note)).await.unwrap());
    let told = bench.all().await;
    assert_eq!(told.len(), 1);
    let json = serde_json::to_value(&told[0]).unwrap();
    for (name, wanted) in [
        ("kind", "revoked"),
        ("by", "operator"),
        ("reason", "stolen laptop"),
        ("user", "alice"),
        ("node", "gateway-1"),
        ("key", &key.to_string()),
        ("id", &told[0].id.to_string()),
    ] {
        assert_eq!(json[name], wanted, "{json}");
    }
    assert_eq!(json.get("previous"), None, "what there is not is left out");
}

#[tokio::test]
async fn pages_follow_each_other_and_the_oldest_go() {
    let bench = bench(EventsConfig { keep: 50, ..EventsConfig::default() }, 1_000);
    let emitter = bench.events.emitter();
    for number in 0..120 {
        emitter.refused(None, &format!("user{number}"));
    }
    let all = bench.all().await;
    assert_eq!(all.len(), 50);
    assert!(all.is_sorted_by(|a, b| a.id < b.id), "ids grow");
    let (mut seen, mut after) = (Vec::new(), EventId::default());
    loop {
        let page = bench.events.read(after, 7).await.unwrap();
        if page.events.is_empty() {
            break;
        }
        seen.extend(page.events.iter().map(|entry| entry.event.user.as_deref().unwrap().to_owned()));
        after = page.next;
    }
    assert_eq!(seen, (70..120).map(|number| format!("user{number}")).collect::<Vec<_>>());
    assert_eq!(after, bench.events.latest());
    let waiting = bench.events.wait_after(after);
    emitter.refused(None, "late");
    waiting.await;
    let page = bench.events.read(after, 7).await.unwrap();
    assert_eq!(page.events[0].event.user.as_deref(), Some("late"));
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted() {
    let values = crate::metrics::tests::Values::default();
    let (emitter, queue) = metrics::with_local_recorder(&values, || {
        channel(EventsConfig { queue: 5, ..EventsConfig::default() }, None)
    });
    for _ in 0..8 {
        emitter.refused(None, "alice");
    }
    assert_eq!(values.counter("iap_session_events_dropped_total "), 3);
    let events = Events::start(queue, None, &Handle::current());
    events.flush(Duration::from_secs(30)).await;
    assert_eq!(events.read(EventId::default(), 100).await.unwrap().events.len(), 5);
}

#[test]
fn ids_are_read_as_they_are_written() {
    for id in [EventId::default(), EventId { ms: 1_700_000_000_000, seq: 3 }] {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    for wrong in ["", "1", "1-", "-1", "1-x", "1-2-3"] {
        assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
    }
}
