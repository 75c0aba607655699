//! A second server is asked when the first one is late.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::common::{Client, Next, Origin, gateway_to, respond, status};
use iap_core::Upstream;
use iap_core::upstream::{Balance, HashBy, Hedge, UpstreamSettings};

/// An origin that answers when it is told to.
fn slow() -> (Origin, Sender<()>) {
    let (go, wait) = channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let origin = Origin::start(move |_, _, stream| {
        let _ = wait.lock().recv();
        respond(stream, "slow");
        Next::KeepAlive
    });
    (origin, go)
}

fn group(servers: &[&Origin], settings: UpstreamSettings) -> Arc<Upstream> {
    let servers = servers.iter().map(|origin| origin.address.to_string());
    let hedge = Hedge { after: Duration::from_millis(30), budget_percent: 100 };
    Arc::new(Upstream::new("group", servers, UpstreamSettings { hedge: Some(hedge), ..settings }).unwrap())
}

#[test]
fn a_late_server_is_overtaken_by_another() {
    let ((late, go), quick) = (slow(), Origin::fixed("quick"));
    let upstream = group(&[&late, &quick], UpstreamSettings::default());
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    for _ in 0..4 {
        assert!(client.get("/").ends_with("quick"));
    }
    assert!(late.requests.lock().len() >= 2, "it was asked first, in its turn");
    drop(go);
}

#[test]
fn a_late_answer_counts_when_the_other_server_has_none() {
    let (go, told) = channel::<()>();
    let told = parking_lot::Mutex::new(told);
    let late = Origin::start(move |_, _, stream| {
        told.lock().recv().unwrap();
        respond(stream, "late");
        Next::KeepAlive
    });
    let failing = Origin::start(move |_, _, stream| {
        std::io::Write::write_all(stream, b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").unwrap();
        go.send(()).unwrap();
        Next::KeepAlive
    });
    let upstream = group(&[&late, &failing], UpstreamSettings::default());
    let gateway = gateway_to(&upstream);
    assert!(Client::connect(gateway.addresses()[0]).get("/").ends_with("late"));
}

#[test]
fn nothing_is_asked_twice_that_may_not_be() {
    let keyed = UpstreamSettings { balance: Balance::Hash(HashBy::Client), ..UpstreamSettings::default() };
    for (settings, method) in [(UpstreamSettings::default(), "POST"), (keyed, "GET")] {
        let ((late, go), (later, go_too)) = (slow(), slow());
        let upstream = group(&[&late, &later], settings);
        let gateway = gateway_to(&upstream);
        let mut client = Client::connect(gateway.addresses()[0]);
        client.send(&format!("{method} / HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n"));
        let asked = || late.requests.lock().len() + later.requests.lock().len();
        crate::common::until("one is asked", || asked() == 1);
        // Three times the pause: a second question would have been put.
        std::thread::sleep(Duration::from_millis(90));
        drop((go, go_too));
        assert_eq!(status(&client.response()), "200");
        assert_eq!(asked(), 1, "{method}");
    }
}
