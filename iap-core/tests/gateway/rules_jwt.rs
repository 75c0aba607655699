//! Signed tokens over real sockets: who comes in, what the target sees, what a refused client is told.

use std::sync::Arc;

use crate::common::{ANY, Client, Origin, status};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use iap_core::rules::{Auth, Jwt, JwtKeys, Rules};
use iap_core::upstream::UpstreamSettings;
use iap_core::{Route, RouteTable, RunningServer, Server, Target, Upstream};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn token(user: &str, exp: u64) -> String {
    let claims = format!(r#"{{"sub":"{user}","exp":{exp}}}"#);
    let message = format!("{}.{}", BASE64.encode(r#"{"alg":"HS256"}"#), BASE64.encode(claims));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET);
    format!("{message}.{}", BASE64.encode(ring::hmac::sign(&key, message.as_bytes())))
}

fn serve(origin: &Origin, change: impl FnOnce(Auth) -> Auth) -> RunningServer {
    let upstream =
        Upstream::new("origin", [origin.address.to_string()], UpstreamSettings::default()).unwrap();
    let jwt = Jwt::new(JwtKeys::secret(SECRET).unwrap());
    let mut rules = Rules::default();
    rules.auth = Some(change(Auth::jwt("api", jwt).unwrap()));
    let route = Route::new("api", "/", Target::Upstream(Arc::new(upstream))).with_rules(rules);
    let table = RouteTable::new([route]).unwrap();
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(table).start().unwrap()
}

fn ask(server: &RunningServer, fields: &str) -> String {
    Client::connect(server.addresses()[0]).request(&format!("GET / HTTP/1.1\r\nhost: t\r\n{fields}\r\n"))
}

#[test]
fn a_signed_token_lets_its_user_in_and_stays_with_us_unless_it_is_forwarded() {
    let origin = Origin::fixed("ok");
    let good = format!("authorization: Bearer {}\r\n", token("kim", 4_102_444_800));
    let seen = |forwards: bool| {
        let server = serve(&origin, |auth| if forwards { auth.forward() } else { auth });
        assert_eq!(status(&ask(&server, &good)), "200");
        origin.requests.lock().last().unwrap().contains("authorization: Bearer ")
    };
    assert_eq!([seen(false), seen(true)], [false, true]);
}

#[test]
fn a_refused_client_learns_whether_its_token_was_wrong_and_the_origin_sees_nothing() {
    let origin = Origin::fixed("ok");
    let server = serve(&origin, |auth| auth);
    let challenge = |fields: &str| {
        let response = ask(&server, fields);
        assert_eq!(status(&response), "401", "{response}");
        let line = response.lines().find_map(|line| line.strip_prefix("www-authenticate: "));
        line.unwrap_or_default().to_owned()
    };
    assert_eq!(challenge(""), "Bearer realm=\"api\"");
    let old = format!("authorization: Bearer {}\r\n", token("kim", 1));
    for wrong in [old.as_str(), "authorization: Bearer x.y.z\r\n", "authorization: Basic a2ltOmtpbQ==\r\n"] {
        assert_eq!(challenge(wrong), "Bearer realm=\"api\", error=\"invalid_token\"", "{wrong}");
    }
    assert!(origin.requests.lock().is_empty());
}
