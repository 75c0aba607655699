//! Refusals of the HTTP parser, made readable and counted.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use crate::error::{Error, Kind, Origin, count_refused};

/// The status of an answer that the parser has made by itself: a head with nothing in it. What looks
/// like one and comes from an application says the same, so nothing is lost by the exchange.
pub(super) fn automatic(bytes: &[u8]) -> Option<StatusCode> {
    const LONGEST: usize = 160;
    if bytes.len() > LONGEST || !bytes.starts_with(b"HTTP/1.") || bytes.get(8..10)? != b" 4" {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = StatusCode::from_bytes(lines.next()?.get(9..12)?.as_bytes()).ok()?;
    let (mut closes, mut is_empty) = (false, false);
    for line in lines {
        match line {
            "connection: close" => closes = true,
            "content-length: 0" => is_empty = true,
            other if other.starts_with("date: ") => {}
            _ => return None,
        }
    }
    (closes && is_empty).then_some(status)
}

/// The whole answer in its place: a problem document (RFC 9457).
pub(super) fn document(status: StatusCode, fault: Option<&'static str>) -> Bytes {
    let (kind, message, reason) = match (status, fault) {
        (_, Some(reason @ "bare_lf")) => {
            (Kind::BadRequest, "a line of the request does not end with CR and LF", reason)
        }
        (_, Some(reason @ "content_length")) => {
            (Kind::BadRequest, "a Content-Length with too much white space", reason)
        }
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, _) => {
            (Kind::HeadTooLarge, "the request head is larger than allowed", "head_too_large")
        }
        (StatusCode::URI_TOO_LONG, _) => (Kind::UriTooLong, "the request target is too long", "uri_too_long"),
        (_, reason) => (Kind::BadRequest, "the request is not HTTP", reason.unwrap_or("malformed")),
    };
    count_refused(reason);
    let (head, body) = Error::new(kind, Origin::Client, message).into_response(None).into_parts();
    let (status, body) = (head.status, body.into_bytes());
    let mut out = BytesMut::with_capacity(512);
    let title = status.canonical_reason().unwrap_or("Error");
    let _ = write!(out, "HTTP/1.1 {} {title}\r\n", status.as_u16());
    for (name, value) in &head.headers {
        let _ = write!(out, "{name}: ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let _ = write!(out, "content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    out.extend_from_slice(&body);
    out.freeze()
}
