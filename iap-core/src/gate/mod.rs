//! The strict gate: what a request must be before anything of ours looks at it.
//!
//! It runs before routing, so that a request which two servers could read in two ways is refused
//! instead of forwarded. Sources: RFC 9112 (HTTP/1.1 messages), RFC 3986 section 6.2.2
//! (normalisation of paths).

mod path;

use std::borrow::Cow;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri, Version};

use crate::error::{Error, Kind, Origin};
use crate::{headers, websocket};

pub use path::{canonical_path, percent_decode, percent_encode};

/// Checks a request and brings it into its one canonical form, for matching *and* forwarding:
///
/// - exactly one valid `Host`; the authority of an absolute-form target wins and replaces it;
/// - no `CONNECT`, no `TRACE`, no `*` target; an extended `CONNECT` for a WebSocket (RFC 8441) becomes the
///   `GET` with `Upgrade` that it is over HTTP/1.1;
/// - not both `Content-Length` and `Transfer-Encoding`, not two `Content-Length`s, no transfer
///   coding but `chunked`;
/// - without the fields that `Connection` names;
/// - a canonical path (see [`canonical_path`]), at most `max_body` announced bytes.
///
/// Each refusal has a reason of its own (see [`Error::refused_by`]): `method`, `protocol`,
/// `framing`, `transfer_coding`, `content_length`, `host`, `target`, `path`.
///
/// Errors are of kind `BadRequest`, `MethodNotAllowed`, `NotImplemented` or `TooLarge`, origin `Client`.
pub fn admit<B>(request: &mut Request<B>, max_body: u64) -> Result<(), Error> {
    let tunnel = websocket::asked_by_connect(request);
    match &tunnel {
        Some(protocol) => websocket::check_protocol(protocol)?,
        None => check_method(request.method())?,
    }
    check_framing(request, max_body)?;
    headers::remove_named(request.headers_mut());
    set_host(request)?;
    set_target(request)?;
    if tunnel.is_some() { websocket::make_upgrade(request) } else { Ok(()) }
}

/// The host that routes are matched on: the `Host` header without its port and the dot of a fully
/// qualified name, in lower case. Call after [`admit`].
pub fn match_host<B>(request: &Request<B>) -> Cow<'_, str> {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host_without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

fn refuse(reason: &'static str, message: &'static str) -> Error {
    Error::new(Kind::BadRequest, Origin::Client, message).reason(reason)
}

fn check_method(method: &Method) -> Result<(), Error> {
    if method == Method::CONNECT || method == Method::TRACE {
        let error = Error::new(Kind::MethodNotAllowed, Origin::Client, "CONNECT and TRACE are not served");
        return Err(error.reason("method").allow("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    Ok(())
}

fn check_framing<B>(request: &Request<B>, max_body: u64) -> Result<(), Error> {
    let fields = request.headers();
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    // Another coding would be taken off with the field and left on the body.
    if codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        return Err(refuse("transfer_coding", "a Transfer-Encoding other than chunked"));
    }
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() {
        return Err(refuse("content_length", "more than one Content-Length"));
    }
    if fields.contains_key(TRANSFER_ENCODING) {
        return Err(refuse("framing", "both Content-Length and Transfer-Encoding"));
    }
    match headers::content_length(length) {
        None => Err(refuse("content_length", "Content-Length is not a number")),
        Some(bytes) if bytes > max_body => {
            Err(Error::new(Kind::TooLarge, Origin::Client, "the request body is larger than allowed"))
        }
        Some(_) => Ok(()),
    }
}

/// Leaves exactly one `Host` that is the request's authority.
fn set_host<B>(request: &mut Request<B>) -> Result<(), Error> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return Err(refuse("host", "more than one Host"));
    }
    let needs_host = request.version() < Version::HTTP_2;
    if needs_host && first.is_none() {
        return Err(refuse("host", "no Host"));
    }
    if let Some(value) = first {
        check_host(value.as_bytes())?;
    }
    let Some(authority) = request.uri().authority() else {
        return if first.is_some() { Ok(()) } else { Err(refuse("host", "no authority")) };
    };
    check_host(authority.as_str().as_bytes())?;
    if first.is_none_or(|value| value.as_bytes() != authority.as_str().as_bytes()) {
        let value =
            HeaderValue::from_str(authority.as_str()).map_err(|_| refuse("host", "invalid authority"))?;
        request.headers_mut().insert(HOST, value);
    }
    Ok(())
}

fn check_host(value: &[u8]) -> Result<(), Error> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let (name, port) = match value.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !value.ends_with(b"]") => (&value[..colon], Some(&value[colon + 1..])),
        _ => (value, None),
    };
    let port_ok = port.is_none_or(|port| {
        std::str::from_utf8(port)
            .is_ok_and(|text| text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok())
    });
    let is_ip6 = name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).is_some_and(|address| {
        std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
    });
    // A wildcard would take what stands before the first dot for a name.
    let mut labels = name.strip_suffix(b".").unwrap_or(name).split(|byte| *byte == b'.');
    let has_labels = labels.all(|label| !label.is_empty() && label.iter().all(plain));
    let name_ok = is_ip6 || (name.len() <= 253 && has_labels);
    if name_ok && port_ok { Ok(()) } else { Err(refuse("host", "invalid Host")) }
}

fn host_without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => &host[..colon],
        _ => host,
    }
}

/// Makes the target origin-form with a canonical path.
fn set_target<B>(request: &mut Request<B>) -> Result<(), Error> {
    let uri = request.uri();
    let path = uri.path();
    if !path.starts_with('/') {
        return Err(refuse("target", "the request target is not a path"));
    }
    let canonical = canonical_path(path)?;
    if canonical.is_none() && uri.scheme().is_none() {
        return Ok(());
    }
    let path = canonical.as_deref().unwrap_or(path);
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let target = PathAndQuery::try_from(target).map_err(|_| refuse("path", "invalid path"))?;
    *request.uri_mut() = Uri::from(target);
    Ok(())
}

#[cfg(test)]
mod tests;
