//! Messages by POST.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use iap_core::Body;
use iap_core::upstream::{Upstream, UpstreamSettings, UpstreamTls};
use ring::hmac;
use serde_json::json;

use super::{ChannelError, Failure, Message};
use crate::outgoing::{AGENT, Place, chain};

/// The header with the signature of a message.
const SIGNATURE: &str = "iap-signature";

/// One place that takes messages.
pub(super) struct Post {
    upstream: Arc<Upstream>,
    host: HeaderValue,
    path: Uri,
    secret: Option<String>,
    /// Whether it takes Slack's format.
    slack: bool,
}

impl Post {
    pub(super) fn webhook(
        name: &str,
        url: &str,
        secret: Option<String>,
        tls: Option<UpstreamTls>,
    ) -> Result<Self, ChannelError> {
        Self::new(name, url, secret, tls, false)
    }

    pub(super) fn slack(name: &str, url: &str, tls: Option<UpstreamTls>) -> Result<Self, ChannelError> {
        Self::new(name, url, None, tls, true)
    }

    fn new(
        name: &str,
        url: &str,
        secret: Option<String>,
        tls: Option<UpstreamTls>,
        slack: bool,
    ) -> Result<Self, ChannelError> {
        let bad = |why: &str| ChannelError(format!("url: {why}"));
        let place = Place::parse(url).map_err(bad)?;
        let settings = UpstreamSettings {
            tls,
            response_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(10),
            ..UpstreamSettings::default()
        };
        let upstream = Upstream::new(format!("notify.{name}"), [&place.server], settings)
            .map_err(|_| bad("its host cannot be used"))?;
        Ok(Self {
            upstream: Arc::new(upstream),
            host: place.host,
            path: place.path.parse().map_err(|_| bad("its path cannot be used"))?,
            secret,
            slack,
        })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), Failure> {
        let body = if self.slack {
            // Slack reads these three as markup of its own.
            let text = format!("[{}] {}\n{}", message.severity.as_str(), message.title, message.text);
            json!({ "text": text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;") })
        } else {
            json!(message)
        };
        let body = body.to_string();
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(secret) = &self.secret {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            if let Ok(signature) = HeaderValue::try_from(sign(secret, now, &body)) {
                headers.insert(SIGNATURE, signature);
            }
        }
        *request.body_mut() = Body::from(body);
        let response = self.upstream.send(request).await.map_err(|error| Failure::later(chain(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let why = format!("the answer was {status}");
        let busy = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        if !(busy || status.is_server_error()) {
            return Err(Failure::never(why));
        }
        let wanted = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wanted = wanted.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        Err(Failure { why, again: Some(wanted) })
    }
}

/// The value of `iap-signature` for a body that is sent at a Unix time in seconds: `t=<time>,v1=<hex>`, where the
/// digits are HMAC-SHA256 with the channel's secret over `<time>.<body>`. A receiver computes the same, compares it in
/// constant time, and refuses what is older than some minutes.
pub fn sign(secret: &str, unix_s: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{unix_s}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={unix_s},v1={hex}")
}
