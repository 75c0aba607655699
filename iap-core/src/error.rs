//! The error of the pipeline, and the one function that turns it into a response.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::body::Body;
use crate::trace_context::TraceId;

/// An error of any type, as tower's ecosystem passes it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Who caused an error. Decides whom an operator looks at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The request itself is at fault.
    Client,
    /// An embedded service failed.
    App,
    /// The session store failed.
    Store,
    /// An upstream server failed.
    Upstream,
    /// This process failed, or is shedding load.
    Internal,
}

/// What went wrong. The string form ([`Kind::as_str`]) is stable: metrics and problem bodies use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request breaks HTTP or the strict gate.
    BadRequest,
    /// The method is not served here.
    MethodNotAllowed,
    /// What is asked for is not served anywhere here.
    NotImplemented,
    /// No route or file answers to this request.
    NotFound,
    /// The caller may not do this.
    Forbidden,
    /// The caller is not known; it has to log in.
    Unauthorized,
    /// The request's body is of a type that is not read here.
    UnsupportedMediaType,
    /// The request's body is larger than allowed.
    TooLarge,
    /// The request's head, or one of its fields, is larger than allowed.
    HeadTooLarge,
    /// The request's target is longer than allowed.
    UriTooLong,
    /// The caller has asked too often.
    TooManyRequests,
    /// The request's state conflicts with another one.
    Conflict,
    /// A condition of the request (RFC 9110 section 13) does not hold.
    PreconditionFailed,
    /// Nothing of what is there lies in the range that is asked for.
    RangeNotSatisfiable,
    /// Something needed is not reachable at the moment.
    Unavailable,
    /// The other side did not answer in time.
    Timeout,
    /// The other side answered with something that is not HTTP, or broke off.
    BadGateway,
    /// The client went away before the answer was complete.
    ClientGone,
    /// A failure that has no better name.
    Internal,
}

impl Kind {
    /// The stable name, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotImplemented => "not_implemented",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Unauthorized => "unauthorized",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooLarge => "too_large",
            Self::HeadTooLarge => "head_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::TooManyRequests => "too_many_requests",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::RangeNotSatisfiable => "range_not_satisfiable",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::BadGateway => "bad_gateway",
            Self::ClientGone => "client_gone",
            Self::Internal => "internal",
        }
    }

    fn status(self, origin: Origin) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Unavailable if origin == Origin::Upstream => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout if origin == Origin::Client => StatusCode::REQUEST_TIMEOUT,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            // nginx's private code; it is only ever seen in telemetry, since nobody is there to read it.
            Self::ClientGone => StatusCode::from_u16(499).expect("499 is a valid status code"),
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The error of the pipeline: what, by whom, and whether sending the same request again is safe.
///
/// The message is shown to clients, so it never holds secrets or addresses of internal servers;
/// those go into the source, which only logs and telemetry see.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    origin: Origin,
    retryable: bool,
    message: Cow<'static, str>,
    allow: Option<Cow<'static, str>>,
    reason: Option<&'static str>,
    /// One more field of the answer, such as a challenge.
    field: Option<Box<(HeaderName, HeaderValue)>>,
    retry_after: Option<Duration>,
    source: Option<BoxError>,
}

impl Error {
    /// An error with a message that clients may read.
    pub fn new(kind: Kind, origin: Origin, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            origin,
            retryable: false,
            message: message.into(),
            allow: None,
            reason: None,
            field: None,
            retry_after: None,
            source: None,
        }
    }

    /// Another text for the client, where it may be told more than others.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Attaches the cause, for logs and telemetry.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Marks that the request had no effect, so that repeating it is safe.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Names the methods that are served, for the `Allow` field that an answer of 405 must have
    /// (RFC 9110 section 15.5.6): `GET, HEAD`. Anything but a list of tokens is left out.
    #[must_use]
    pub fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods.into());
        self
    }

    /// The same, with methods that become known at run time.
    #[must_use]
    pub fn allow_methods(mut self, methods: &[Method]) -> Self {
        let names: Vec<_> = methods.iter().map(Method::as_str).collect();
        self.allow = Some(names.join(", ").into());
        self
    }

    /// Names the rule that refused a request, in snake case; the label of `iap_refused_total`.
    #[must_use]
    pub fn reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds a field to the answer, such as a challenge.
    #[must_use]
    pub fn with_field(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.field = Some(Box::new((name, value)));
        self
    }

    /// The rule that refused the request; without one the kind stands for it.
    pub fn refused_by(&self) -> &'static str {
        self.reason.unwrap_or(self.kind.as_str())
    }

    /// Says when to come back, for the `Retry-After` field (RFC 9110 section 10.2.3), in whole
    /// seconds, rounded up. Without it an answer of 503 says one second, and others nothing.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Who caused it.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether repeating the request is safe: nothing of it took effect.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The text for clients.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status code that [`Error::into_response`] answers with.
    pub fn status(&self) -> StatusCode {
        self.kind.status(self.origin)
    }

    /// Recovers a pipeline error from a tower error, or files it under `origin`.
    pub fn from_boxed(error: BoxError, origin: Origin) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => *own,
            Err(other) if other.is::<tower::timeout::error::Elapsed>() => {
                Self::new(Kind::Timeout, origin, "the service did not answer in time").with_source(other)
            }
            Err(other) => Self::new(Kind::Internal, origin, "the service failed").with_source(other),
        }
    }

    /// The one mapping of errors to HTTP: an RFC 9457 problem body with the status of the kind.
    /// `trace_id` lets a user's report be found in the history.
    pub fn into_response(self, trace_id: Option<TraceId>) -> Response<Body> {
        let status = self.status();
        let trace = trace_id.map(|id| format!(r#","trace_id":"{id}""#)).unwrap_or_default();
        // A message may hold what a client has sent.
        let detail = serde_json::Value::from(self.message);
        let body = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":{detail},"kind":"{}"{trace}}}"#,
            status.canonical_reason().unwrap_or("Error"),
            status.as_u16(),
            self.kind.as_str(),
        );
        let mut response = Response::new(Body::from(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(allow) = self.allow.and_then(|methods| HeaderValue::from_str(&methods).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if let Some((name, value)) = self.field.map(|field| *field) {
            headers.insert(name, value);
        }
        let unavailable = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1));
        if let Some(wait) = self.retry_after.or(unavailable) {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Counts a request that was refused, by the rule that did.
pub(crate) fn count_refused(reason: &'static str) {
    metrics::counter!("iap_refused_total", "reason" => reason).increment(1);
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_when_to_come_back_and_what_is_served() {
        let field = |error: Error, name| {
            let response = error.into_response(None);
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let error = |kind| Error::new(kind, Origin::Internal, "no");
        let retry_after = |error| field(error, header::RETRY_AFTER);
        assert_eq!(retry_after(error(Kind::Unavailable)).as_deref(), Some("1"));
        let patient = error(Kind::Unavailable).retry_after(Duration::from_millis(2500));
        assert_eq!(retry_after(patient).as_deref(), Some("3"));
        assert_eq!(retry_after(error(Kind::Conflict)), None);
        let refused = error(Kind::MethodNotAllowed).allow("GET");
        assert_eq!(field(refused, header::ALLOW).as_deref(), Some("GET"));
        assert_eq!(error(Kind::UnsupportedMediaType).status(), 415);
    }
}
