//! What a request is known by.

use std::net::IpAddr;

use http::Request;

use super::{HashBy, hash};
use crate::body::Body;
use crate::connection::Connection;
use crate::cookies::cookie;

/// The key of a request for [`super::Balance::Hash`].
pub(in super::super) fn hash_key(by: &HashBy, request: &Request<Body>, connection: &Connection) -> u64 {
    let found = match by {
        HashBy::Client => None,
        HashBy::Header(name) => request.headers().get(name).map(|value| hash(value.as_bytes())),
        HashBy::Cookie(name) => cookie(request.headers(), name).map(|value| hash(value.as_bytes())),
        HashBy::Path => Some(hash(request.uri().path().as_bytes())),
    };
    found.unwrap_or_else(|| match connection.peer().ip().to_canonical() {
        IpAddr::V4(ip) => hash(&ip.octets()),
        IpAddr::V6(ip) => hash(&ip.octets()),
    })
}
