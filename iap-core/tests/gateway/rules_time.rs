//! How long a server may let a request wait, by route.

use std::sync::Arc;
use std::time::Duration;

use iap_core::rules::Rules;
use iap_core::upstream::{Retry, UpstreamSettings};
use iap_core::{Route, RouteTable, RunningServer, Server, Target, Upstream};
use parking_lot::Mutex;

use crate::common::h2::{ModernOrigin, answer};
use crate::common::{ANY, Client, Next, Origin, respond, status};

const SHORT: Duration = Duration::from_millis(100);

/// Routes that wait as long as the upstream says, longer and shorter, to one upstream.
fn gateway(server: String, response_timeout: Duration, retry: Option<Retry>) -> RunningServer {
    let settings = UpstreamSettings { response_timeout, retry, ..UpstreamSettings::default() };
    let upstream = Arc::new(Upstream::new("o", [server], settings).unwrap());
    let route = |name: &str, response: Option<Duration>| {
        let mut rules = Rules::default();
        rules.limits.response = response;
        Route::new(name, format!("/{name}"), Target::Upstream(upstream.clone())).with_rules(rules)
    };
    let routes = [
        route("plain", None),
        route("patient", Some(Duration::from_secs(60))),
        route("impatient", Some(SHORT)),
    ];
    let server = Server::builder().listen(ANY.parse().unwrap()).workers(1);
    server.routes(RouteTable::new(routes).unwrap()).start().unwrap()
}

/// Asks in the background.
fn ask(gateway: &RunningServer, path: &'static str) -> std::thread::JoinHandle<String> {
    let mut client = Client::connect(gateway.addresses()[0]);
    std::thread::spawn(move || client.get(path))
}

/// What `/hold` waits for is sent only when another route has lost its patience, which began later: so
/// the one that holds has waited for longer.
fn one_outlasts_the_other(gateway: &RunningServer, holds: &'static str, fails: &'static str, go: impl Fn()) {
    let mut client = Client::connect(gateway.addresses()[0]);
    assert_eq!(status(&client.get("/plain")), "200", "a connection that the others reuse");
    let held = ask(gateway, holds);
    let late = ask(gateway, fails).join().unwrap();
    assert_eq!(status(&late), "504", "{late}");
    assert!(late.contains(r#""kind":"timeout""#), "{late}");
    go();
    let held = held.join().unwrap();
    assert_eq!(status(&held), "200", "{held}");
}

#[test]
fn a_route_may_wait_longer_or_shorter_than_its_upstream() {
    for (timeout, holds, fails) in [
        (Duration::from_secs(60), "/plain/hold", "/impatient/lose"),
        (SHORT, "/patient/hold", "/plain/lose"),
        (SHORT, "/patient/hold", "/impatient/lose"),
    ] {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let origin = Origin::start(move |_, request, stream| {
            if request.contains("/lose") {
                let _ = std::io::Read::read(stream, &mut [0; 1]);
                return Next::Close;
            }
            if request.contains("/hold") {
                gone.lock().recv().unwrap();
            }
            respond(stream, "ok");
            Next::KeepAlive
        });
        let gateway = gateway(origin.address.to_string(), timeout, None);
        one_outlasts_the_other(&gateway, holds, fails, || go.send(()).unwrap());
    }
}

#[test]
fn it_is_the_same_over_http2() {
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let wait = go.clone();
    let origin = ModernOrigin::start(None, move |_, request| {
        let wait = wait.clone();
        async move {
            match request.uri().path() {
                "/impatient/lose" => std::future::pending::<()>().await,
                "/plain/hold" => wait.acquire().await.unwrap().forget(),
                _ => {}
            }
            answer("ok")
        }
    });
    let gateway = gateway(format!("h2c://{}", origin.address), Duration::from_secs(60), None);
    one_outlasts_the_other(&gateway, "/plain/hold", "/impatient/lose", || go.add_permits(1));
}

#[test]
fn a_retry_has_the_time_of_the_route_again() {
    let origin = Origin::start(|number, _, stream| {
        if number == 1 {
            let _ = std::io::Read::read(stream, &mut [0; 1]);
            return Next::Close;
        }
        respond(stream, "second");
        Next::KeepAlive
    });
    let retry = Retry { on_timeout: true, ..Retry::default() };
    let gateway = gateway(origin.address.to_string(), Duration::from_secs(60), Some(retry));
    assert!(Client::connect(gateway.addresses()[0]).get("/impatient").ends_with("second"));
    assert_eq!(origin.requests.lock().len(), 2);
}
