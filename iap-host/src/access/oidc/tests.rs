use std::net::Ipv4Addr;
use std::time::Duration;

use http::{HeaderValue, header};
use iap_core::ManualClock;

use super::*;

const NOW_MS: u64 = 1_790_000_000_000;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn with_cookie(field: &str) -> HeaderMap {
    let pair = field.split(';').next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::try_from(format!("other=1; {pair}")).expect("a header"));
    headers
}

fn begin(pendings: &Pendings, from: IpAddr) -> (String, Pending, String) {
    pendings.begin("https://ops.example/back".to_owned(), "/logs".to_owned(), from).expect("begun")
}

#[test]
fn what_was_begun_is_finished_once_by_its_browser_and_in_time() {
    let clock = ManualClock::at(NOW_MS);
    let pendings = Pendings::new(true, Arc::new(clock.clone()));
    let (state, pending, cookie) = begin(&pendings, HERE);
    for part in ["__Host-iap_oidc_", "; Path=/;", "; HttpOnly", "; SameSite=Lax", "; Secure", "Max-Age=600;"]
    {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!((43..=128).contains(&pending.verifier.len()), "RFC 7636 section 4.1");
    let (other_state, _, other_cookie) = begin(&pendings, HERE);
    assert_ne!(cookie.split('=').next(), other_cookie.split('=').next(), "two windows of a browser");
    assert!(pendings.take(&state, &HeaderMap::new()).is_none(), "another browser");
    assert!(pendings.take(&state, &with_cookie(&other_cookie)).is_none());
    let forged = format!("{}={}", cookie.split('=').next().unwrap_or_default(), "0".repeat(64));
    assert!(pendings.take(&state, &with_cookie(&forged)).is_none());
    assert!(pendings.take("", &with_cookie(&cookie)).is_none());
    let taken = pendings.take(&state, &with_cookie(&cookie)).expect("who has tried before has not ended it");
    assert_eq!((taken.nonce, taken.return_to.as_str()), (pending.nonce, "/logs"));
    assert!(pendings.take(&state, &with_cookie(&cookie)).is_none(), "once");
    clock.advance(Duration::from_secs(601));
    assert!(pendings.take(&other_state, &with_cookie(&other_cookie)).is_none(), "too late");
}

#[test]
fn a_flood_from_one_address_ends_its_own() {
    let clock = ManualClock::at(NOW_MS);
    let pendings = Pendings::new(false, Arc::new(clock.clone()));
    let (state, _, cookie) = begin(&pendings, HERE);
    let (first, _, first_cookie) = begin(&pendings, ELSEWHERE);
    for _ in 0..300 {
        clock.advance(Duration::from_millis(1));
        begin(&pendings, ELSEWHERE);
    }
    assert!(pendings.take(&first, &with_cookie(&first_cookie)).is_none());
    assert!(pendings.take(&state, &with_cookie(&cookie)).is_some());
}

#[test]
fn nothing_of_a_made_up_state_gets_into_a_cookie() {
    let pendings = Pendings::new(false, Arc::new(ManualClock::at(NOW_MS)));
    assert_eq!(
        pendings.without_cookie("a; Domain=evil.example\r\nx: y"),
        "iap_oidc_aDaeeae=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
    );
}

#[test]
fn one_comes_back_to_the_console_only() {
    for own in ["/", "/transactions", "/sessions/a?b=c&d=%2F"] {
        assert!(is_own_view(own), "{own}");
    }
    for other in [
        "",
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/a\\b",
        "/\t/evil.example",
        "/a\r\nset-cookie: x=y",
        "/api/access/sign-out",
        "/sign-in/no_role",
        "javascript:alert(1)",
        "logs",
    ] {
        assert!(!is_own_view(other), "{other}");
    }
}

#[test]
fn an_endpoint_may_have_a_query_of_its_own() {
    assert_eq!(with_query("https://id.example/go", "a=b"), "https://id.example/go?a=b");
    assert_eq!(with_query("https://id.example/go?tenant=1", "a=b"), "https://id.example/go?tenant=1&a=b");
}

#[test]
fn each_failure_has_a_page() {
    for failure in [Failure::Expired, Failure::NoRole, Failure::Wait(3)] {
        let found = Failure::by_name(failure.name()).expect("a page");
        assert_eq!(found.status(), failure.status());
        assert!(found.status().is_client_error());
    }
    assert_eq!(Failure::by_name("fine"), None);
}
