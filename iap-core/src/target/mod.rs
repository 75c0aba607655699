//! What can answer a request, and how it is called.

mod service;
mod split;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body as HttpBody;
use tower::Service;

use crate::body::Body;
use crate::connection::Connection;
use crate::error::{BoxError, Error};
use crate::files::Files;
use crate::hooks::{Hooks, SpanEnd, Stage};
use crate::route::Route;
use crate::rules::Rules;
use crate::upstream::{Upstream, forward};

pub use service::{EmbeddedService, Placement};
pub(crate) use service::{catch_panic, panicked};
pub use split::{Split, SplitBy, SplitError, Variant};

/// What answers the requests of a route.
#[derive(Clone)]
#[non_exhaustive]
pub enum Target {
    /// An embedded tower service: an axum `Router`, or your own.
    Service(EmbeddedService),
    /// Servers behind us: reverse proxy.
    Upstream(Arc<Upstream>),
    /// Static files.
    Files(Arc<Files>),
    /// A fixed response: a maintenance page, a test.
    Respond(StatusCode, Bytes),
    /// One of several targets, by shares.
    Split(Arc<Split>),
}

impl Target {
    /// An embedded service that runs on the application runtime (see [`Placement::Application`]).
    pub fn service<S, B>(name: impl Into<Arc<str>>, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::Service(EmbeddedService::new(name, service))
    }

    /// The files below `root`.
    pub fn files(root: impl AsRef<Path>) -> Self {
        Self::Files(Arc::new(Files::new(root)))
    }

    /// A fixed response.
    pub fn respond(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::Respond(status, body.into())
    }

    /// Whether servers behind us answer, all requests or some.
    pub fn is_proxied(&self) -> bool {
        match self {
            Self::Upstream(_) => true,
            Self::Split(split) => split.targets().any(Self::is_proxied),
            _ => false,
        }
    }

    /// Whether embedded services answer, all requests or some.
    pub(crate) fn is_service(&self) -> bool {
        match self {
            Self::Service(_) => true,
            Self::Split(split) => split.targets().any(Self::is_service),
            _ => false,
        }
    }

    /// Answers one request. The only place where targets are told apart.
    pub(crate) async fn call<H: Hooks>(
        &self,
        hooks: &H,
        transaction: &H::Transaction,
        connection: &Arc<Connection>,
        route: &Route,
        request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        match self {
            Self::Upstream(upstream) => {
                let patience = route.rules().and_then(Rules::response);
                forward(upstream, hooks, transaction, connection, Box::new(request), patience).await
            }
            Self::Service(service) => {
                let span = hooks.start(transaction, Stage::Handler, None);
                let handle = if H::ENABLED { hooks.handle(transaction) } else { None };
                let handle = handle.zip(hooks.span_id(&span)).map(|(handle, id)| handle.below(id));
                let result = service.call(request, handle).await;
                end(hooks, transaction, span, service.name(), &result);
                result
            }
            Self::Files(files) => {
                let span = hooks.start(transaction, Stage::Files, None);
                let result = Box::pin(files.serve(route, request)).await;
                end(hooks, transaction, span, files.name(), &result);
                result
            }
            Self::Respond(status, body) => {
                let mut response = Response::new(Body::from(body.clone()));
                *response.status_mut() = *status;
                Ok(response)
            }
            Self::Split(split) => {
                let choice = split.choose(&request, connection);
                let span = hooks.start(transaction, Stage::Split, None);
                let call = choice.target().call(hooks, transaction, connection, route, request);
                let mut result = Box::pin(call).await;
                end(hooks, transaction, span, choice.name(), &result);
                if let Ok(response) = &mut result {
                    choice.bind(response, connection.is_tls());
                }
                result
            }
        }
    }
}

fn end<H: Hooks>(
    hooks: &H,
    transaction: &H::Transaction,
    span: H::Span,
    name: &Arc<str>,
    result: &Result<Response<Body>, Error>,
) {
    if H::ENABLED {
        let status = result.as_ref().ok().map(Response::status);
        let error = result.as_ref().err().map(|error| error.to_string().into());
        hooks.end(transaction, span, SpanEnd { status, error, detail: Some(name.clone()) });
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => f.debug_tuple("Service").field(service.name()).finish(),
            Self::Upstream(upstream) => f.debug_tuple("Upstream").field(upstream).finish(),
            Self::Files(files) => f.debug_tuple("Files").field(files.name()).finish(),
            Self::Respond(status, _) => f.debug_tuple("Respond").field(status).finish(),
            Self::Split(split) => f.debug_tuple("Split").field(split).finish(),
        }
    }
}
