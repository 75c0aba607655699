//! Which server a request goes to: weights, keys, sticky clients, drain.

use std::sync::Arc;

use crate::common::{Client, Next, Origin, gateway_to, respond, status};
use iap_core::Upstream;
use iap_core::upstream::{Balance, HashBy, ServerSettings, ServerState, Sticky, UpstreamSettings};

fn upstream(servers: &[(&Origin, &'static str, u32)], settings: UpstreamSettings) -> Arc<Upstream> {
    let servers = servers.iter().map(|(origin, name, weight)| {
        let server = ServerSettings::parse(&origin.address.to_string()).unwrap().weight(*weight);
        if name.is_empty() { server } else { server.name(*name) }
    });
    Arc::new(Upstream::with_servers("group", servers, settings).unwrap())
}

fn get(client: &mut Client, path: &str, fields: &str) -> String {
    client.request(&format!("GET {path} HTTP/1.1\r\nhost: t\r\n{fields}\r\n"))
}

fn cookie(response: &str) -> Option<&str> {
    response.lines().find_map(|line| line.strip_prefix("set-cookie: "))
}

fn body(response: &str) -> &str {
    response.rsplit("\r\n").next().unwrap()
}

#[test]
fn requests_follow_weights() {
    let (a, b) = (Origin::fixed("a"), Origin::fixed("b"));
    let upstream = upstream(&[(&a, "", 3), (&b, "", 1)], UpstreamSettings::default());
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    let seen: String = (0..8).map(|_| body(&client.get("/")).to_owned()).collect();
    assert_eq!(seen, "aabaaaba");
}

#[test]
fn the_same_key_goes_to_the_same_server() {
    let origins = [Origin::fixed("a"), Origin::fixed("b"), Origin::fixed("c")];
    let servers: Vec<_> = origins.iter().map(|origin| (origin, "", 1)).collect();
    let by = HashBy::Header(http::HeaderName::from_static("x-tenant"));
    let settings = UpstreamSettings { balance: Balance::Hash(by), ..UpstreamSettings::default() };
    let upstream = upstream(&servers, settings);
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    let mut ask =
        |tenant: usize| body(&get(&mut client, "/", &format!("x-tenant: t{tenant}\r\n"))).to_owned();
    let first: Vec<String> = (0..30).map(&mut ask).collect();
    for name in ["a", "b", "c"] {
        assert!(first.iter().any(|server| server == name), "{first:?}");
    }
    assert_eq!((0..30).map(&mut ask).collect::<Vec<_>>(), first);
    assert!(upstream.drain(&origins[1].address.to_string(), false));
    for (tenant, before) in first.iter().enumerate() {
        let now = ask(tenant);
        assert!(now != "b" && (before == "b" || now == *before), "{tenant}: {before}, then {now}");
    }
    assert!(upstream.undrain(&origins[1].address.to_string()));
    assert_eq!((0..30).map(&mut ask).collect::<Vec<_>>(), first, "keys come back with their server");
    // Without the key it is the client's address.
    assert_eq!(body(&client.get("/")), body(&client.get("/")));
}

#[test]
fn a_cookie_keeps_a_client_with_its_server_until_that_is_gone() {
    let (a, b) = (Origin::fixed("a"), Origin::fixed("b"));
    let settings = UpstreamSettings {
        sticky: Some(Sticky::Cookie { name: "route".into() }),
        ..UpstreamSettings::default()
    };
    for names in [["one", "two"], ["", ""]] {
        let upstream = upstream(&[(&a, names[0], 1), (&b, names[1], 1)], settings.clone());
        let gateway = gateway_to(&upstream);
        let mut client = Client::connect(gateway.addresses()[0]);
        let first = client.get("/");
        let (home, set) = (body(&first).to_owned(), cookie(&first).expect("a cookie").to_owned());
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
        let value = set.split(';').next().unwrap();
        assert!(!value.contains("127.0.0.1"), "an internal address leaked: {value}");
        let fields = format!("cookie: x=1; {value}; y=2\r\n");
        for _ in 0..5 {
            let response = get(&mut client, "/", &fields);
            assert_eq!((body(&response), cookie(&response)), (&*home, None), "bound, and told only once");
        }
        let (gone, other) = if home == "a" { (&a, "b") } else { (&b, "a") };
        upstream.drain(&gone.address.to_string(), true);
        assert_eq!(body(&get(&mut client, "/", &fields)), home, "its session may come to an end");
        assert_eq!(body(&client.get("/")), other, "nobody new comes");
        upstream.drain(&gone.address.to_string(), false);
        let moved = get(&mut client, "/", &fields);
        assert_eq!(body(&moved), other);
        assert!(cookie(&moved).is_some_and(|set| !set.starts_with(value)), "bound to the new one");
        let unknown = get(&mut client, "/", "cookie: route=nobody\r\n");
        assert!(status(&unknown) == "200" && cookie(&unknown).is_some());
    }
}

#[test]
fn the_route_of_a_java_session_is_followed() {
    let (a, b) = (Origin::fixed("a"), Origin::fixed("b"));
    let settings = UpstreamSettings {
        sticky: Some(Sticky::Route { cookie: "JSESSIONID".into() }),
        ..UpstreamSettings::default()
    };
    let upstream = upstream(&[(&a, "node1", 1), (&b, "node2", 1)], settings);
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    for _ in 0..3 {
        for (route, server) in [("node1", "a"), ("node2", "b")] {
            let by_cookie = get(&mut client, "/", &format!("cookie: JSESSIONID=0A.B.{route}\r\n"));
            assert_eq!((body(&by_cookie), cookie(&by_cookie)), (server, None));
            let by_path = get(&mut client, &format!("/app/page;jsessionid=0AB.{route}?q=1"), "");
            assert_eq!(body(&by_path), server);
        }
    }
    assert_eq!(status(&get(&mut client, "/", "cookie: JSESSIONID=0AB.node3\r\n")), "200");
    upstream.drain("node1", false);
    assert_eq!(body(&get(&mut client, "/", "cookie: JSESSIONID=0AB.node1\r\n")), "b");
}

#[test]
fn a_drained_server_finishes_what_runs_and_gets_nothing_new() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let origin = Origin::start(move |_, _, stream| {
        wait.lock().recv().unwrap();
        respond(stream, "done");
        Next::KeepAlive
    });
    let upstream = upstream(&[(&origin, "only", 1)], UpstreamSettings::default());
    let gateway = gateway_to(&upstream);
    let mut running = Client::connect(gateway.addresses()[0]);
    running.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    crate::common::until("the request is at the origin", || origin.requests.lock().len() == 1);

    assert!(upstream.drain("only", false));
    assert!(!upstream.drain("another", false) && !upstream.undrain("another"));
    let server = upstream.status().servers.remove(0);
    assert_eq!((server.state, server.in_flight, server.connections), (ServerState::Draining, 1, 1));
    let refused = Client::connect(gateway.addresses()[0]).get("/");
    assert_eq!(status(&refused), "503");
    assert!(refused.contains("retry-after: 1"), "{refused}");
    go.send(()).unwrap();
    assert!(running.response().ends_with("done"));
    crate::common::until("its connection is closed", || upstream.status().servers[0].connections == 0);

    assert!(upstream.undrain("only"));
    go.send(()).unwrap();
    assert!(running.get("/").ends_with("done"));
    assert_eq!(upstream.status().servers[0].state.as_str(), "up");
}
