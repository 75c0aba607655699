//! TLS and sockets of the file system to upstreams.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::common::h2::{Identity, ModernOrigin, answer};
use crate::common::recording::{Recording, soon};
use crate::common::{ANY, Client, Next, Origin, gateway_to, read_message, respond, single, status, until};
use http::HeaderValue;
use iap_core::server::TlsError;
use iap_core::upstream::{InFlightLimits, Protocol, UpstreamSettings, UpstreamTls, UpstreamTlsSettings};
use iap_core::{Server, Target, Upstream};

/// Says what it speaks and which name it was asked for.
fn secure(identity: &Identity, client: Option<&Identity>) -> ModernOrigin {
    ModernOrigin::start(Some(identity.server(client)), |_, request| async move {
        let mut response = answer("ok");
        let seen = format!("{:?}", request.version());
        response.headers_mut().insert("x-seen", HeaderValue::from_str(&seen).unwrap());
        response
    })
}

fn ask(origin: &ModernOrigin, host: &str, protocol: Protocol, tls: &UpstreamTlsSettings) -> String {
    let tls = Some(UpstreamTls::load(tls).unwrap());
    let settings = UpstreamSettings { protocol, tls, ..UpstreamSettings::default() };
    let server = format!("https://{host}:{}", origin.address.port());
    let upstream = Arc::new(Upstream::new("o", [server], settings).unwrap());
    let gateway = gateway_to(&upstream);
    let response = Client::connect(gateway.addresses()[0]).get("/");
    match upstream.status().servers[0].last_error.clone() {
        Some(error) => {
            assert!(!response.contains(&*error), "the cause is not for clients: {response}");
            format!("{} {error}", status(&response))
        }
        None => response,
    }
}

fn trusting(identity: &Identity) -> UpstreamTlsSettings {
    UpstreamTlsSettings { ca: Some(identity.certificate.path().into()), ..Default::default() }
}

#[test]
fn servers_are_verified_and_speak_what_was_agreed() {
    let identity = Identity::new(&["localhost", "127.0.0.1"]);
    let origin = secure(&identity, None);
    let trusting = trusting(&identity);
    for (protocol, seen) in
        [(Protocol::Auto, "HTTP/2.0"), (Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2.0")]
    {
        for host in ["localhost", "127.0.0.1"] {
            let response = ask(&origin, host, protocol, &trusting);
            assert!(response.contains(&format!("x-seen: {seen}")), "{protocol:?}: {response}");
        }
    }
    // By anybody else's authority.
    let stranger = Identity::new(&["localhost"]);
    let wrong = UpstreamTlsSettings { ca: Some(stranger.certificate.path().into()), ..Default::default() };
    let response = ask(&origin, "localhost", Protocol::Auto, &wrong);
    assert!(response.starts_with("502 ") && response.contains("certificate"), "{response}");
    let blind = UpstreamTlsSettings { insecure_skip_verify: true, ..Default::default() };
    assert!(ask(&origin, "localhost", Protocol::Auto, &blind).contains("200 OK"));
    assert_eq!(origin.handled(), 7, "nothing is sent before the server is verified");
}

#[test]
fn a_name_of_its_own_can_be_asked_for() {
    let identity = Identity::new(&["shop.internal"]);
    let origin = secure(&identity, None);
    let response = ask(&origin, "localhost", Protocol::Auto, &trusting(&identity));
    assert!(response.starts_with("502 ") && response.contains("not valid for name"), "{response}");
    let named = UpstreamTlsSettings { server_name: Some("shop.internal".into()), ..trusting(&identity) };
    assert!(ask(&origin, "localhost", Protocol::Auto, &named).contains("200 OK"));
}

#[test]
fn a_client_certificate_is_shown_to_servers_that_ask() {
    let (identity, client) = (Identity::new(&["localhost"]), Identity::new(&["gateway"]));
    let origin = secure(&identity, Some(&client));
    for protocol in [Protocol::Auto, Protocol::Http1] {
        assert!(ask(&origin, "localhost", protocol, &trusting(&identity)).starts_with("502 "));
        let shown = UpstreamTlsSettings {
            client: Some((client.certificate.path().into(), client.key.path().into())),
            ..trusting(&identity)
        };
        assert!(ask(&origin, "localhost", protocol, &shown).contains("200 OK"));
    }
}

#[test]
fn bad_files_and_names_are_refused_at_once() {
    let identity = Identity::new(&["localhost"]);
    let load = |settings| UpstreamTls::load(&settings).unwrap_err();
    let missing = UpstreamTlsSettings { ca: Some("/nowhere.pem".into()), ..Default::default() };
    assert!(load(missing).to_string().starts_with("/nowhere.pem: "));
    let key = UpstreamTlsSettings { ca: Some(identity.key.path().into()), ..Default::default() };
    assert!(matches!(load(key), TlsError::NoCertificate(_)));
    let name = UpstreamTlsSettings { server_name: Some("a b".into()), ..trusting(&identity) };
    assert!(matches!(load(name), TlsError::BadServerName(_)));
    let other = Identity::new(&["gateway"]);
    let pair = (identity.certificate.path().into(), other.key.path().into());
    let mixed = UpstreamTlsSettings { client: Some(pair), ..trusting(&identity) };
    assert!(matches!(load(mixed), TlsError::Unusable(_)));
}

/// What an observer is told of one request.
fn observed(hooks: &Recording, client: &mut Client) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    client.request("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    runtime.block_on(soon(async {
        while !hooks.0.lock().iter().any(|told| told.starts_with("finish")) {
            hooks.1.notified().await;
        }
    }));
    let told = std::mem::take(&mut *hooks.0.lock());
    told.into_iter().filter(|told| told.starts_with("upstream")).collect()
}

#[test]
fn the_handshake_is_told_as_a_part_of_connecting() {
    let identity = Identity::new(&["localhost"]);
    let origin = secure(&identity, None);
    let tls = Some(UpstreamTls::load(&trusting(&identity)).unwrap());
    let settings = UpstreamSettings { tls, ..UpstreamSettings::default() };
    let server = format!("https://localhost:{}", origin.address.port());
    let upstream = Arc::new(Upstream::new("o", [server], settings).unwrap());
    let (hooks, target) = (Recording::default(), Target::Upstream(upstream));
    let gateway = hooks.watch(single(target));
    let mut client = Client::connect(gateway.addresses()[0]);
    assert_eq!(observed(&hooks, &mut client), ["upstream.tls TLS 1.3, h2", "upstream.connect", "upstream"]);
    assert_eq!(observed(&hooks, &mut client), ["upstream"], "the connection was there");

    // One that never answers: the time that connecting may take ends in the handshake.
    let silent = std::net::TcpListener::bind(ANY).unwrap();
    let tls = Some(UpstreamTls::load(&trusting(&identity)).unwrap());
    let connect_timeout = Duration::from_millis(200);
    let settings = UpstreamSettings { tls, connect_timeout, ..UpstreamSettings::default() };
    let server = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let upstream = Arc::new(Upstream::new("o", [server], settings).unwrap());
    let gateway = hooks.watch(single(Target::Upstream(upstream)));
    let told = observed(&hooks, &mut Client::connect(gateway.addresses()[0]));
    assert_eq!(told[..2], ["upstream.tls failed", "upstream.connect failed"], "{told:?}");
}

#[test]
fn a_plain_server_where_tls_was_expected_is_502() {
    let origin = Origin::fixed("plain");
    let tls = Some(
        UpstreamTls::load(&UpstreamTlsSettings { insecure_skip_verify: true, ..Default::default() }).unwrap(),
    );
    let connect_timeout = std::time::Duration::from_millis(300);
    let settings = UpstreamSettings { tls, connect_timeout, ..UpstreamSettings::default() };
    let upstream = Arc::new(Upstream::new("o", [format!("https://{}", origin.address)], settings).unwrap());
    let gateway = gateway_to(&upstream);
    // The origin waits for the end of a head, so it is the handshake's own time that ends.
    let response = Client::connect(gateway.addresses()[0]).get("/");
    assert!(["502", "504"].contains(&status(&response)), "{response}");
    assert!(
        origin.requests.lock().iter().all(|request| !request.contains("GET ")),
        "nothing went in the clear"
    );
}

#[test]
fn a_websocket_gets_a_connection_of_its_own_where_the_server_prefers_http2() {
    let identity = Identity::new(&["localhost"]);
    let mut seen = identity.server(None);
    let (protocols, offered) = std::sync::mpsc::channel();
    seen.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = std::net::TcpListener::bind(crate::common::ANY).unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream);
            let request = read_message(&mut stream).unwrap();
            protocols.send(stream.conn.alpn_protocol().map(<[u8]>::to_vec)).unwrap();
            assert!(request.to_ascii_lowercase().contains("upgrade: websocket"), "{request}");
            let switch =
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
            stream.write_all(switch.as_bytes()).unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
        }
    });
    let tls = Some(UpstreamTls::load(&trusting(&identity)).unwrap());
    let settings = UpstreamSettings { tls, ..UpstreamSettings::default() };
    let upstream = Arc::new(Upstream::new("o", [format!("https://localhost:{port}")], settings).unwrap());
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nhost: t\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
    let head = crate::common::read_head_only(&mut client.0).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(offered.recv().unwrap().as_deref(), Some(&b"http/1.1"[..]));
    client.send("ping");
    let mut echo = [0; 4];
    client.0.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"ping");
    drop(client);
    crate::common::until("the tunnel counts to its end", || {
        let server = upstream.status().servers.remove(0);
        (server.in_flight, server.connections) == (0, 0)
    });
}

#[test]
fn a_server_behind_a_socket_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some(request) = read_message(&mut stream) {
                assert!(request.starts_with("GET /a HTTP/1.1\r\n") && request.contains("host: test\r\n"));
                respond(&mut stream, "by file");
            }
        }
    });
    let server = format!("unix:{}", path.display());
    let upstream = Arc::new(Upstream::new("o", [&server], UpstreamSettings::default()).unwrap());
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    for _ in 0..3 {
        assert!(client.get("/a").ends_with("by file"));
    }
    let status = upstream.status();
    assert_eq!(*status.servers[0].address, *server);
    assert_eq!((status.servers[0].pool.opened, status.servers[0].pool.reused), (1, 2));
}

#[test]
fn idle_connections_go_when_the_server_closes_them_and_when_they_are_old() {
    let (close, told) = std::sync::mpsc::channel::<()>();
    let told = parking_lot::Mutex::new(told);
    let closing = Origin::start(move |_, _, stream| {
        respond(stream, "ok");
        let _ = told.lock().recv();
        Next::Close
    });
    let keeping = Origin::fixed("ok");
    let group = |origin: &Origin, idle_timeout| {
        let settings = UpstreamSettings { idle_timeout, ..UpstreamSettings::default() };
        Arc::new(Upstream::new("u", [origin.address.to_string()], settings).unwrap())
    };
    for (upstream, close) in [
        (group(&closing, Duration::from_secs(3600)), Some(close)),
        (group(&keeping, Duration::from_millis(50)), None),
    ] {
        let gateway = gateway_to(&upstream);
        assert_eq!(status(&Client::connect(gateway.addresses()[0]).get("/")), "200");
        drop(close);
        // Nobody asks for them any more.
        until("none is left", || upstream.stats().idle == 0);
    }
}

#[test]
fn idle_connections_end_with_the_server_that_made_them() {
    let origin = Origin::fixed("ok");
    let upstream =
        Arc::new(Upstream::new("u", [origin.address.to_string()], UpstreamSettings::default()).unwrap());
    let gateway = gateway_to(&upstream);
    assert_eq!(status(&Client::connect(gateway.addresses()[0]).get("/")), "200");
    until("it is idle", || upstream.stats().idle == 1);
    drop(gateway);
    until("none is left", || upstream.stats().idle == 0);
}

#[test]
fn a_new_connection_that_is_reset_unread_is_made_once_more_for_what_is_safe() {
    for (method, is_reset, expected, connections) in
        [("GET", true, "200", 2), ("POST", true, "502", 1), ("GET", false, "502", 1)]
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let origin = std::thread::spawn(move || {
            for number in 1..=connections {
                let (mut stream, _) = listener.accept().unwrap();
                if number == 2 || !is_reset {
                    read_message(&mut stream).unwrap();
                }
                if number == 2 {
                    respond(&mut stream, "ok");
                } else if is_reset {
                    // The request is there, and nobody has read it.
                    stream.peek(&mut [0]).unwrap();
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        });
        let upstream = Arc::new(Upstream::new("u", [address], UpstreamSettings::default()).unwrap());
        let gateway = gateway_to(&upstream);
        let request = format!("{method} / HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n");
        let response = Client::connect(gateway.addresses()[0]).request(&request);
        assert_eq!(status(&response), expected, "{method}, reset: {is_reset}");
        assert_eq!(upstream.stats().opened, connections, "{method}, reset: {is_reset}");
        origin.join().unwrap();
    }
}

/// Asks from so many connections, one after the other; they come to different workers.
fn ask_by_turns(upstream: &Arc<Upstream>, clients: usize) {
    let routes = single(Target::Upstream(upstream.clone()));
    let gateway = Server::builder().listen(ANY.parse().unwrap()).workers(3).routes(routes).start().unwrap();
    let mut clients: Vec<_> = (0..clients).map(|_| Client::connect(gateway.addresses()[0])).collect();
    for turn in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            let response = client.get("/");
            assert_eq!(status(&response), "200", "turn {turn}, client {number}: {response}");
        }
    }
}

#[test]
fn an_idle_connection_serves_whichever_worker_needs_it() {
    let identity = Identity::new(&["localhost"]);
    let secure = secure(&identity, None);
    let plain = Origin::fixed("ok");
    let tls = Some(UpstreamTls::load(&trusting(&identity)).unwrap());
    let limits = Some(InFlightLimits { connections_per_server: Some(1), ..Default::default() });
    let settings = UpstreamSettings { protocol: Protocol::Http1, limits, ..UpstreamSettings::default() };
    let one = |server: String, settings| Arc::new(Upstream::new("o", [server], settings).unwrap());
    let by_tls = one(
        format!("https://localhost:{}", secure.address.port()),
        UpstreamSettings { tls, ..settings.clone() },
    );
    for upstream in [one(plain.address.to_string(), settings), by_tls] {
        ask_by_turns(&upstream, 16);
        let pool = &upstream.status().servers[0].pool;
        assert_eq!((pool.opened, pool.reused), (1, 47));
    }
    // Where there may be more, each worker makes those it needs.
    let free = one(plain.address.to_string(), UpstreamSettings::default());
    ask_by_turns(&free, 16);
    assert!(free.status().servers[0].pool.opened <= 3, "{:?}", free.status().servers[0].pool);
}
