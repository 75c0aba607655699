//! An id for each request, which the client and the upstream see as well.

use http::{HeaderName, HeaderValue};

use crate::connection::Connection;
use crate::networks::Networks;
use crate::trace_context::TraceId;

/// The longest id that is taken over.
const MAX_LENGTH: usize = 128;

/// How requests get their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestIds {
    /// The field that holds the id, in the request to the target and in the response. Default:
    /// `x-request-id`.
    pub header: HeaderName,
    /// Whose ids are taken over: those of proxies in front of us. An id that anyone could choose would
    /// mix up other people's log lines. Default: nobody's.
    pub accept_from: Networks,
}

impl Default for RequestIds {
    fn default() -> Self {
        Self { header: HeaderName::from_static("x-request-id"), accept_from: Networks::default() }
    }
}

impl RequestIds {
    /// The id of a request: the one it came with, if that is to be believed; else that of its trace, so
    /// that one id finds both; else a new one.
    pub(super) fn choose(
        &self,
        connection: &Connection,
        given: Option<&HeaderValue>,
        trace: Option<TraceId>,
    ) -> HeaderValue {
        let is_plain = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte);
            !bytes.is_empty() && bytes.len() <= MAX_LENGTH && bytes.iter().all(is_plain)
        };
        if let Some(given) = given.filter(is_plain)
            && self.accept_from.contains(connection.socket_peer().ip())
        {
            return given.clone();
        }
        let id = trace.unwrap_or_else(TraceId::random);
        HeaderValue::from_str(&id.to_string()).expect("hex digits are a valid header value")
    }
}
