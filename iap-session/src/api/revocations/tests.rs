use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower::ServiceExt;

use super::*;
use crate::events::{self, EventsConfig};
use crate::memory::MemoryStore;
use crate::write::{Expiry, Login, LoginPolicy, NewSession, Rotation};
use crate::{SessionApi, SessionIds, SessionStore, Sessions, TokenRegistry};

const TOKEN: &str = "a secret of sixteen bytes or more";

struct Bench {
    store: Arc<MemoryStore>,
    events: Events,
    api: SessionApi,
}

fn bench(keep: usize) -> Bench {
    let (_, queue) = events::channel(EventsConfig { keep, ..EventsConfig::default() }, None);
    let events = Events::start(queue, None, &Handle::current());
    let api = SessionApi::new(TokenRegistry::new(10));
    let api = api.with_revocations(Revocations::new(events.clone(), TOKEN).unwrap());
    Bench { store: Arc::new(MemoryStore::new(SessionIds::ephemeral())), events, api }
}

impl Bench {
    async fn ask(&self, query: &str, token: &str) -> (u16, Value) {
        let request = Request::builder()
            .uri(format!("/revocations{query}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let response = self.api.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn page(&self, query: &str) -> Value {
        self.events.flush(Duration::from_secs(30)).await;
        let (status, page) = self.ask(query, TOKEN).await;
        assert_eq!(status, 200, "{page}");
        page
    }
}

#[tokio::test]
async fn ends_and_new_handles_are_told_in_order() {
    let bench = bench(1_000);
    let sessions = Sessions::new(bench.store.clone()).with_events(bench.events.clone());
    let first = bench.store.create(NewSession::new(Expiry::default())).await.unwrap().record;
    bench.events.emitter().created(&first);
    let login = Some(Login { user: "alice".into(), policy: LoginPolicy::default() });
    let rotation = Rotation { login, ..Rotation::new(Duration::ZERO) };
    let second = bench.store.rotate(first.key, rotation).await.unwrap().record;
    bench.events.emitter().login(&second, Some(&first));
    bench.events.emitter().logout(&second);
    assert!(sessions.revoke(second.key, None).await.unwrap());
    let page = bench.page("?since=0-0").await;
    let told = page["revocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| (told["handle"].clone(), told["reason"].clone(), told["next"].clone()));
    let (before, after) = (json!(first.key.short()), json!(second.key.short()));
    let wanted = [
        (before, json!("login"), after.clone()),
        (after.clone(), json!("logout"), after.clone()),
        (after, json!("operator"), Value::Null),
    ];
    assert_eq!(told.collect::<Vec<_>>(), wanted);
    assert!(!page.to_string().contains("alice"), "whose they were is not told");
    let rest = bench.page(&format!("?since={}", page["revocations"][1]["id"].as_str().unwrap())).await;
    assert_eq!(rest["revocations"].as_array().unwrap().len(), 1);
    let none = bench.page(&format!("?since={}", page["next"].as_str().unwrap())).await;
    assert_eq!(
        (&none["revocations"], &none["next"], &none["complete"]),
        (&json!([]), &page["next"], &json!(true))
    );
}

#[tokio::test]
async fn who_waits_is_told_when_something_ends_and_not_before() {
    let bench = bench(1_000);
    let record = bench.store.create(NewSession::new(Expiry::default())).await.unwrap().record;
    let waiting = bench.ask("?wait=30", TOKEN);
    let telling = async {
        // What ends nothing does not wake anybody for good.
        bench.events.emitter().created(&record);
        bench.events.flush(Duration::from_secs(30)).await;
        bench.events.emitter().ended(EventKind::Expired, &record);
    };
    let ((status, page), ()) = tokio::join!(waiting, telling);
    assert_eq!((status, &page["revocations"][0]["reason"]), (200, &json!("expired")));
    assert_eq!(
        Query::read("wait=1000000").unwrap().wait,
        Duration::from_secs(30),
        "it waits at most half a minute"
    );
}

#[tokio::test]
async fn what_was_dropped_is_told_so() {
    let bench = bench(10);
    let record = bench.store.create(NewSession::new(Expiry::default())).await.unwrap().record;
    bench.events.emitter().ended(EventKind::Expired, &record);
    let first = bench.page("?since=0-0").await["next"].clone();
    for _ in 0..20 {
        bench.events.emitter().ended(EventKind::Expired, &record);
    }
    let page = bench.page(&format!("?since={}", first.as_str().unwrap())).await;
    assert_eq!((page["revocations"].as_array().unwrap().len(), &page["complete"]), (10, &json!(false)));
}

#[tokio::test]
async fn only_who_has_the_secret_is_told_and_only_what_can_be_asked() {
    let bench = bench(10);
    for token in ["", "a secret of sixteen bytes or mor", "a secret of sixteen bytes or more "] {
        let (status, _) = bench.ask("", token).await;
        assert_eq!(status, if token.trim() == TOKEN { 200 } else { 401 }, "{token:?}");
    }
    for wrong in ["?since=x", "?wait=soon", "?wait=-1", "?sinse=0-0", "?since"] {
        assert_eq!(bench.ask(wrong, TOKEN).await.0, 400, "{wrong}");
    }
    let request = Request::post("/revocations").header("authorization", format!("Bearer {TOKEN}"));
    let response = bench.api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "GET"));
    let off = SessionApi::new(TokenRegistry::new(10));
    let request = Request::get("/revocations").header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(off.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status(), 404);
    assert!(Revocations::new(bench.events.clone(), "too short").is_err());
}

#[tokio::test]
async fn those_who_wait_are_bounded() {
    let bench = bench(10);
    let revocations = Revocations::new(bench.events.clone(), TOKEN).unwrap();
    let wait = || revocations.page(Query { since: None, wait: MAX_WAIT });
    let mut waiting = futures_util::future::join_all((0..MAX_WAITERS).map(|_| wait()));
    assert!(futures_util::poll!(&mut waiting).is_pending(), "once polled, all of them wait");
    assert!(wait().await.is_err(), "one too many");
    assert!(
        revocations.page(Query { since: None, wait: Duration::ZERO }).await.is_ok(),
        "who does not wait is answered"
    );
    drop(waiting);
    assert!(futures_util::poll!(std::pin::pin!(wait())).is_pending(), "there is room again");
}
