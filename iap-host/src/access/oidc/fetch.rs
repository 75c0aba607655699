//! Requests to a provider: bounded in time and in bytes, without following anybody elsewhere.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use iap_core::upstream::{Upstream, UpstreamSettings, UpstreamTls};
use iap_core::{Body, BoxError};
use iap_ops::outgoing::{AGENT, Place, chain};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// How long a request may take, with its whole answer.
const TOTAL: Duration = Duration::from_secs(10);
/// The largest answer: a set of keys is the largest.
const MAX_ANSWER: usize = 256 << 10;

/// One place of a provider.
pub(super) struct Endpoint {
    upstream: Arc<Upstream>,
    host: HeaderValue,
    path: Uri,
}

/// A form (RFC 6749 section 4.1.3), and what stands in `Authorization`.
pub(super) struct Form {
    pub(super) body: String,
    pub(super) authorization: Option<HeaderValue>,
}

/// A status and a text, each of them bounded.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    text: Vec<u8>,
}

impl Endpoint {
    pub(super) fn new(url: &str, tls: Option<&UpstreamTls>) -> Result<Self, &'static str> {
        let place = Place::parse(url)?;
        let settings = UpstreamSettings {
            tls: tls.cloned(),
            response_timeout: TOTAL,
            // Seldom asked, and never a second time where the first may have been heard.
            max_idle: 0,
            ..UpstreamSettings::default()
        };
        let upstream =
            Upstream::new("oidc", [&place.server], settings).map_err(|_| "its host cannot be used")?;
        let path = place.path.parse().map_err(|_| "its path cannot be used")?;
        Ok(Self { upstream: Arc::new(upstream), host: place.host, path })
    }

    /// Reads what is there.
    pub(super) async fn get(&self) -> Result<Answer, String> {
        self.ask(Request::new(Body::empty())).await
    }

    /// Sends a form.
    pub(super) async fn post(&self, form: Form) -> Result<Answer, String> {
        let mut request = Request::new(Body::from(form.body));
        *request.method_mut() = Method::POST;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(value) = form.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        self.ask(request).await
    }

    async fn ask(&self, mut request: Request<Body>) -> Result<Answer, String> {
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        let answer = async {
            let response = self.upstream.send(request).await.map_err(|error| chain(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let broken = |error: BoxError| format!("its answer is too large, or broken off: {error}");
            Ok(Answer { status, text: body.map_err(broken)?.to_bytes().to_vec() })
        };
        timeout(TOTAL, answer).await.unwrap_or_else(|_| Err(format!("no answer within {TOTAL:?}")))
    }
}

impl Answer {
    /// What it says, as JSON. Errors do not quote it: there may be a token in it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => "its answer lacks something that is needed".to_owned(),
            _ => "its answer is no JSON".to_owned(),
        })
    }

    /// The text of one that is `200 OK`.
    pub(super) fn text(self) -> Result<String, String> {
        if self.status != StatusCode::OK {
            return Err(format!("its answer was {}", self.status));
        }
        String::from_utf8(self.text).map_err(|_| "its answer is no text".to_owned())
    }
}
