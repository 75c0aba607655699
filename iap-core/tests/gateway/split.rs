//! Routes that lead to several targets, over real sockets.

use std::sync::Arc;

use crate::common::{ANY, Client, status};
use http::{HeaderName, StatusCode};
use iap_core::rules::{Auth, Bearer, Rules};
use iap_core::target::{Split, SplitBy, Variant};
use iap_core::{MatchedRoute, Route, RouteTable, RunningServer, Server, Target};

fn respond(name: &str, weight: u32) -> Variant {
    Variant::new(name, weight, Target::respond(StatusCode::OK, name.to_owned()))
}

fn serve(by: SplitBy, variants: impl IntoIterator<Item = Variant>, rules: Option<Rules>) -> RunningServer {
    let split = Split::new("shop", by, variants).unwrap();
    let mut route = Route::new("one", "/", Target::Split(Arc::new(split)));
    if let Some(rules) = rules {
        route = route.with_rules(rules);
    }
    let routes = RouteTable::new([route]).unwrap();
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(routes).start().unwrap()
}

fn ask(client: &mut Client, fields: &str) -> (String, Option<String>) {
    let answer = client.request(&format!("GET / HTTP/1.1\r\nhost: shop.test\r\n{fields}\r\n"));
    assert_eq!(status(&answer), "200", "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    (body.to_owned(), cookie.map(ToOwned::to_owned))
}

/// The variants of a hundred keys, each asked for twice on connections of their own.
fn both_and_stable(server: &RunningServer, field: impl Fn(usize) -> String) {
    let round = || -> Vec<_> {
        let mut client = Client::connect(server.addresses()[0]);
        (0..100).map(|key| ask(&mut client, &field(key)).0).collect()
    };
    let first = round();
    assert_eq!(first, round(), "the same key, the same variant");
    assert!(first.iter().any(|name| name == "old") && first.iter().any(|name| name == "new"), "{first:?}");
}

#[test]
fn the_same_key_gets_the_same_variant_and_others_get_the_other() {
    let variants = || [respond("old", 50), respond("new", 50)];
    let server = serve(SplitBy::Header(HeaderName::from_static("x-tenant")), variants(), None);
    both_and_stable(&server, |key| format!("x-tenant: {key}\r\n"));
    let server = serve(SplitBy::Cookie("visitor".into()), variants(), None);
    both_and_stable(&server, |key| format!("cookie: xvisitor=1; visitor={key}\r\n"));

    let tokens = (0..100).map(|key| (format!("user{key}"), format!("token-0123456789-{key}")));
    let mut rules = Rules::default();
    rules.auth = Some(Auth::bearer("shop", Bearer::new(tokens).unwrap()).unwrap());
    let server = serve(SplitBy::User, variants(), Some(rules));
    both_and_stable(&server, |key| format!("authorization: Bearer token-0123456789-{key}\r\n"));
}

#[test]
fn without_a_key_the_client_counts() {
    for by in [
        SplitBy::Client,
        SplitBy::User,
        SplitBy::Cookie("visitor".into()),
        SplitBy::Header(HeaderName::from_static("x-tenant")),
    ] {
        let server = serve(by, [respond("old", 50), respond("new", 50)], None);
        let mut client = Client::connect(server.addresses()[0]);
        let (first, cookie) = ask(&mut client, "");
        assert_eq!(cookie, None);
        assert!((0..20).all(|_| ask(&mut client, "").0 == first));
    }
}

#[test]
fn a_sticky_cookie_outlives_a_change_of_the_shares() {
    let server = serve(SplitBy::Sticky("variant".into()), [respond("old", 1), respond("new", 0)], None);
    let mut client = Client::connect(server.addresses()[0]);
    let cookie = "variant=old; Path=/; HttpOnly; SameSite=Lax".to_owned();
    assert_eq!(ask(&mut client, ""), ("old".into(), Some(cookie.clone())));
    assert_eq!(ask(&mut client, "cookie: a=b; variant=new\r\n"), ("new".into(), None));
    assert_eq!(ask(&mut client, "cookie: variant=old\r\n"), ("old".into(), None));
    assert_eq!(ask(&mut client, "cookie: variant=gone\r\n"), ("old".into(), Some(cookie)), "bound anew");
}

#[test]
fn a_service_among_the_variants_finds_its_extensions() {
    let service = Target::service(
        "app",
        tower::service_fn(|request: http::Request<iap_core::Body>| async move {
            let name = request.extensions().get::<MatchedRoute>().unwrap().name().to_string();
            Ok::<_, std::convert::Infallible>(http::Response::new(iap_core::Body::from(name)))
        }),
    );
    let server = serve(SplitBy::Client, [Variant::new("app", 1, service), respond("old", 0)], None);
    assert_eq!(ask(&mut Client::connect(server.addresses()[0]), "").0, "one");
}
