//! Texts with placeholders for the parts of a request.

use http::Request;
use http::header::HOST;

use crate::body::Body;
use crate::gate::match_host;
use crate::route::Route;

/// A text in which `{path}`, `{rest}` (the path below the route's own), `{query}` (with its `?`, or
/// nothing), `{host}` (without a port), `{authority}` (with the port, if the client named one), and the names of the route's path parameters stand for what the request has. A parameter that has one of
/// the names before counts more than that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Path,
    Rest,
    Query,
    Host,
    Authority,
    Parameter(Box<str>),
}

/// A template is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`: write each placeholder as `{{name}}`, with letters, digits and `_`")]
pub struct TemplateError(String);

impl Part {
    fn name(&self) -> Option<&str> {
        Some(match self {
            Self::Text(_) => return None,
            Self::Path => "path",
            Self::Rest => "rest",
            Self::Query => "query",
            Self::Host => "host",
            Self::Authority => "authority",
            Self::Parameter(name) => name,
        })
    }
}

impl Template {
    /// Reads a template.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let bad = || TemplateError(text.to_owned());
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(bad)?;
            if before.contains('}')
                || name.is_empty()
                || name.bytes().any(|b| !b.is_ascii_alphanumeric() && b != b'_')
            {
                return Err(bad());
            }
            parts.push(Part::Text(before.into()));
            parts.push(match name {
                "path" => Part::Path,
                "rest" => Part::Rest,
                "query" => Part::Query,
                "host" => Part::Host,
                "authority" => Part::Authority,
                name => Part::Parameter(name.into()),
            });
            rest = after;
        }
        if rest.contains('}') || text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(bad());
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self(parts))
    }

    /// The names that a route's path must have.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(&**name),
            _ => None,
        })
    }

    /// Whether all that it can become begins with this text.
    pub(super) fn begins_with(&self, text: &str) -> bool {
        matches!(self.0.first(), Some(Part::Text(first)) if first.starts_with(text))
    }

    /// Fills it in. Values stand as they are in the canonical path: percent-encoded.
    pub(super) fn render(&self, route: &Route, request: &Request<Body>) -> String {
        let path = request.uri().path();
        let mut out = String::new();
        for part in &self.0 {
            if let Some(value) = part.name().and_then(|name| route.raw_parameter(name, path)) {
                out.push_str(value);
                continue;
            }
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Path => out.push_str(path),
                Part::Rest => out.push_str(&path[route.matched(path).len()..]),
                Part::Query => {
                    if let Some(query) = request.uri().query() {
                        out.push('?');
                        out.push_str(query);
                    }
                }
                // To another scheme, the port of this one would lead to the wrong listener.
                Part::Host => out.push_str(&match_host(request)),
                Part::Authority => {
                    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok());
                    out.push_str(host.unwrap_or_default());
                }
                Part::Parameter(_) => {}
            }
        }
        out
    }
}
