//! What can answer a request.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use crate::upstream::Upstream;

/// What answers the requests of a route.
#[derive(Clone)]
#[non_exhaustive]
pub enum Target {
    /// An embedded tower service.
    Service(EmbeddedService),
    /// Servers behind us: reverse proxy.
    Upstream(Arc<Upstream>),
    /// A fixed response.
    Respond(StatusCode, Bytes),
}

impl Target {
    /// A fixed response: a redirect page, a maintenance text, a test.
    pub fn respond(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::Respond(status, body.into())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target")
    }
}

/// Placeholder.
#[derive(Clone)]
pub struct EmbeddedService;
