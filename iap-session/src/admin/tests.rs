use std::time::Duration;

use iap_core::ManualClock;

use super::*;
use crate::SessionIds;
use crate::memory::{MemoryConfig, MemoryStore};
use crate::provenance::Provenance;
use crate::testing::FlakyStore;
use crate::write::Reason;
use crate::write::{Expiry, Login, LoginPolicy, NewSession};

async fn login(store: &MemoryStore, user: &str) -> SessionKey {
    let mut new = NewSession::new(Expiry::default());
    new.attributes.insert("card".into(), "4111".into());
    new.login = Some(Login { user: user.into(), policy: LoginPolicy::default() });
    store.create(new).await.unwrap().record.key
}

#[tokio::test]
async fn values_are_shown_only_when_asked_for() {
    let store = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    let sessions = Sessions::new(store.clone());
    let key = login(&store, "alice").await;
    let hidden = sessions.get(key, Values::default()).await.unwrap().unwrap();
    let json = serde_json::to_value(&hidden).unwrap();
    assert_eq!(json["entries"], serde_json::json!([{ "name": "card", "bytes": 10 }]));
    assert_eq!((&json["user"], &json["key"]), (&"alice".into(), &key.to_string().into()));
    assert!(!json.to_string().contains("4111"));
    let shown = sessions.get(key, Values::Shown).await.unwrap().unwrap();
    assert_eq!(shown.entries[0].value, Some("4111".into()));
}

#[tokio::test]
async fn a_users_sessions_are_ended_and_others_are_not() {
    let store = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    let sessions = Sessions::new(store.clone());
    let mine = [login(&store, "alice").await, login(&store, "alice").await];
    let other = login(&store, "bob").await;
    assert_eq!(sessions.list(ScanQuery::of_user("alice")).await.unwrap().sessions.len(), 2);
    assert_eq!(sessions.revoke_user("alice", None).await.unwrap(), 2);
    assert_eq!(sessions.revoke_user("alice", None).await.unwrap(), 0);
    for key in mine {
        assert!(sessions.get(key, Values::Hidden).await.unwrap().is_none());
        assert!(!sessions.revoke(key, None).await.unwrap());
    }
    assert!(sessions.get(other, Values::Hidden).await.unwrap().is_some());
    assert_eq!(sessions.stats().await.unwrap().live, 1);
    assert!(sessions.revoke(other, None).await.unwrap());
}

/// Sessions of several users, a minute apart: each with a larger attribute than the one before.
struct Bench {
    store: Arc<FlakyStore>,
    clock: ManualClock,
    sessions: Sessions,
    keys: Vec<SessionKey>,
}

const USERS: [Option<&str>; 6] = [Some("kim"), Some("kira"), None, Some("lee"), None, Some("kim")];

async fn bench() -> Bench {
    let clock = ManualClock::at(1_700_000_000_000);
    let config = MemoryConfig { clock: Arc::new(clock.clone()), ..MemoryConfig::default() };
    let store = Arc::new(MemoryStore::with_config(SessionIds::ephemeral(), config));
    let mut keys = Vec::new();
    for (number, user) in USERS.into_iter().enumerate() {
        let mut new = NewSession::new(Expiry::default());
        for name in ["a", "b", "c", "d", "e", "f"].into_iter().take(number) {
            new.attributes.insert(name.into(), "x".repeat(10 * number).into());
        }
        new.login = user.map(|user| Login { user: user.into(), policy: LoginPolicy::default() });
        new.provenance = Provenance {
            address: format!("192.0.2.{number}").parse().ok(),
            node: Some(if number < 3 { "one" } else { "two" }.into()),
            route: Some("shop".into()),
            login_address: None,
        };
        keys.push(store.create(new).await.unwrap().record.key);
        clock.advance(Duration::from_secs(60));
    }
    let store = Arc::new(FlakyStore::new(store));
    let sessions = Sessions::new(store.clone()).with_clock(Arc::new(clock.clone()));
    Bench { store, clock, sessions, keys }
}

impl Bench {
    /// The numbers of the sessions that a search finds, over all of its pages.
    async fn find(&self, search: Search) -> Vec<usize> {
        let (mut found, mut search) = (Vec::new(), search);
        loop {
            let page = self.sessions.search(&search).await.unwrap();
            let number = |session: &Summary| self.keys.iter().position(|key| *key == session.key).unwrap();
            found.extend(page.sessions.iter().map(number));
            search.cursor = page.next;
            if search.cursor.is_none() {
                return found;
            }
        }
    }

    async fn filtered(&self, filter: Filter) -> Vec<usize> {
        let mut found = self.find(Search { filter, ..Search::default() }).await;
        found.sort_unstable();
        found
    }
}

#[tokio::test]
async fn sessions_are_found_by_each_fact_and_by_all_together() {
    let bench = bench().await;
    let minutes = |number: u64| Some(Duration::from_secs(60 * number));
    let filter = Filter::default;
    let cases = [
        (filter(), vec![0, 1, 2, 3, 4, 5]),
        (Filter::of_user("kim"), vec![0, 5]),
        (Filter { user_prefix: Some("ki".into()), ..filter() }, vec![0, 1, 5]),
        (Filter { address: "192.0.2.3".parse().ok(), ..filter() }, vec![3]),
        (Filter { address: "192.0.2.4/31".parse().ok(), ..filter() }, vec![4, 5]),
        (Filter { address: "2001:db8::/32".parse().ok(), ..filter() }, vec![]),
        (Filter { node: Some("one".into()), ..filter() }, vec![0, 1, 2]),
        (Filter { route: Some("other".into()), ..filter() }, vec![]),
        (Filter { login: Some(false), ..filter() }, vec![2, 4]),
        (Filter { login: Some(true), ..filter() }, vec![0, 1, 3, 5]),
        (Filter { min_age: minutes(4), ..filter() }, vec![0, 1, 2]),
        (Filter { max_age: minutes(2), ..filter() }, vec![4, 5]),
        (Filter { min_idle: minutes(5), ..filter() }, vec![0, 1]),
        (Filter { min_bytes: Some(150), ..filter() }, vec![4, 5]),
        (Filter { min_attributes: Some(4), ..filter() }, vec![4, 5]),
        (
            Filter { min_attributes: Some(1), node: Some("one".into()), login: Some(true), ..filter() },
            vec![1],
        ),
        (Filter { min_age: minutes(4), ..Filter::of_user("kim") }, vec![0]),
    ];
    for (filter, wanted) in cases {
        assert_eq!(bench.filtered(filter.clone()).await, wanted, "{filter:?}");
    }
}

#[tokio::test]
async fn a_list_has_an_order_over_all_of_its_pages() {
    let bench = bench().await;
    bench.store.touch(bench.keys[2]).await.unwrap();
    for limit in [1, 2, 4, 100] {
        for (sort, wanted) in [
            ("created", [0, 1, 2, 3, 4, 5]),
            ("-created", [5, 4, 3, 2, 1, 0]),
            ("-bytes", [5, 4, 3, 2, 1, 0]),
            ("attributes", [0, 1, 2, 3, 4, 5]),
            ("accessed", [0, 1, 3, 4, 5, 2]),
            ("-deadline", [2, 5, 4, 3, 1, 0]),
        ] {
            let search = Search { sort: sort.parse().ok(), limit, ..Search::default() };
            assert_eq!(bench.find(search).await, wanted, "{sort} by {limit}");
        }
    }
    for wrong in ["", "-", "user", "--bytes"] {
        assert!(wrong.parse::<Sort>().is_err(), "{wrong}");
    }
    let search = Search { sort: "bytes".parse().ok(), cursor: Some("x".into()), ..Search::default() };
    assert_eq!(bench.sessions.search(&search).await.unwrap_err().kind(), StoreErrorKind::Invalid);
}

#[tokio::test]
async fn a_search_tells_how_far_it_came() {
    let store = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    for _ in 0..2_500 {
        store.create(NewSession::new(Expiry::default())).await.unwrap();
    }
    let sessions = Sessions::new(store.clone());
    let filter = Filter { min_bytes: Some(1), ..Filter::default() };
    for sort in [None, "bytes".parse().ok()] {
        let budget = Budget { sessions: 1_000, ..Budget::default() };
        let search = Search { filter: filter.clone(), sort, budget, ..Search::default() };
        let page = sessions.search(&search).await.unwrap();
        assert_eq!((page.looked_at, page.complete, page.stats.live), (1_000, false, 2_500), "{sort:?}");
        assert!(page.sessions.is_empty() && page.next.is_some() == sort.is_none());
        let late = Budget { time: Duration::ZERO, ..Budget::default() };
        let page = sessions.search(&Search { budget: late, ..search.clone() }).await.unwrap();
        assert!(!page.complete && page.looked_at < 2_500);
        let all = Search { budget: Budget::default(), ..search };
        let page = sessions.search(&all).await.unwrap();
        assert_eq!((page.looked_at, page.complete, page.next), (2_500, true, None));
    }
}

#[tokio::test]
async fn those_that_a_filter_means_are_ended_after_a_look() {
    let bench = bench().await;
    let filter = Filter { min_idle: Some(Duration::from_secs(4 * 60)), ..Filter::default() };
    let note = Some(Note::new("left behind").unwrap());
    let real = Revocation { filter, note, ..Revocation::default() };
    let dry = bench.sessions.revoke_matching(&Revocation { dry_run: true, ..real.clone() }).await.unwrap();
    assert_eq!(dry, Revoked { looked_at: 6, matched: 3, ..Revoked::default() });
    assert_eq!(bench.filtered(Filter::default()).await.len(), 6, "a look changes nothing");
    bench.store.fail_writes(true);
    let failed = bench.sessions.revoke_matching(&real).await.unwrap();
    assert_eq!((failed.matched, failed.ended, failed.failed), (3, 0, 3));
    bench.store.fail_writes(false);
    let done = bench.sessions.revoke_matching(&real).await.unwrap();
    assert_eq!((done.matched, done.ended, done.failed, done.next), (3, 3, 0, None));
    assert_eq!(bench.filtered(Filter::default()).await, [3, 4, 5]);
    let error = bench.store.load(bench.keys[0], None).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::Operator));
    bench.clock.advance(Duration::from_secs(60));
    let some = bench.sessions.revoke_keys(&bench.keys[2..4], None).await;
    assert_eq!((some.matched, some.ended, some.failed), (2, 1, 0), "one had been ended");
    bench.store.fail_reads(true);
    assert!(bench.sessions.revoke_matching(&real).await.is_err());
}

#[tokio::test]
async fn a_long_revocation_goes_on_where_it_stopped() {
    let store = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    for _ in 0..1_700 {
        store.create(NewSession::new(Expiry::default())).await.unwrap();
    }
    let sessions = Sessions::new(store);
    let budget = Budget { sessions: 400, ..Budget::default() };
    let mut revocation = Revocation { budget, ..Revocation::default() };
    let (mut calls, mut ended) = (0, 0);
    loop {
        let done = sessions.revoke_matching(&revocation).await.unwrap();
        (calls, ended) = (calls + 1, ended + done.ended);
        revocation.cursor = done.next;
        if revocation.cursor.is_none() {
            break;
        }
    }
    assert_eq!((calls, ended, sessions.stats().await.unwrap().live), (4, 1_700, 0));
}

#[test]
fn a_reason_is_a_line_of_text() {
    assert_eq!(Note::new("stolen laptop").unwrap().as_str(), "stolen laptop");
    for wrong in [String::new(), "x".repeat(257), "two\nlines".to_owned()] {
        assert_eq!(Note::new(&wrong).unwrap_err().kind(), StoreErrorKind::Invalid);
    }
}
