use proptest::prelude::*;

use super::*;
use crate::id::SessionIds;

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
    }
    headers
}

fn kept(lines: &[&[u8]]) -> Vec<String> {
    let mut headers = headers(lines);
    CookieConfig::default().strip(&mut headers);
    headers.get_all(COOKIE).iter().map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned()).collect()
}

#[test]
fn only_our_cookies_are_stripped() {
    assert_eq!(kept(&[b"a=1; iap-session=x; b=2"]), ["a=1; b=2"]);
    assert_eq!(kept(&[b"iap-session=x", b"a=1"]), ["a=1"]);
    assert_eq!(kept(&[b"__Host-iap=x;a=\"1;2\""]), ["a=\"1; 2\""]);
    assert_eq!(kept(&[b" iap-session = x ;a=1", b"iap-session"]), ["a=1"]);
    assert_eq!(kept(&[b"iap-sessions=x; xiap-session=y;;"]), ["iap-sessions=x; xiap-session=y;;"]);
    assert_eq!(kept(&[b"name=\xe9"]), ["name=\u{fffd}"]);
    assert!(kept(&[b"iap-session=x"]).is_empty());
}

#[test]
fn candidates_are_bounded_and_each_counts_once() {
    let ids = SessionIds::ephemeral();
    let encoded: Vec<String> = (0..10).map(|_| ids.generate().0.encode()).collect();
    let one = format!("iap-session={0}; iap-session={0}; iap-session=\"{0}\"", encoded[0]);
    let config = CookieConfig::default();
    let candidates =
        |line: &str| config.spec(None).presented(&headers(&[line.as_bytes()]), Tokens::default());
    assert_eq!(candidates(&one).len(), 1);
    let many: Vec<String> = encoded.iter().map(|id| format!("iap-session={id}")).collect();
    assert_eq!(candidates(&many.join("; ")).len(), MAX_CANDIDATES);
    assert!(candidates(&format!("__Host-iap={}", encoded[0])).is_empty());
}

proptest! {
    #[test]
    fn whatever_comes_nothing_of_ours_is_passed_on(
        parts in prop::collection::vec("(iap-session|__Host-iap|a|b| )?(=| = )?[ -~]{0,50}(;|; |)", 0..8)
    ) {
        let line = parts.concat();
        let config = CookieConfig::default();
        let mut headers = headers(&[line.as_bytes()]);
        for Presented { id, .. } in config.spec(None).presented(&headers, Tokens::default()) {
            prop_assert!(line.contains(&id.encode()));
        }
        config.strip(&mut headers);
        for line in headers.get_all(COOKIE) {
            for pair in line.to_str().unwrap().split(';') {
                let name = pair.split('=').next().unwrap().trim();
                prop_assert!(name != "iap-session" && name != "__Host-iap", "{line:?}");
            }
        }
        prop_assert!(config.spec(None).presented(&headers, Tokens::default()).is_empty());
    }
}
