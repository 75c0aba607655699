use std::sync::atomic::{AtomicU64, Ordering};

use iap_core::hooks::{Field, Recorder, SpanEnd, Stage};
use iap_core::{SpanId, TraceContext};

use super::*;
use crate::metrics::tests::Values;

/// Notes what a transaction is told.
#[derive(Default)]
struct Notes {
    spans: Mutex<Vec<(String, Option<String>)>>,
    fields: Mutex<Vec<(Field, String)>>,
    ticks: AtomicU64,
}

impl Recorder for Notes {
    fn context(&self) -> TraceContext {
        TraceContext::root()
    }
    fn now(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }
    fn record(&self, _: SpanId, _: SpanId, stage: Stage, _: u64, end: SpanEnd) {
        self.spans.lock().push((stage.name().to_owned(), end.error.map(|error| error.to_string())));
    }
    fn set(&self, field: Field, value: &str) {
        self.fields.lock().push((field, value.to_owned()));
    }
}

#[tokio::test]
async fn loads_and_commits_are_spans_of_the_transaction() {
    let bench = bench();
    let login = bench.app(async |session| session.login("alice").await);
    let cookie = cookie_of(&send(&login, get("")).await.unwrap()).unwrap();
    let key = bench.store.scan(ScanQuery::default()).await.unwrap().sessions[0].key;
    let notes = Arc::new(Notes::default());
    let traced = |cookie: &str| {
        let mut request = get(cookie);
        request.extensions_mut().insert(Transaction::new(notes.clone()));
        request
    };
    send(&bench.writer(), traced(&cookie)).await.unwrap();
    // What is written at once has its span, too.
    let counter = bench.app(async |session| session.increment("count", 1).await.map(|_| ()));
    send(&counter, traced(&cookie)).await.unwrap();
    bench.store.fail_reads(true);
    send(&bench.reader(), traced(&cookie)).await.expect_err("no store");
    let unavailable = Some("unavailable".to_owned());
    let (load, commit) = (("session.load", None), ("session.commit", None));
    let wanted = [load.clone(), commit.clone(), load, commit, ("session.load", unavailable)];
    assert_eq!(*notes.spans.lock(), wanted.map(|(name, error)| (name.to_owned(), error)));
    let wanted = [(Field::Session, key.short()), (Field::User, "alice".to_owned())];
    assert_eq!(*notes.fields.lock(), [wanted.clone(), wanted].concat());
}

#[tokio::test]
async fn metrics_have_their_names_and_count() {
    let values = Values::default();
    let login = LoginPolicy { max: 1, when_full: WhenFull::RefuseNew };
    let bench =
        metrics::with_local_recorder(&values, || bench_with(SessionConfig { login, ..Default::default() }));
    let gauge = || f64::from_bits(values.counter("iap_session_live "));
    let cookie = bench.cookie().await;
    assert_eq!(gauge(), 1.0);
    let forged = SessionIds::ephemeral().generate().0.encode();
    send(&bench.reader(), get(&cookie)).await.unwrap();
    send(&bench.reader(), get(&format!("iap-session={forged}"))).await.unwrap();
    let login = bench.app(async |session| session.login("alice").await);
    send(&login, get("")).await.unwrap();
    send(&login, get("")).await.unwrap();
    send(&bench.app(async |session| session.destroy()), get(&cookie)).await.unwrap();
    send(&bench.reader(), get(&cookie)).await.unwrap();
    bench.store.fail_writes(true);
    send(&bench.writer(), get("")).await.expect_err("no store");
    bench.store.fail_reads(true);
    send(&bench.reader(), get(&cookie)).await.expect_err("no store");
    bench.store.fail_reads(false);
    bench.clock.advance(Expiry::default().absolute);
    send(&bench.reader(), get(&cookie)).await.unwrap();
    for (name, wanted) in [
        ("iap_session_created_total ", 2),
        ("iap_session_loads_total hit", 2),
        ("iap_session_loads_total miss", 2),
        ("iap_session_loads_total ended", 1),
        ("iap_session_loads_total error", 1),
        ("iap_session_refused_total ", 1),
        ("iap_session_revoked_total ", 1),
        ("iap_session_commit_errors_total ", 1),
        ("iap_session_evicted_total ", 0),
        ("iap_session_displaced_total ", 0),
        ("iap_session_logins_total ", 1),
        ("iap_session_logouts_total ", 0),
    ] {
        assert_eq!(values.counter(name), wanted, "{name}");
    }
    let described = values.described.lock();
    for name in values.values.lock().keys() {
        let name = name.split(' ').next().unwrap();
        assert!(described.iter().any(|described| described == name), "{name} has no description");
    }
}

#[tokio::test]
async fn logins_logouts_and_those_that_give_way_are_counted() {
    let values = Values::default();
    let login = LoginPolicy { max: 1, when_full: WhenFull::EvictOldest };
    let bench =
        metrics::with_local_recorder(&values, || bench_with(SessionConfig { login, ..Default::default() }));
    let login = bench.app(async |session| session.login("alice").await);
    let logout = bench.app(async |session| session.logout());
    let anonymous = bench.cookie().await;
    send(&login, get("")).await.unwrap();
    let cookie = cookie_of(&send(&login, get(&anonymous)).await.unwrap()).unwrap();
    for _ in 0..2 {
        send(&logout, get(&cookie)).await.unwrap();
    }
    for (name, wanted) in [
        ("iap_session_created_total ", 2),
        ("iap_session_logins_total ", 2),
        ("iap_session_displaced_total ", 1),
        ("iap_session_logouts_total ", 1),
        ("iap_session_revoked_total ", 0),
    ] {
        assert_eq!(values.counter(name), wanted, "{name}");
    }
}
