//! One call of a provider over HTTP: bounded in time and in bytes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use iap_core::upstream::{Upstream, UpstreamSettings};
use iap_core::{Body, Kind};
use serde_json::Value;
use tokio::time::timeout;

use super::chat::Reply;
use super::error::{CallError, ErrorKind};
use super::exit::Sealed;
use super::sse::Events;
use super::wire::{Partial, Wire};
use super::{LlmError, ProviderSettings};
use crate::outgoing::{AGENT, Place, chain};

/// The longest that a provider is believed when it says how long it wants to be left alone.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// The way to one provider.
pub(super) struct Client {
    upstream: Arc<Upstream>,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    total: Duration,
    max_bytes: usize,
}

impl Client {
    /// No error quotes the URL or the key.
    pub(super) fn new(settings: &ProviderSettings, wire: &dyn Wire) -> Result<Self, LlmError> {
        let bad = |what: &str, why: &str| LlmError(format!("{}: {what}: {why}", settings.name));
        let place = Place::parse(&settings.url).map_err(|why| bad("url", why))?;
        let path = format!("{}{}", place.path.trim_end_matches('/'), wire.path(&settings.model));
        let uri = path.parse().map_err(|_| bad("model", "it cannot be a part of a path"))?;
        let upstream = UpstreamSettings {
            tls: settings.tls.clone(),
            connect_timeout: settings.first_byte.min(Duration::from_secs(10)),
            response_timeout: settings.first_byte,
            body_idle: settings.first_byte,
            max_idle: 4,
            ..UpstreamSettings::default()
        };
        let upstream = Upstream::new(format!("llm.{}", settings.name), [&place.server], upstream)
            .map_err(|_| bad("url", "its host cannot be used"))?;
        let mut headers = vec![
            (header::HOST, place.host),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::ACCEPT, HeaderValue::from_static("text/event-stream")),
            (header::USER_AGENT, HeaderValue::from_static(AGENT)),
        ];
        for (name, value) in wire.headers() {
            headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        }
        if let Some(key) = &settings.key {
            let (name, value) = wire.key(key);
            let mut value = HeaderValue::try_from(value).map_err(|_| bad("key", "it cannot be a header"))?;
            value.set_sensitive(true);
            headers.push((name, value));
        }
        Ok(Self {
            upstream: Arc::new(upstream),
            uri,
            headers,
            total: settings.total,
            max_bytes: settings.max_reply_bytes,
        })
    }

    /// Sends a request and reads the whole reply.
    pub(super) async fn call(&self, wire: &dyn Wire, body: Sealed) -> Result<Reply, CallError> {
        let mut request = Request::new(Body::from(body.into_bytes()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        let answer = async {
            let response = self.upstream.send(request).await.map_err(|error| {
                tracing::debug!(upstream = %self.upstream.name(), error = chain(&error), "no answer of a model");
                match error.kind() {
                    Kind::Timeout => ErrorKind::Timeout,
                    Kind::BadGateway => ErrorKind::Malformed,
                    _ => ErrorKind::Connect,
                }
            })?;
            accept(&response)?;
            Ok(self.read(wire, response.into_body()).await?)
        };
        timeout(self.total, answer).await.unwrap_or_else(|_| Err(ErrorKind::Timeout.into()))
    }

    async fn read(&self, wire: &dyn Wire, mut body: Body) -> Result<Reply, ErrorKind> {
        let (mut events, mut partial, mut bytes) = (Events::default(), Partial::default(), 0_usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match error.downcast_ref::<iap_core::Error>() {
                Some(error) if error.kind() == Kind::Timeout => ErrorKind::Timeout,
                _ => ErrorKind::Connect,
            })?;
            let Ok(data) = frame.into_data() else { continue };
            bytes = bytes.saturating_add(data.len());
            if bytes > self.max_bytes {
                return Err(ErrorKind::TooLarge);
            }
            for event in events.feed(&data) {
                if event.trim() == "[DONE]" {
                    continue;
                }
                let event: Value = serde_json::from_str(&event).map_err(|_| ErrorKind::Malformed)?;
                wire.read(&event, &mut partial).ok_or(ErrorKind::Malformed)?;
            }
        }
        partial.finish()
    }
}

/// Whether there is a stream to read. The body of a failure is not looked at: some repeat the key in it.
fn accept(response: &Response<Body>) -> Result<(), CallError> {
    let status = response.status();
    if status == StatusCode::OK {
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let stream = kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"));
        return if stream { Ok(()) } else { Err(ErrorKind::Malformed.into()) };
    }
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Auth,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
        status if status.is_server_error() => ErrorKind::Server,
        _ => ErrorKind::Refused,
    };
    let wanted = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Err(CallError { kind, retry_after: wanted.and_then(|text| after(text.trim(), SystemTime::now())) })
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
fn after(text: &str, now: SystemTime) -> Option<Duration> {
    let wait = match text.parse().map(Duration::from_secs) {
        Ok(wait) => wait,
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            SystemTime::from(at).duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_REST))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::after;

    #[test]
    fn when_to_come_again_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(1_445_412_480); // 2015-10-21T07:28:00Z
        let seconds = |text| after(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:09 GMT"), Some(9));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:27:09 GMT"), Some(0));
        assert_eq!(seconds("999999"), Some(600), "nobody is left alone for days");
        assert_eq!(seconds("soon"), None);
    }
}
