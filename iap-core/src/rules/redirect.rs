//! Other places: for the client, and for the target.

use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri};

use super::template::Template;
use crate::body::Body;
use crate::error::{Error, Kind, Origin};
use crate::gate::canonical_path;
use crate::route::{PathParams, Route};

/// Sends clients elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    status: StatusCode,
    location: Template,
}

impl Redirect {
    /// Answers with `status` (301, 302, 303, 307 or 308; `None` for any other) and this `Location`.
    pub fn new(status: StatusCode, location: Template) -> Option<Self> {
        matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308).then_some(Self { status, location })
    }

    pub(super) fn answer(&self, route: &Route, request: &Request<Body>) -> Result<Response<Body>, Error> {
        let mut location = self.location.render(route, request);
        // What a client has sent must not become the name of a host: `/{rest}` could be `//evil.example`,
        // which is a place elsewhere (RFC 3986 section 4.2).
        if location.starts_with("//") && !self.location.begins_with("//") {
            location = format!("/{}", location.trim_start_matches('/'));
        }
        if location.is_empty() {
            location.push('/');
        }
        let location = HeaderValue::from_str(&location).map_err(|error| invalid().with_source(error))?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, location);
        Ok(response)
    }
}

/// Changes the path that the target sees. The query stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite(Template);

impl Rewrite {
    /// The new path: `/v2{rest}` puts `/v2` in the place of the route's own path.
    pub fn new(path: Template) -> Self {
        Self(path)
    }

    pub(super) fn apply(&self, route: &Route, request: &mut Request<Body>) -> Result<(), Error> {
        let mut path = self.0.render(route, request);
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        // What was put together is canonical again, or is refused as it would be from a client.
        let mut path = canonical_path(&path)?.unwrap_or(path);
        if let Some(query) = request.uri().query() {
            path.push('?');
            path.push_str(query);
        }
        // The parameters are those of the path that was asked for.
        if let Some(parameters) = PathParams::of(route, request.uri().path()) {
            request.extensions_mut().insert(parameters);
        }
        let target = PathAndQuery::try_from(path).map_err(|error| invalid().with_source(error))?;
        *request.uri_mut() = Uri::from(target);
        Ok(())
    }
}

fn invalid() -> Error {
    Error::new(Kind::BadRequest, Origin::Client, "the path has no place here").reason("rewrite")
}
