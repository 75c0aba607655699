//! What a request is known by.

use std::net::IpAddr;

use http::Request;
use http::header::{COOKIE, HeaderMap};

use super::{HashBy, hash};
use crate::body::Body;
use crate::connection::Connection;

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

/// The value of the first cookie of that name.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value.trim_matches('"'))
}
