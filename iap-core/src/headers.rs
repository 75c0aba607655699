//! Header rules of an intermediary: hop-by-hop fields and what a proxy adds.
//!
//! Source: RFC 9110 section 7.6.1.

use http::header::{
    CONNECTION, COOKIE, EXPECT, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use crate::connection::Connection;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Removes the fields that belong to one hop only, including those that `Connection` names.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// Prepares a request's headers for an upstream: hop-by-hop fields go first, so that a client
/// cannot have ours removed by naming them in `Connection`.
pub(crate) fn prepare_request(headers: &mut HeaderMap, connection: &Connection) {
    remove_hop_by_hop(headers);
    headers.remove(EXPECT);
    headers.remove(FORWARDED);
    headers.insert(X_FORWARDED_FOR, connection.forwarded_for().clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(connection.scheme()));
    if let Some(host) = headers.get(http::header::HOST).cloned() {
        headers.insert(X_FORWARDED_HOST, host);
    }
    join_cookies(headers);
}

/// Prepares a response's headers for the client.
pub(crate) fn prepare_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(TRAILER);
}

/// HTTP/2 may split cookies over several fields; HTTP/1.1 takes one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut values = headers.get_all(COOKIE).iter();
    if values.next().is_none() || values.next().is_none() {
        return;
    }
    let parts: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&parts.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        prepare_request(&mut headers, &connection);
        let mut left: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(
            left,
            [
                "cookie: a=1; b=2",
                "host: shop.example",
                "x-forwarded-for: 192.0.2.7",
                "x-forwarded-host: shop.example",
                "x-forwarded-proto: https"
            ]
        );
    }
}
