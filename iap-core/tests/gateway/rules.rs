//! The rules of routes, over real sockets: who may come, how often, what is changed on the way.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{ANY, Client, Next, Origin, respond, status};
use http::{HeaderName, StatusCode};
use iap_core::rules::{
    Access, Auth, Basic, Bearer, Compression, Cors, Edits, Identity, RateKey, RateLimit, Rules,
};
use iap_core::upstream::UpstreamSettings;
use iap_core::{Body, Networks, Route, RouteTable, RunningServer, Server, Target, Upstream};

pub(crate) fn upstream(origin: &Origin) -> Target {
    let settings = UpstreamSettings::default();
    Target::Upstream(Arc::new(Upstream::new("origin", [origin.address.to_string()], settings).unwrap()))
}

pub(crate) fn serve(routes: impl IntoIterator<Item = Route>) -> RunningServer {
    let table = RouteTable::new(routes).unwrap();
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(table).start().unwrap()
}

pub(crate) fn one(path: &str, target: Target, set: impl FnOnce(&mut Rules)) -> RunningServer {
    let mut rules = Rules::default();
    set(&mut rules);
    serve([Route::new("one", path, target).with_rules(rules)])
}

pub(crate) fn client(server: &RunningServer) -> Client {
    Client::connect(server.addresses()[0])
}

pub(crate) fn ask(server: &RunningServer, method: &str, target: &str, fields: &str) -> String {
    client(server).request(&format!("{method} {target} HTTP/1.1\r\nhost: shop.test\r\n{fields}\r\n"))
}

pub(crate) fn field<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let head = response.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

pub(crate) fn ok() -> Target {
    Target::respond(StatusCode::OK, "ok")
}

#[test]
fn addresses_that_may_not_come_get_403_and_the_origin_sees_nothing() {
    let origin = Origin::fixed("ok");
    let networks = |list: &[&str]| Networks::parse(list).unwrap();
    for (allow, deny, expected) in [
        (networks(&[]), networks(&[]), "200"),
        (networks(&["127.0.0.0/8"]), networks(&[]), "200"),
        (networks(&["10.0.0.0/8"]), networks(&[]), "403"),
        (networks(&[]), networks(&["127.0.0.1"]), "403"),
        (networks(&["127.0.0.0/8"]), networks(&["127.0.0.1"]), "403"),
    ] {
        let before = origin.requests.lock().len();
        let server = one("/", upstream(&origin), |rules| rules.access = Some(Access::new(allow, deny)));
        let response = ask(&server, "GET", "/", "");
        assert_eq!(status(&response), expected, "{response}");
        assert_eq!(origin.requests.lock().len() - before, usize::from(expected == "200"));
    }
}

#[test]
fn fields_are_changed_in_both_directions_but_never_those_that_http_needs() {
    let origin = Origin::start(|_, _, stream| {
        let answer = "HTTP/1.1 200 OK\r\nserver: secret\r\nx-a: 1\r\ncontent-length: 2\r\n\r\nok";
        std::io::Write::write_all(stream, answer.as_bytes()).unwrap();
        Next::KeepAlive
    });
    let request = Edits::new().remove("x-debug").unwrap().set("x-env", "prod").unwrap();
    let response = Edits::new().remove("server").unwrap().add("x-a", "2").unwrap();
    let server = one("/", upstream(&origin), |rules| {
        (rules.request, rules.response) = (Some(request), Some(response))
    });
    let answer = ask(&server, "GET", "/", "x-debug: 1\r\nx-env: test\r\n");
    assert!(field(&answer, "server").is_none() && answer.matches("x-a: ").count() == 2, "{answer}");
    let seen = origin.requests.lock()[0].clone();
    assert!(field(&seen, "x-env") == Some("prod") && field(&seen, "x-debug").is_none(), "{seen}");
    for name in ["host", "content-length", "connection", "transfer-encoding", "upgrade", "a b", ""] {
        assert!(Edits::new().set(name, "x").is_err(), "{name}");
    }
    assert!(Edits::new().set("x", "a\r\nb").is_err());
}

#[test]
fn other_sites_may_ask_as_far_as_the_rule_says() {
    let origin = Origin::start(|_, _, stream| {
        let answer = "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\ncontent-length: 2\r\n\r\nok";
        std::io::Write::write_all(stream, answer.as_bytes()).unwrap();
        Next::KeepAlive
    });
    let cors = Cors::new(["https://shop.test", "https://*.shop.test"]).unwrap().credentials().unwrap();
    let cors = cors.methods(&["PUT"]).unwrap().expose(&["x-total"]).unwrap();
    let server = one("/", upstream(&origin), |rules| rules.cors = Some(cors));
    let preflight = |from: &str| {
        ask(&server, "OPTIONS", "/", &format!("origin: {from}\r\naccess-control-request-method: PUT\r\n"))
    };
    for from in ["https://shop.test", "https://a.shop.test", "https://a.b.shop.test"] {
        let response = preflight(from);
        assert_eq!(status(&response), "204", "{response}");
        assert_eq!(field(&response, "access-control-allow-origin"), Some(from));
        assert_eq!(field(&response, "access-control-allow-credentials"), Some("true"));
        assert_eq!(field(&response, "access-control-allow-methods"), Some("PUT"));
    }
    for from in
        ["http://shop.test", "https://evilshop.test", "https://shop.test.evil", "https://.shop.test", "null"]
    {
        let response = preflight(from);
        assert_eq!(status(&response), "403", "{from}");
        assert_eq!(field(&response, "access-control-allow-origin"), None);
        let plain = ask(&server, "GET", "/", &format!("origin: {from}\r\n"));
        assert_eq!(
            (status(&plain), field(&plain, "access-control-allow-origin")),
            ("200", None),
            "not the origin's word"
        );
        assert_eq!(field(&plain, "vary"), Some("origin"));
    }
    assert!(!origin.requests.lock().iter().any(|request| request.starts_with("OPTIONS")));
    // A plain OPTIONS is the target's business.
    assert_eq!(status(&ask(&server, "OPTIONS", "/", "")), "200");
    assert!(Cors::new(["*"]).unwrap().credentials().is_err());
    for bad in ["shop.test", "https://", "https://a/b", "https://*", "*.test", "https://a.*.b"] {
        assert!(Cors::new([bad]).is_err(), "{bad}");
    }
}

#[test]
fn errors_carry_the_fields_of_the_rules_as_well() {
    let cors = Cors::new(["*"]).unwrap();
    let dead =
        Upstream::new("dead", [crate::common::dead_address().to_string()], UpstreamSettings::default())
            .unwrap();
    let response = Edits::new().set("strict-transport-security", "max-age=1").unwrap();
    let server = one("/", Target::Upstream(Arc::new(dead)), |rules| {
        (rules.cors, rules.response) = (Some(cors), Some(response));
    });
    let answer = ask(&server, "GET", "/", "origin: https://x\r\n");
    assert_eq!((status(&answer), field(&answer, "access-control-allow-origin")), ("502", Some("*")));
    assert_eq!(field(&answer, "strict-transport-security"), Some("max-age=1"));
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let limit = |key| RateLimit::new(key, 2, Duration::from_secs(3600)).unwrap();
    let server = one("/", ok(), |rules| rules.rates = vec![limit(RateKey::Client)]);
    let mut client = self::client(&server);
    assert_eq!([(); 3].map(|()| status(&client.get("/")).to_owned()), ["200", "200", "429"]);
    let refused = client.get("/");
    assert!(
        field(&refused, "ratelimit").is_some_and(|left| left.starts_with("\"client\";r=0;t=")),
        "{refused}"
    );
    assert!(
        field(&refused, "retry-after").is_some_and(|seconds| seconds.parse::<u32>().unwrap() > 1700),
        "{refused}"
    );

    let key = HeaderName::from_static("x-key");
    let server = one("/", ok(), |rules| rules.rates = vec![limit(RateKey::Header(key))]);
    let with = |key: &str| status(&ask(&server, "GET", "/", &format!("x-key: {key}\r\n"))).to_owned();
    assert_eq!([with("a"), with("a"), with("a"), with("b")], ["200", "200", "429", "200"]);
    let answer = ask(&server, "GET", "/", "x-key: c\r\n");
    assert_eq!(field(&answer, "ratelimit"), Some("\"header\";r=1;t=1800"));
    assert_eq!(field(&answer, "ratelimit-policy"), Some("\"header\";q=2;w=3600"));
}

#[test]
fn a_limit_by_user_counts_who_the_layers_have_found() {
    let limit = RateLimit::new(RateKey::User, 1, Duration::from_secs(3600)).unwrap();
    let mut rules = Rules::default();
    rules.rates = vec![limit];
    let routes = RouteTable::new([Route::new("one", "/", ok()).with_rules(rules)]).unwrap();
    let layer = tower::util::MapRequestLayer::new(|mut request: http::Request<Body>| {
        let mut identity = Identity::default();
        identity.user = request.headers().get("x-user").and_then(|user| user.to_str().ok().map(Into::into));
        request.extensions_mut().insert(identity);
        request
    });
    let server = Server::builder().listen(ANY.parse().unwrap()).layer(layer).routes(routes).start().unwrap();
    let as_user = |user: &str| status(&ask(&server, "GET", "/", &format!("x-user: {user}\r\n"))).to_owned();
    assert_eq!([as_user("kim"), as_user("kim"), as_user("lee")], ["200", "429", "200"]);
    let answer = ask(&server, "GET", "/", "x-user: max\r\n");
    assert_eq!(field(&answer, "ratelimit"), Some("\"user\";r=0;t=3600"), "told behind layers as well");
}

#[test]
fn a_limit_by_user_or_session_holds_without_layers_too() {
    let limit = |key| RateLimit::new(key, 1, Duration::from_secs(3600)).unwrap();
    let bearer = || Bearer::new([("kim", "kim-0123456789abcdef"), ("lee", "lee-0123456789abcdef")]).unwrap();
    let server = one("/", ok(), |rules| {
        rules.auth = Some(Auth::bearer("r", bearer()).unwrap());
        rules.rates = vec![limit(RateKey::User)];
    });
    let as_user = |user: &str| {
        let field = format!("authorization: Bearer {user}-0123456789abcdef\r\n");
        status(&ask(&server, "GET", "/", &field)).to_owned()
    };
    assert_eq!([as_user("kim"), as_user("kim"), as_user("lee")], ["200", "429", "200"]);
    for key in [RateKey::User, RateKey::Session] {
        let server = one("/", ok(), |rules| rules.rates = vec![limit(key)]);
        let ask = || status(&ask(&server, "GET", "/", "")).to_owned();
        assert_eq!([ask(), ask()], ["200", "429"], "who is unknown counts by the client");
    }
}

#[test]
fn logins_are_asked_for_and_do_not_go_on() {
    let origin = Origin::fixed("ok");
    // bcrypt of `secret`, cost 4.
    let users = format!("# staff\nkim:{}\n", bcrypt::hash("secret", 4).unwrap());
    let auth = Auth::basic("staff", Basic::parse(&users).unwrap()).unwrap();
    let server = one("/", upstream(&origin), |rules| rules.auth = Some(auth));
    let response = ask(&server, "GET", "/", "");
    assert_eq!(status(&response), "401");
    assert_eq!(field(&response, "www-authenticate"), Some("Basic realm=\"staff\", charset=\"UTF-8\""));
    let login = |text: &str| {
        use base64::Engine as _;
        let code = base64::prelude::BASE64_STANDARD.encode(text);
        status(&ask(&server, "GET", "/", &format!("authorization: basic {code}\r\n"))).to_owned()
    };
    assert_eq!([login("kim:secret"), login("kim:secret")], ["200", "200"], "hashed, then remembered");
    for wrong in ["kim:Secret", "kim:", "kim", "lee:secret", ":secret", ""] {
        assert_eq!(login(wrong), "401", "{wrong}");
    }
    for garbage in
        ["Basic !!", "Bearer x", "Basic", "Basic a2ltOnNlY3JldA==\r\nauthorization: Basic a2ltOnNlY3JldA=="]
    {
        assert_eq!(
            status(&ask(&server, "GET", "/", &format!("authorization: {garbage}\r\n"))),
            "401",
            "{garbage}"
        );
    }
    let requests = origin.requests.lock();
    assert!(requests.len() == 2 && !requests[0].contains("authorization"), "{requests:?}");
    for bad in ["", "kim", "kim:plain", "kim:$2y$04$short", ":x"] {
        assert!(Basic::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn tokens_let_their_owners_in() {
    let tokens = Bearer::new([("ci", "0123456789abcdef")]).unwrap();
    let server = one("/", ok(), |rules| rules.auth = Some(Auth::bearer("api", tokens).unwrap()));
    let with = |token: &str| {
        status(&ask(&server, "GET", "/", &format!("authorization: Bearer {token}\r\n"))).to_owned()
    };
    assert_eq!([with("0123456789abcdef"), with("0123456789abcdeF"), with("")], ["200", "401", "401"]);
    assert!(Bearer::new([("ci", "short")]).is_err() && Bearer::new::<&str>([]).is_err());
    assert!(Auth::bearer("a\"b", Bearer::new([("ci", "0123456789abcdef")]).unwrap()).is_err());
}

#[test]
fn a_route_has_limits_of_its_own() {
    let origin = Origin::start(|_, _, stream| {
        // Holds the answer until the client is done with the other request.
        let _ = std::io::Read::read(stream, &mut [0; 1]);
        respond(stream, "late");
        Next::Close
    });
    let server = one("/", upstream(&origin), |rules| {
        (rules.limits.in_flight, rules.limits.body) = (Some(1), Some(3));
        rules.limits.total = Some(Duration::from_millis(300));
    });
    let (mut first, mut second) = (client(&server), client(&server));
    first.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    while origin.requests.lock().is_empty() {
        std::thread::yield_now();
    }
    let refused = second.get("/");
    assert_eq!((status(&refused), field(&refused, "retry-after")), ("503", Some("1")));
    assert_eq!(status(&first.response()), "504", "after its time");
    assert_eq!(status(&ask(&server, "POST", "/", "content-length: 4\r\n\r\nabcd")), "413");
    let chunked = "transfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n";
    assert_eq!(status(&ask(&server, "POST", "/", chunked)), "413");
}

#[test]
fn texts_are_compressed_for_whom_it_helps() {
    let text = "hello, world! ".repeat(1000);
    let target = |kind: &'static str, extra: &'static str| {
        let text = text.clone();
        Target::service(
            "text",
            tower::service_fn(move |_: http::Request<Body>| {
                let mut response = http::Response::new(Body::from(text.clone()));
                response.headers_mut().insert("content-type", kind.parse().unwrap());
                response.headers_mut().insert("etag", "\"v1\"".parse().unwrap());
                if let Some((name, value)) = extra.split_once(": ") {
                    response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
                }
                async move { Ok::<_, std::convert::Infallible>(response) }
            }),
        )
    };
    let get = |kind, extra, accept: &str| {
        let server = one("/", target(kind, extra), |rules| rules.compression = Some(Compression::default()));
        ask_bytes(
            &server,
            &format!("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\naccept-encoding: {accept}\r\n\r\n"),
        )
    };
    for (accept, coding) in [("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip;q=0.5, br", "br")] {
        let (head, body) = get("text/html", "", accept);
        assert_eq!(field(&head, "content-encoding"), Some(coding), "{head}");
        assert_eq!((field(&head, "vary"), field(&head, "etag")), (Some("accept-encoding"), Some("W/\"v1\"")));
        assert!(body < text.len() / 5, "{body}");
    }
    for (kind, extra, accept) in [
        ("text/html", "", "identity"),
        ("text/html", "", "gzip;q=0"),
        ("image/png", "", "gzip"),
        ("text/event-stream", "", "gzip"),
        ("application/grpc", "", "gzip"),
        ("application/grpc+json", "", "gzip"),
        ("application/grpc-web+json", "", "gzip"),
        ("text/html", "content-encoding: gzip", "br"),
        ("text/html", "cache-control: public, no-transform", "gzip"),
        ("text/html", "content-range: bytes 0-1/2", "gzip"),
    ] {
        let (head, body) = get(kind, extra, accept);
        assert_eq!(
            (body, field(&head, "etag")),
            (text.len(), Some("\"v1\"")),
            "{kind} {extra} {accept}: {head}"
        );
    }
}

/// The head and the length of the body.
fn ask_bytes(server: &RunningServer, request: &str) -> (String, usize) {
    let mut client = client(server);
    client.send(request);
    let head = crate::common::read_head_only(&mut client.0).unwrap();
    let mut body = Vec::new();
    std::io::Read::read_to_end(&mut client.0, &mut body).unwrap();
    (head, body.len())
}
