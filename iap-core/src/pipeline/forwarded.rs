//! Who is behind trusted proxies: `X-Forwarded-For` and its kin, and `Forwarded` (RFC 7239).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::connection::Connection;
use crate::networks::Networks;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How many proxies may stand in a row; whoever claims more is not followed further.
const MAX_HOPS: usize = 32;

/// One entry of a chain: who it was, and by which scheme, where that is said.
#[derive(Debug, PartialEq, Eq)]
struct Hop {
    address: IpAddr,
    tls: Option<bool>,
}

/// The client that a request comes from. Behind a trusted peer it is the last address in the chain that
/// is not a trusted proxy's: what stands before it could have been written by anyone.
/// `None` where the peer is not trusted, and so is the client itself.
pub(crate) fn client(
    connection: &Connection,
    headers: &HeaderMap,
    trusted: &Networks,
) -> Option<Arc<Connection>> {
    if !trusted.contains(connection.peer().ip()) {
        return None;
    }
    let hops = if headers.contains_key(X_FORWARDED_FOR) { x_forwarded(headers) } else { forwarded(headers) };
    // From the nearest on; they are trusted up to the first that is not.
    let known = hops.iter().take_while(|hop| trusted.contains(hop.address)).count();
    let chain = &hops[..hops.len().min(known + 1)];
    let peer = connection.peer().ip().to_canonical();
    let Some(client) = chain.last() else {
        let tls = x_proto(headers).unwrap_or(connection.is_tls());
        return Some(Arc::new(connection.on_behalf_of(peer, tls, connection.forwarded_for().clone())));
    };
    let tls = client.tls.or_else(|| x_proto(headers)).unwrap_or(connection.is_tls());
    let mut text = String::new();
    for hop in chain.iter().rev() {
        text.push_str(&format!("{}, ", hop.address));
    }
    text.push_str(&peer.to_string());
    let chain = HeaderValue::from_str(&text).expect("addresses are a valid header value");
    Some(Arc::new(connection.on_behalf_of(client.address, tls, chain)))
}

/// The chain of `X-Forwarded-For`, the nearest first, up to the first entry that is no address.
fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    backwards(headers, &X_FORWARDED_FOR)
        .map_while(|text| address(text).map(|address| Hop { address, tls: None }))
        .take(MAX_HOPS)
        .collect()
}

/// The scheme that the nearest proxy was reached by.
fn x_proto(headers: &HeaderMap) -> Option<bool> {
    backwards(headers, &X_FORWARDED_PROTO).next().and_then(is_tls)
}

/// The chain of `Forwarded`, the nearest first, up to the first entry without an address: `unknown` and
/// obfuscated names (RFC 7239 section 6) say nothing that could be followed.
fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    backwards(headers, &FORWARDED).map_while(element).take(MAX_HOPS).collect()
}

fn element(text: &str) -> Option<Hop> {
    let (mut client, mut tls) = (None, None);
    for pair in text.split(';') {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        match name.trim() {
            name if name.eq_ignore_ascii_case("for") => client = Some(address(value)?),
            name if name.eq_ignore_ascii_case("proto") => tls = is_tls(value),
            _ => {}
        }
    }
    client.map(|address| Hop { address, tls })
}

/// The entries of a list that may stand in several fields, the last first.
fn backwards<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let fields: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    let texts = fields.into_iter().rev().map(|value| value.to_str().unwrap_or_default());
    texts.flat_map(|text| text.rsplit(',')).map(str::trim)
}

fn is_tls(scheme: &str) -> Option<bool> {
    match scheme {
        scheme if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") => Some(true),
        scheme if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws") => Some(false),
        _ => None,
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse::<IpAddr>().ok();
    parsed.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests;
