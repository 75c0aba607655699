//! Cross-origin requests, as the Fetch standard describes them.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};

use crate::body::Body;
use crate::error::{Error, Kind, Origin};

/// Which other sites' pages may ask. Preflight requests are answered here and never reach the target.
#[derive(Debug, Clone)]
pub struct Cors {
    origins: Vec<Allowed>,
    methods: HeaderValue,
    headers: HeaderValue,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    Any,
    Exact(Box<str>),
    /// `https://*.example.org`: scheme with `://`, and the domain with its dot.
    Below(Box<str>, Box<str>),
}

/// What is wrong with a rule for cross-origin requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CorsError {
    /// There is no such origin.
    #[error("`{0}` is no origin: write `https://shop.example`, `https://*.shop.example` or `*`")]
    Origin(String),
    /// Any page anywhere could act in a user's name.
    #[error("credentials cannot be allowed for `*`: name the origins")]
    AnyWithCredentials,
    /// A list holds what no header field may.
    #[error("`{0}` is no list of methods or header fields")]
    List(String),
}

/// The origin that an answer is for, as it is told.
#[derive(Debug)]
pub(super) struct Granted(HeaderValue);

impl Cors {
    /// Allows these origins; `*` is any.
    pub fn new<S: AsRef<str>>(origins: impl IntoIterator<Item = S>) -> Result<Self, CorsError> {
        let origins = origins.into_iter().map(|text| parse(text.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self {
            origins,
            methods: HeaderValue::from_static("GET, HEAD, POST"),
            headers: HeaderValue::from_static("content-type"),
            expose: None,
            credentials: false,
            max_age: Duration::from_secs(600),
        })
    }

    /// Methods that may be used. Default: `GET`, `HEAD`, `POST`.
    pub fn methods<S: AsRef<str>>(mut self, methods: &[S]) -> Result<Self, CorsError> {
        self.methods = list(methods)?;
        Ok(self)
    }

    /// Request fields that may be sent. Default: `Content-Type`.
    pub fn headers<S: AsRef<str>>(mut self, names: &[S]) -> Result<Self, CorsError> {
        self.headers = list(names)?;
        Ok(self)
    }

    /// Response fields that may be read, besides the simple ones. Default: none.
    pub fn expose<S: AsRef<str>>(mut self, names: &[S]) -> Result<Self, CorsError> {
        self.expose = (!names.is_empty()).then(|| list(names)).transpose()?;
        Ok(self)
    }

    /// Lets pages send cookies and other credentials.
    pub fn credentials(mut self) -> Result<Self, CorsError> {
        if self.origins.contains(&Allowed::Any) {
            return Err(CorsError::AnyWithCredentials);
        }
        self.credentials = true;
        Ok(self)
    }

    /// How long a browser may remember the answer. Default: 10 minutes.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    pub(super) fn grant(&self, request: &Request<Body>) -> Option<Granted> {
        let value = request.headers().get(ORIGIN)?;
        let origin = value.to_str().ok()?;
        let allowed = self.origins.iter().find(|allowed| allowed.includes(origin))?;
        let told = if *allowed == Allowed::Any { HeaderValue::from_static("*") } else { value.clone() };
        Some(Granted(told))
    }

    /// The answer to a preflight request; an error where its origin may not ask.
    pub(super) fn preflight(&self, request: &Request<Body>) -> Result<Option<Response<Body>>, Error> {
        let fields = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && fields.contains_key(ORIGIN)
            && fields.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return Ok(None);
        }
        if self.grant(request).is_none() {
            let text = "pages of this origin may not ask here";
            return Err(Error::new(Kind::Forbidden, Origin::Client, text).reason("cors"));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let fields = response.headers_mut();
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        fields.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age.as_secs()));
        Ok(Some(response))
    }

    /// Tells who may read the answer. The target's own word on it would contradict ours.
    pub(super) fn mark(&self, granted: Option<Granted>, fields: &mut HeaderMap) {
        const OURS: [HeaderName; 3] =
            [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS];
        for name in OURS {
            fields.remove(name);
        }
        // Whether an origin is told or not, the answer hangs on who has asked.
        if self.origins.iter().any(|allowed| *allowed != Allowed::Any) {
            fields.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(Granted(origin)) = granted else { return };
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(names) = &self.expose {
            fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
        }
    }
}

impl Allowed {
    fn includes(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => origin.eq_ignore_ascii_case(exact),
            Self::Below(scheme, domain) => {
                let origin = origin.to_ascii_lowercase();
                let host = origin.strip_prefix(&**scheme).and_then(|host| host.strip_suffix(&**domain));
                host.is_some_and(|label| {
                    !label.is_empty()
                        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
                })
            }
        }
    }
}

fn parse(text: &str) -> Result<Allowed, CorsError> {
    let bad = || CorsError::Origin(text.to_owned());
    if text == "*" {
        return Ok(Allowed::Any);
    }
    let lower = text.to_ascii_lowercase();
    let (scheme, host) = lower.split_once("://").ok_or_else(bad)?;
    let is_host = |host: &str| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b))
    };
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    match host.strip_prefix("*.") {
        Some(domain) if is_scheme && is_host(domain) => {
            Ok(Allowed::Below(format!("{scheme}://").into(), format!(".{domain}").into()))
        }
        None if is_scheme && is_host(host) => Ok(Allowed::Exact(lower.into())),
        _ => Err(bad()),
    }
}

fn list<S: AsRef<str>>(items: &[S]) -> Result<HeaderValue, CorsError> {
    let text = items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match items.iter().all(|item| item.as_ref().parse::<HeaderName>().is_ok()) {
        true => HeaderValue::from_str(&text).map_err(|_| CorsError::List(text)),
        false => Err(CorsError::List(text)),
    }
}
