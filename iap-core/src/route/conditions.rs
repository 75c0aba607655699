//! What a route asks of a request besides its host and path.

use http::{HeaderMap, HeaderName, Method, Request, Uri};

use crate::cookies::cookies;
use crate::gate::percent_decode;

/// Conditions that all have to hold. Without any a route takes every request of its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    methods: Vec<Method>,
    headers: Vec<(HeaderName, Pattern)>,
    cookies: Vec<(String, Pattern)>,
    query: Vec<(String, Pattern)>,
}

/// What a value has to look like: `*` stands for any text, so `*` alone asks only that it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<[Box<str>]>);

/// The head of a request, as far as routes look at it.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target, whose path is canonical.
    pub uri: &'a Uri,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self { method: request.method(), uri: request.uri(), headers: request.headers() }
    }
}

/// How a request fares with the conditions of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// All hold but the method.
    WrongMethod,
    Fails,
}

impl Pattern {
    /// Reads a pattern; all characters but `*` stand for themselves.
    pub fn new(text: &str) -> Self {
        Self(text.split('*').map(Into::into).collect())
    }

    /// Whether a value fits. Costs at most the product of both lengths.
    pub fn matches(&self, value: &str) -> bool {
        let [first, middle @ .., last] = &*self.0 else {
            return self.0.first().is_some_and(|whole| **whole == *value);
        };
        let Some(mut rest) = value.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last)) else {
            return false;
        };
        for part in middle {
            match rest.find(&**part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

impl Conditions {
    /// No conditions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these methods. `GET` stands for `HEAD` as well. A request whose path has routes, but none for
    /// its method, is answered with 405 and `Allow`.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods.extend(methods);
        self
    }

    /// Only with a header field that has such a value.
    #[must_use]
    pub fn header(mut self, name: HeaderName, pattern: &str) -> Self {
        self.headers.push((name, Pattern::new(pattern)));
        self
    }

    /// Only with a cookie that has such a value.
    #[must_use]
    pub fn cookie(mut self, name: &str, pattern: &str) -> Self {
        self.cookies.push((name.to_owned(), Pattern::new(pattern)));
        self
    }

    /// Only with a query parameter that has such a value, percent-decoded.
    #[must_use]
    pub fn query(mut self, name: &str, pattern: &str) -> Self {
        self.query.push((name.to_owned(), Pattern::new(pattern)));
        self
    }

    /// How many there are: the more, the narrower the route.
    pub(super) fn count(&self) -> usize {
        usize::from(!self.methods.is_empty()) + self.headers.len() + self.cookies.len() + self.query.len()
    }

    pub(super) fn allowed(&self) -> &[Method] {
        &self.methods
    }

    pub(super) fn check(&self, request: Head<'_>) -> Verdict {
        if !(self.headers_hold(request) && self.cookies_hold(request) && self.query_holds(request)) {
            return Verdict::Fails;
        }
        let method = if request.method == Method::HEAD { &Method::GET } else { request.method };
        let named = |methods: &[Method]| methods.contains(method) || methods.contains(request.method);
        if self.methods.is_empty() || named(&self.methods) { Verdict::Holds } else { Verdict::WrongMethod }
    }

    fn headers_hold(&self, request: Head<'_>) -> bool {
        self.headers.iter().all(|(name, pattern)| {
            let mut values = request.headers.get_all(name).iter();
            values.any(|value| value.to_str().is_ok_and(|value| pattern.matches(value)))
        })
    }

    fn cookies_hold(&self, request: Head<'_>) -> bool {
        self.cookies.iter().all(|(name, pattern)| {
            cookies(request.headers).any(|(own, value)| own == name && pattern.matches(value))
        })
    }

    fn query_holds(&self, request: Head<'_>) -> bool {
        self.query.iter().all(|(name, pattern)| {
            request.uri.query().unwrap_or_default().split('&').any(|pair| {
                let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
                let decode = |text: &str| percent_decode(&text.replace('+', " "));
                decode(own).is_some_and(|own| own == *name)
                    && decode(value).is_some_and(|value| pattern.matches(&value))
            })
        })
    }
}
