//! Servers that are not well: active checks, ejection, probes, addresses.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::h2::{ModernOrigin, answer};
use crate::common::{Client, Next, Origin, dead_address, gateway_to, respond, status, until};
use http::{HeaderValue, StatusCode};
use iap_core::Upstream;
use iap_core::upstream::{Ejection, HealthCheck, ServerState, UpstreamSettings};

const NEVER: Duration = Duration::from_secs(3600);

/// An origin that answers 200 or 503, as the switch says.
fn switched(name: &'static str) -> (Origin, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let says = well.clone();
    let origin = Origin::start(move |_, _, stream| {
        if says.load(Ordering::SeqCst) {
            respond(stream, name);
        } else {
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
        Next::KeepAlive
    });
    (origin, well)
}

fn group(servers: &[&Origin], settings: UpstreamSettings) -> Arc<Upstream> {
    let servers = servers.iter().map(|origin| origin.address.to_string());
    Arc::new(Upstream::new("group", servers, settings).unwrap())
}

fn state(upstream: &Upstream, index: usize) -> ServerState {
    upstream.status().servers[index].state
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn checks_take_a_server_out_and_bring_it_back() {
    let ((a, a_is_well), (b, b_is_well)) = (switched("a"), switched("b"));
    let check = HealthCheck {
        path: Some("/health?deep=1".parse().unwrap()),
        host: Some(HeaderValue::from_static("check.test")),
        interval: Duration::from_millis(5),
        ..HealthCheck::default()
    };
    let upstream = group(&[&a, &b], UpstreamSettings { health: Some(check), ..Default::default() });
    let runtime = runtime();
    upstream.start(runtime.handle());
    upstream.start(runtime.handle());
    // A check that runs has a connection with a task of its own, so it is two only in between.
    until("one task a server, however often it is started", || runtime.metrics().num_alive_tasks() == 2);
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    assert_eq!(status(&client.get("/")), "200");

    a_is_well.store(false, Ordering::SeqCst);
    until("a is out", || state(&upstream, 0) == ServerState::Unhealthy);
    assert!(upstream.status().servers[0].last_error.as_ref().unwrap().contains("answered 503"));
    for _ in 0..4 {
        assert!(client.get("/").ends_with("b"));
    }
    b_is_well.store(false, Ordering::SeqCst);
    until("b is out", || state(&upstream, 1) == ServerState::Unhealthy);
    assert_eq!(status(&client.get("/")), "503", "none is asked that is known to be unwell");
    a_is_well.store(true, Ordering::SeqCst);
    until("a is back", || state(&upstream, 0) == ServerState::Up);
    assert!(client.get("/").ends_with("a"));
    let heads = a.requests.lock();
    assert!(heads.iter().any(|head| head.starts_with("GET /health?deep=1 HTTP/1.1\r\nhost: check.test\r\n")));
    drop(heads);

    drop((gateway, upstream));
    until("the checks end with the upstream", || runtime.metrics().num_alive_tasks() == 0);
}

#[test]
fn a_connection_is_enough_for_a_check_without_a_path() {
    let alive = Origin::fixed("alive");
    let check = HealthCheck { path: None, interval: Duration::from_millis(5), ..HealthCheck::default() };
    let servers = [alive.address.to_string(), dead_address().to_string()];
    let settings = UpstreamSettings { health: Some(check), ..Default::default() };
    let upstream = Arc::new(Upstream::new("group", servers, settings).unwrap());
    let runtime = runtime();
    upstream.start(runtime.handle());
    until("the dead one is out", || state(&upstream, 1) == ServerState::Unhealthy);
    assert_eq!(state(&upstream, 0), ServerState::Up);
    assert!(alive.requests.lock().is_empty());
}

#[test]
fn checks_speak_http2_where_the_server_does() {
    let origin = ModernOrigin::start(None, |_, request| async move {
        let mut response = answer("");
        if request.version() != http::Version::HTTP_2 || request.uri().authority().is_none() {
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
        }
        response
    });
    let check = HealthCheck { interval: Duration::from_millis(5), fall: 1, ..HealthCheck::default() };
    let settings = UpstreamSettings { health: Some(check), ..Default::default() };
    let upstream = Arc::new(Upstream::new("o", [format!("h2c://{}", origin.address)], settings).unwrap());
    let runtime = runtime();
    upstream.start(runtime.handle());
    until("some checks", || origin.handled() > 3);
    assert_eq!(state(&upstream, 0), ServerState::Up);
}

#[test]
fn failures_in_a_row_eject_a_server_and_a_probe_brings_it_back() {
    let ((a, a_is_well), (b, _b)) = (switched("a"), switched("b"));
    let ejection = Ejection { failures: 3, base_time: Duration::from_millis(100), ..Ejection::default() };
    let upstream = group(&[&a, &b], UpstreamSettings { ejection: Some(ejection), ..Default::default() });
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    let mut fails = |count: usize| {
        let mut failed = 0;
        while failed < count {
            failed += usize::from(status(&client.get("/")) == "503");
        }
    };
    a_is_well.store(false, Ordering::SeqCst);
    fails(2);
    assert_eq!(state(&upstream, 0), ServerState::Up);
    fails(1);
    assert_ne!(state(&upstream, 0), ServerState::Up);
    until("it may be tried", || state(&upstream, 0) == ServerState::Probing);
    fails(1);
    assert_ne!(state(&upstream, 0), ServerState::Up);
    a_is_well.store(true, Ordering::SeqCst);
    until("a probe goes well", || {
        assert_eq!(status(&client.get("/")), "200");
        state(&upstream, 0) == ServerState::Up
    });
}

#[test]
fn a_success_in_between_and_the_share_keep_servers_in() {
    let ((a, a_is_well), (b, b_is_well)) = (switched("a"), switched("b"));
    let ejection = Ejection { failures: 2, base_time: NEVER, max_time: NEVER, ..Ejection::default() };
    let upstream = group(&[&a, &b], UpstreamSettings { ejection: Some(ejection), ..Default::default() });
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    for well in [false, true, false, true] {
        a_is_well.store(well, Ordering::SeqCst);
        client.get("/");
        client.get("/");
    }
    assert_eq!(state(&upstream, 0), ServerState::Up, "never twice in a row");
    a_is_well.store(false, Ordering::SeqCst);
    b_is_well.store(false, Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(status(&client.get("/")), "503");
    }
    let states = [state(&upstream, 0), state(&upstream, 1)];
    assert!(states.contains(&ServerState::Up) && states.contains(&ServerState::Ejected), "{states:?}");
}

#[test]
fn responses_that_break_off_eject_a_server_too() {
    let breaking = Origin::start(|_, _, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
        Next::Close
    });
    let whole = Origin::fixed("whole");
    let ejection = Ejection { failures: 2, base_time: NEVER, max_time: NEVER, ..Ejection::default() };
    let upstream =
        group(&[&breaking, &whole], UpstreamSettings { ejection: Some(ejection), ..Default::default() });
    let gateway = gateway_to(&upstream);
    until("it is ejected", || {
        let mut client = Client::connect(gateway.addresses()[0]);
        client.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        let _ = std::io::Read::read_to_end(&mut client.0, &mut Vec::new());
        state(&upstream, 0) == ServerState::Ejected
    });
    assert_eq!(state(&upstream, 1), ServerState::Up);
}

#[test]
fn an_open_breaker_answers_at_once_and_lets_few_try() {
    let entered = Arc::new(AtomicUsize::new(0));
    let count = entered.clone();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let origin = Origin::start(move |number, _, stream| {
        if number > 1 {
            count.fetch_add(1, Ordering::SeqCst);
            wait.lock().recv().unwrap();
            respond(stream, "well");
            return Next::KeepAlive;
        }
        stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").unwrap();
        Next::KeepAlive
    });
    let ejection =
        Ejection { failures: 1, base_time: Duration::from_secs(1), max_percent: 100, ..Ejection::default() };
    let upstream = group(&[&origin], UpstreamSettings { ejection: Some(ejection), ..Default::default() });
    let gateway = gateway_to(&upstream);
    let client = || Client::connect(gateway.addresses()[0]);
    assert_eq!(status(&client().get("/")), "500");
    assert_eq!(state(&upstream, 0), ServerState::Ejected);
    assert_eq!(status(&client().get("/")), "503");
    assert_eq!(origin.requests.lock().len(), 1, "the breaker is open: nothing goes there");
    until("it is half open", || state(&upstream, 0) == ServerState::Probing);
    let mut probe = client();
    probe.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    until("the probe is there", || entered.load(Ordering::SeqCst) == 1);
    assert_eq!(status(&client().get("/")), "503", "one at a time");
    go.send(()).unwrap();
    assert!(probe.response().ends_with("well"));
    assert_eq!(state(&upstream, 0), ServerState::Up);
    go.send(()).unwrap();
    assert_eq!(status(&client().get("/")), "200");
}

#[test]
fn what_a_client_breaks_ejects_nobody() {
    let origin = Origin::fixed("fine");
    let ejection = Ejection { failures: 1, max_percent: 100, ..Ejection::default() };
    let upstream = group(&[&origin], UpstreamSettings { ejection: Some(ejection), ..Default::default() });
    let gateway = gateway_to(&upstream);
    let broken = "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(status(&Client::connect(gateway.addresses()[0]).request(broken)), "400");
    assert_eq!(state(&upstream, 0), ServerState::Up);
}

#[test]
fn names_are_resolved_in_the_background() {
    let origin = Origin::fixed("named");
    let server = format!("localhost:{}", origin.address.port());
    let upstream = Arc::new(Upstream::new("o", [server], UpstreamSettings::default()).unwrap());
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    assert!(client.get("/").ends_with("named"), "before that, at each connect");
    let runtime = runtime();
    upstream.start(runtime.handle());
    until("it is resolved", || upstream.status().servers[0].addresses.contains(&origin.address));
    for _ in 0..3 {
        assert!(Client::connect(gateway.addresses()[0]).get("/").ends_with("named"));
    }
}
