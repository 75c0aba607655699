use http::header::FORWARDED;

use super::*;

#[test]
fn the_standard_field_says_what_the_others_do() {
    let connection = Connection::new("[2001:db8::7]:5".parse().unwrap(), "[::1]:80".parse().unwrap(), false);
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("shop.example:8080"));
    let say = |connection: &Connection, headers: &mut HeaderMap| {
        let mut forwarding = Forwarding::new(connection);
        forwarding.use_standard();
        forwarding.put(headers);
        headers.get(FORWARDED).unwrap().to_str().unwrap().to_owned()
    };
    let expected = r#"for="[2001:db8::7]";proto=http;host="shop.example:8080""#;
    assert_eq!(say(&connection, &mut headers), expected);
    let chain = HeaderValue::from_static("192.0.2.1, 10.0.0.1");
    let behind = connection.on_behalf_of("192.0.2.1".parse().unwrap(), true, chain);
    headers.insert(HOST, HeaderValue::from_static("no\"quote"));
    assert_eq!(say(&behind, &mut headers), "for=192.0.2.1;proto=https, for=10.0.0.1");
}

#[test]
fn a_client_can_neither_spoof_nor_remove_our_forwarding_headers() {
    let connection =
        Connection::new("192.0.2.7:5000".parse().unwrap(), "192.0.2.1:443".parse().unwrap(), true);
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "shop.example"),
        ("connection", "close, X-Forwarded-For, x-secret"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-secret", "1"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    let seen = Seen::in_fields(&headers);
    prepare_request(&mut headers, &connection, seen).put(&mut headers);
    let mut left: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    left.sort();
    assert_eq!(
        left,
        [
            "connection: te",
            "cookie: a=1; b=2",
            "host: shop.example",
            "te: trailers",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: shop.example",
            "x-forwarded-proto: https"
        ]
    );
}

#[test]
fn a_request_of_our_own_tells_of_no_client() {
    let connection = Connection::own();
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("hooks.example"));
    headers.insert("x-forwarded-for", HeaderValue::from_static("10.0.0.1"));
    let seen = Seen::in_fields(&headers);
    let mut forwarding = prepare_request(&mut headers, &connection, seen);
    forwarding.use_standard();
    forwarding.put(&mut headers);
    let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["host"]);
}
