use http::StatusCode;
use proptest::prelude::*;

use super::*;

fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().uri(target).version(Version::HTTP_11);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

#[test]
fn hosts_and_framing_are_checked() {
    const HOST_OK: (&str, &str) = ("host", "shop.example:8080");
    let host = HOST_OK;
    type Case = (&'static str, &'static [(&'static str, &'static str)], Option<StatusCode>);
    let cases: &[Case] = &[
        ("/", &[HOST_OK], None),
        ("/", &[("host", "[::1]:80")], None),
        ("/", &[("host", "shop.example.")], None),
        ("/", &[("host", "[::1]x:80")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[HOST_OK, ("transfer-encoding", "Chunked")], None),
        ("/", &[HOST_OK, ("transfer-encoding", "gzip, chunked")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[], Some(StatusCode::BAD_REQUEST)),
        ("/", &[HOST_OK, HOST_OK], Some(StatusCode::BAD_REQUEST)),
        ("/", &[("host", "")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[("host", ".")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[("host", ".example")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[("host", "shop..example")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[("host", "shop..:80")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[("host", "a b")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[("host", "user@shop")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[("host", "shop:99999")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[("host", "shop:+80")], Some(StatusCode::BAD_REQUEST)),
        ("*", &[HOST_OK], Some(StatusCode::BAD_REQUEST)),
        ("/", &[HOST_OK, ("content-length", "5"), ("content-length", "5")], Some(StatusCode::BAD_REQUEST)),
        (
            "/",
            &[HOST_OK, ("content-length", "5"), ("transfer-encoding", "chunked")],
            Some(StatusCode::BAD_REQUEST),
        ),
        ("/", &[HOST_OK, ("content-length", "+5")], Some(StatusCode::BAD_REQUEST)),
        ("/", &[HOST_OK, ("content-length", "101")], Some(StatusCode::PAYLOAD_TOO_LARGE)),
        ("/", &[HOST_OK, ("content-length", "100")], None),
    ];
    for (target, headers, refused) in cases {
        let result = admit(&mut request(target, headers), 100);
        assert_eq!(result.err().map(|error| error.status()), *refused, "{target} {headers:?}");
    }
    for method in [Method::CONNECT, Method::TRACE] {
        let mut request = request("/", &[host]);
        *request.method_mut() = method;
        assert_eq!(admit(&mut request, 0).unwrap_err().status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[test]
fn the_authority_of_an_absolute_target_wins() {
    let mut absolute = request("http://real.example/x?q=1", &[("host", "other.example")]);
    admit(&mut absolute, 0).unwrap();
    assert_eq!(absolute.headers()[HOST], "real.example");
    assert_eq!(absolute.uri(), "/x?q=1");
    assert_eq!(match_host(&absolute), "real.example");
    assert_eq!(match_host(&request("/", &[("host", "Shop.Example:80")])), "shop.example");
    assert_eq!(match_host(&request("/", &[("host", "[::1]:80")])), "[::1]");
    assert_eq!(match_host(&request("/", &[("host", "shop.example.:80")])), "shop.example");
}

#[test]
fn paths_have_one_form() {
    let cases = [
        ("/", Some("/")),
        ("/a/b.html", Some("/a/b.html")),
        ("//admin/x", Some("/admin/x")),
        ("/a//b/", Some("/a/b/")),
        ("/a/./b/../c", Some("/a/c")),
        ("/a/b/..", Some("/a/")),
        ("/%61dmin", Some("/admin")),
        ("/a/%2e%2e/b", Some("/b")),
        ("/a/..;v=1/b", Some("/b")),
        ("/a%c3%a9", Some("/a%C3%A9")),
        ("/.well-known/x", Some("/.well-known/x")),
        ("/..", None),
        ("/a/../../b", None),
        ("/admin%2Fx", None),
        ("/admin%5cx", None),
        ("/a%00", None),
        ("/a%zz", None),
        ("/a%2", None),
        ("/a\\b", None),
    ];
    for (path, expected) in cases {
        let result = canonical_path(path).ok().map(|changed| changed.unwrap_or_else(|| path.to_owned()));
        assert_eq!(result.as_deref(), expected, "{path}");
    }
}

#[test]
fn escapes_are_decoded_strictly() {
    let cases = [
        ("a%20b", Some("a b")),
        ("%C3%a9", Some("\u{e9}")),
        ("plain", Some("plain")),
        ("%", None),
        ("%2", None),
        ("%zz", None),
        ("%+1", None),
        ("%ff", None),
    ];
    for (text, expected) in cases {
        assert_eq!(percent_decode(text).as_deref(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn canonical_paths_stay_as_they_are(path in "/[a-z%2eEfF0-9/.;\\\\~-]{0,40}") {
        if let Ok(changed) = canonical_path(&path) {
            let once = changed.unwrap_or(path);
            prop_assert!(once.starts_with('/') && !once.contains("//"));
            prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."));
            let twice = canonical_path(&once).unwrap().unwrap_or_else(|| once.clone());
            prop_assert_eq!(twice, once);
        }
    }
}
