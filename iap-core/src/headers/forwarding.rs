//! What a request says in our name.

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::connection::Connection;
use crate::trace_context::TRACEPARENT;

/// What a request tells the server in our name, whatever the client has said in the same fields.
///
/// It is kept beside the request's own fields: a connection of HTTP/1.1 writes it behind them, so that
/// the map need not grow for each request.
#[derive(Debug)]
pub(crate) struct Forwarding<'a> {
    connection: &'a Connection,
    /// Under which host a trusted proxy was reached.
    pub(super) host: Option<HeaderValue>,
    /// Whether the same is said in `Forwarded` (RFC 7239) as well.
    standard: bool,
    trace: Option<HeaderValue>,
}

impl<'a> Forwarding<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self { connection, host: None, standard: false, trace: None }
    }

    /// The client's connection.
    pub(crate) fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// Says the same in `Forwarded` (RFC 7239) as well.
    pub(crate) fn use_standard(&mut self) {
        self.standard = true;
    }

    /// Sends on a trace context (W3C Trace Context section 3.2), in place of the client's.
    pub(crate) fn set_trace(&mut self, traceparent: HeaderValue) {
        self.trace = Some(traceparent);
    }

    /// Whether a field of the request is not what the server is told.
    pub(crate) fn replaces(&self, name: &HeaderName) -> bool {
        [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST].contains(name)
            || (self.trace.is_some() && name == TRACEPARENT)
            || (self.standard && name == FORWARDED)
    }

    /// The fields, with the request's own `Host` in them.
    pub(crate) fn each(&self, headers: &HeaderMap, mut field: impl FnMut(&HeaderName, &HeaderValue)) {
        if !self.connection.is_own() {
            self.each_of_client(headers, &mut field);
        }
        if let Some(trace) = &self.trace {
            field(&TRACEPARENT, trace);
        }
    }

    fn each_of_client(&self, headers: &HeaderMap, field: &mut impl FnMut(&HeaderName, &HeaderValue)) {
        field(&X_FORWARDED_FOR, self.connection.forwarded_for());
        field(&X_FORWARDED_PROTO, &HeaderValue::from_static(self.connection.scheme()));
        let host = self.host.as_ref().or_else(|| headers.get(HOST));
        if let Some(host) = host {
            field(&X_FORWARDED_HOST, host);
        }
        if let Some(forwarded) = self.standard.then(|| forwarded(self.connection, host)).flatten() {
            field(&FORWARDED, &forwarded);
        }
    }

    /// Puts the fields among the request's own.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        let mut fields = Vec::with_capacity(4);
        self.each(headers, |name, value| fields.push((name.clone(), value.clone())));
        for (name, value) in fields {
            headers.insert(name, value);
        }
    }
}

/// The chain of addresses as `Forwarded` has it (RFC 7239 section 4). Scheme and host stand with the
/// client, whom they are about.
fn forwarded(connection: &Connection, host: Option<&HeaderValue>) -> Option<HeaderValue> {
    let mut text = String::new();
    for (at, address) in connection.forwarded_for().to_str().ok()?.split(", ").enumerate() {
        text.push_str(if at == 0 { "for=" } else { ", for=" });
        // Colons have to be quoted, and addresses with some be in brackets (section 6).
        match address.contains(':') {
            true => text.extend(["\"[", address, "]\""]),
            false => text.push_str(address),
        }
        if at == 0 {
            text.extend([";proto=", connection.scheme()]);
            let plain = |host: &&str| !host.contains(['"', '\\']);
            if let Some(host) = host.and_then(|host| host.to_str().ok()).filter(plain) {
                text.extend([";host=\"", host, "\""]);
            }
        }
    }
    HeaderValue::try_from(text).ok()
}
