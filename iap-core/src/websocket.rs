//! How a WebSocket is asked for: by an upgrade of HTTP/1.1 (RFC 6455 section 4), or by an extended CONNECT of
//! HTTP/2 (RFC 8441).
//!
//! Within the pipeline there is the first form only. The gate brings the second one into it and the
//! pipeline takes the answer back, so that routes, rules, layers, services and upstreams need not know
//! which one the client speaks.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::ext::Protocol;

use crate::body::Body;
use crate::error::{Error, Kind, Origin};

/// RFC 6455 section 1.3.
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// What belongs to the upgrade, and not to the protocol that follows.
const HANDSHAKE: [HeaderName; 4] = [UPGRADE, CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_ACCEPT];

/// What an extended CONNECT asks for, taken out of the request; `None` for any other request.
pub(crate) fn asked_by_connect<B>(request: &mut Request<B>) -> Option<Protocol> {
    if request.method() == Method::CONNECT { request.extensions_mut().remove() } else { None }
}

/// Refuses what is carried by no tunnel of ours. The IANA registry has tokens of any case, as those of
/// `Upgrade`.
pub(crate) fn check_protocol(protocol: &Protocol) -> Result<(), Error> {
    if protocol.as_str().eq_ignore_ascii_case("websocket") {
        return Ok(());
    }
    let text = "no tunnels are served but those of WebSocket";
    Err(Error::new(Kind::NotImplemented, Origin::Client, text).reason("protocol"))
}

/// Makes an upgrade of HTTP/1.1 out of an extended CONNECT, with a key of its own.
pub(crate) fn make_upgrade<B>(request: &mut Request<B>) -> Result<(), Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        Error::new(Kind::Internal, Origin::Internal, "no key for a WebSocket").with_source(error)
    })?;
    *request.method_mut() = Method::GET;
    *request.version_mut() = Version::HTTP_11;
    let key = HeaderValue::from_str(&BASE64_STANDARD.encode(random)).expect("base64 is a valid header value");
    request.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
    request.headers_mut().insert(SEC_WEBSOCKET_KEY, key);
    express(request.headers_mut());
    Ok(())
}

/// Makes an extended CONNECT out of an upgrade, as far as HTTP/2 writes it otherwise than HTTP/1.1.
pub(crate) fn make_connect<B>(request: &mut Request<B>) {
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    for name in HANDSHAKE {
        request.headers_mut().remove(name);
    }
}

/// Takes [`make_connect`] back. `key` is that of the upgrade, if it had one.
pub(crate) fn undo_connect<B>(request: &mut Request<B>, key: Option<&HeaderValue>) {
    *request.method_mut() = Method::GET;
    request.extensions_mut().remove::<Protocol>();
    if let Some(key) = key {
        request.headers_mut().insert(SEC_WEBSOCKET_KEY, key.clone());
    }
    express(request.headers_mut());
}

/// Says that the message is an upgrade to WebSocket.
pub(crate) fn express(headers: &mut HeaderMap) {
    headers.insert(UPGRADE, WEBSOCKET);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// Whether WebSocket, and nothing else, is named to upgrade to.
pub(crate) fn is_named(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let first = protocols.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    first && protocols.next().is_none()
}

/// What a server answers a key with (RFC 6455 section 4.2.2).
pub(crate) fn accept(key: &HeaderValue) -> HeaderValue {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key.as_bytes());
    digest.update(ACCEPT_SUFFIX);
    let text = BASE64_STANDARD.encode(digest.finish());
    HeaderValue::from_str(&text).expect("base64 is a valid header value")
}

/// Whether an answer proves that its sender has understood the key.
pub(crate) fn is_accepted(headers: &HeaderMap, key: &HeaderValue) -> bool {
    let mut values = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
    values.next() == Some(&accept(key)) && values.next().is_none()
}

/// Answers an extended CONNECT by what its upgrade was answered with. All of 2xx would open the tunnel,
/// so what does not switch must not be one.
pub(crate) fn answer_connect(mut response: Response<Body>) -> Result<Response<Body>, Error> {
    let has_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS && is_named(response.headers());
    if has_switched {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().remove(CONTENT_LENGTH);
        for name in HANDSHAKE {
            response.headers_mut().remove(name);
        }
    } else if response.status().is_success() || response.status().is_informational() {
        let text = "the server does not speak WebSocket here";
        return Err(Error::new(Kind::BadGateway, Origin::Upstream, text));
    }
    Ok(response)
}
