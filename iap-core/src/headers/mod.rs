//! Header rules of an intermediary: hop-by-hop fields and what a proxy adds.
//!
//! Sources: RFC 9110 section 7.6.1 (hop-by-hop fields), RFC 9112 section 6.3 (framing).

mod forwarding;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE,
};

use crate::connection::Connection;

pub(crate) use forwarding::Forwarding;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// RFC 9440 section 2.2.
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const HOP_BY_HOP: [HeaderName; 5] = [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE];
/// What applications read as the word of a proxy. We have nothing to say in them.
const CLAIMS: [HeaderName; 7] = [
    CLIENT_CERT,
    HeaderName::from_static("client-cert-chain"),
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-real-ip"),
    X_FORWARDED_PORT,
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-ssl"),
];

/// What a message's fields are about, so that one pass tells what there is to do: most often nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u16);

impl Seen {
    const NOTHING: Self = Self(0);
    const CONNECTION: Self = Self(1);
    const HOP_BY_HOP: Self = Self(1 << 1);
    const CLAIM: Self = Self(1 << 2);
    const UNDERSCORE: Self = Self(1 << 3);
    pub(crate) const EXPECT: Self = Self(1 << 4);
    const COOKIE: Self = Self(1 << 5);
    const LENGTH: Self = Self(1 << 6);
    const TRANSFER_CODED: Self = Self(1 << 7);
    pub(crate) const UPGRADE: Self = Self(1 << 8);
    pub(crate) const TRACE: Self = Self(1 << 9);

    pub(crate) fn in_fields(headers: &HeaderMap) -> Self {
        Self(headers.keys().fold(0, |seen, name| seen | Self::of(name.as_str()).0))
    }

    fn of(name: &str) -> Self {
        match name {
            "connection" => Self::CONNECTION,
            "transfer-encoding" => Self(Self::TRANSFER_CODED.0 | Self::HOP_BY_HOP.0),
            "upgrade" => Self(Self::UPGRADE.0 | Self::HOP_BY_HOP.0),
            "te" | "keep-alive" | "proxy-connection" => Self::HOP_BY_HOP,
            "traceparent" | "tracestate" => Self::TRACE,
            "expect" => Self::EXPECT,
            "cookie" => Self::COOKIE,
            "content-length" => Self::LENGTH,
            "forwarded" | "x-real-ip" | "client-cert" | "client-cert-chain" => Self::CLAIM,
            name if name.starts_with("x-forwarded-") => Self::CLAIM,
            name if name.contains('_') => Self::UNDERSCORE,
            _ => Self::NOTHING,
        }
    }

    pub(crate) fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }
}

/// Takes out the request fields that `Connection` names, before any layer runs: afterwards a client
/// could name fields that a layer has set. `Connection` keeps the options that have a meaning of
/// their own. Fields that the message cannot do without stay.
pub(crate) fn remove_named(headers: &mut HeaderMap) {
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let options = || {
        let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim).filter(|option| !option.is_empty())
    };
    let is_known = |option: &&str| {
        ["close", "keep-alive", "upgrade", "te"].iter().any(|k| k.eq_ignore_ascii_case(option))
    };
    if options().all(|option| is_known(&option)) {
        return;
    }
    let kept = options().filter(is_known).collect::<Vec<_>>().join(", ");
    let named: Vec<HeaderName> =
        options().filter(|option| !is_known(option)).filter_map(|name| name.parse().ok()).collect();
    for name in named.iter().filter(|name| ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name)) {
        headers.remove(name);
    }
    match HeaderValue::from_str(&kept) {
        Ok(kept) if !kept.is_empty() => headers.insert(CONNECTION, kept),
        _ => headers.remove(CONNECTION),
    };
}

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
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Whether a field belongs to one hop only.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    name == CONNECTION || HOP_BY_HOP.contains(name)
}

/// Whether a field says where a message ends or whom it is for.
pub(crate) fn frames(name: &HeaderName) -> bool {
    [CONTENT_LENGTH, HOST].contains(name)
}

/// Prepares a request's headers for an upstream: hop-by-hop fields go first, so that a client
/// cannot have ours removed by naming them in `Connection`. `seen` is what is in them.
///
/// Names with an underscore are dropped: CGI, WSGI and PHP take `x_forwarded_for` for
/// `x-forwarded-for` (RFC 3875 section 4.1.18), so that a client could speak in our name.
pub(crate) fn prepare_request<'a>(
    headers: &mut HeaderMap,
    connection: &'a Connection,
    seen: Seen,
) -> Forwarding<'a> {
    let mut forwarding = Forwarding::new(connection);
    if seen.has(Seen::HOP_BY_HOP) || seen.has(Seen::CONNECTION) {
        let wants_trailers = headers.get_all(TE).iter().any(|value| has_token(value, "trailers"));
        remove_hop_by_hop(headers);
        if wants_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
    }
    if seen.has(Seen::EXPECT) {
        keep_expectation(headers);
    }
    if seen.has(Seen::CLAIM) {
        forwarding.host = replace_claims(headers, connection);
    }
    if seen.has(Seen::UNDERSCORE) {
        remove_underscored(headers);
    }
    if let Some(certificate) = connection.tls().and_then(|tls| tls.client_certificate.as_ref()) {
        headers.insert(CLIENT_CERT, client_cert(certificate));
    }
    if seen.has(Seen::COOKIE) {
        join_cookies(headers);
    }
    forwarding
}

/// Takes out what a client says in our name. Returns the host under which a trusted proxy was reached.
fn replace_claims(headers: &mut HeaderMap, connection: &Connection) -> Option<HeaderValue> {
    // A trusted proxy may say under which host and port it was reached.
    let is_forwarded = connection.is_forwarded();
    let port = headers.remove(X_FORWARDED_PORT).filter(|_| is_forwarded);
    let forwarded_host = headers.remove(X_FORWARDED_HOST).filter(|_| is_forwarded);
    for claim in CLAIMS.iter().chain(&[X_FORWARDED_FOR, X_FORWARDED_PROTO]) {
        headers.remove(claim);
    }
    if let Some(port) = port.filter(|port| port.as_bytes().iter().all(u8::is_ascii_digit)) {
        headers.insert(X_FORWARDED_PORT, port);
    }
    forwarded_host
}

/// Prepares a response's headers for the client: one framing, or none where there is no body.
/// `Err` where the lengths contradict each other or are none.
pub(crate) fn prepare_response(status: StatusCode, headers: &mut HeaderMap) -> Result<(), &'static str> {
    let seen = Seen::in_fields(headers);
    // The chunks were what was read by, so the length is only a lie to whoever believes it.
    if status == StatusCode::NO_CONTENT || seen.has(Seen::TRANSFER_CODED) {
        headers.remove(CONTENT_LENGTH);
    }
    if seen.has(Seen::HOP_BY_HOP) || seen.has(Seen::CONNECTION) {
        remove_hop_by_hop(headers);
    }
    if !seen.has(Seen::LENGTH) {
        return Ok(());
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(()) };
    if first.is_empty() || !first.as_bytes().iter().all(u8::is_ascii_digit) {
        return Err("Content-Length is not a number");
    }
    let mut others = lengths.peekable();
    if others.peek().is_some() {
        if others.any(|other| other != first) {
            return Err("two different Content-Lengths");
        }
        let first = first.clone();
        headers.insert(CONTENT_LENGTH, first);
    }
    Ok(())
}

/// Prepares trailers for the next hop: nothing in them may frame, route or end a message
/// (RFC 9110 section 6.5.1).
pub(crate) fn prepare_trailers(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(CONTENT_LENGTH);
    headers.remove(HOST);
}

/// The number in a `Content-Length`: digits and nothing else (RFC 9110 section 8.6).
pub(crate) fn content_length(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

pub(crate) fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|text| text.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

/// A structured field of bytes (RFC 9440 section 2.1, RFC 9651 section 3.3.5).
fn client_cert(der: &[u8]) -> HeaderValue {
    let text = format!(":{}:", BASE64_STANDARD.encode(der));
    HeaderValue::from_str(&text).expect("base64 is a valid header value")
}

/// The one expectation there is (RFC 9110 section 10.1.1) goes on, others are not passed off as known.
fn keep_expectation(headers: &mut HeaderMap) {
    let Some(value) = headers.get(EXPECT) else { return };
    if value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    } else {
        headers.remove(EXPECT);
    }
}

fn remove_underscored(headers: &mut HeaderMap) {
    let is_underscored = |name: &&HeaderName| name.as_str().contains('_');
    if headers.keys().any(|name| is_underscored(&name)) {
        let names: Vec<HeaderName> = headers.keys().filter(is_underscored).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
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
