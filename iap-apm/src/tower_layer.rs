//! The APM for an existing tower or axum service, without our server in front.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Extensions, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use iap_core::hooks::{Begin, Finish, Scoped};
use iap_core::{Connection, Hooks, Kind, TraceContext};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::hooks::{ApmHooks, ApmTransaction};

type RouteOf = fn(&Extensions) -> Option<Arc<str>>;
type ClientOf = fn(&Extensions) -> Option<SocketAddr>;

/// Makes each request of a service a transaction: begun when the request comes in, finished at the
/// end of the response's body or when it is dropped.
///
/// The handle [`iap_core::Transaction`] is in the request's extensions, and current while the service
/// runs. Frameworks keep the matched route and the client's address in extensions of their own types;
/// [`ApmTowerLayer::route_of`] and [`ApmTowerLayer::client_of`] say how to read them.
#[derive(Clone)]
pub struct ApmTowerLayer {
    hooks: ApmHooks,
    route_of: RouteOf,
    client_of: ClientOf,
    unknown: Arc<Connection>,
}

impl ApmTowerLayer {
    pub(crate) fn new(hooks: ApmHooks) -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self {
            hooks,
            route_of: |_| None,
            client_of: |extensions| extensions.get::<SocketAddr>().copied(),
            unknown: Arc::new(Connection::new(nowhere, nowhere, false)),
        }
    }

    /// How to read the route's low-cardinality name: for axum, from its `MatchedPath`. Asked before the
    /// service runs, so the layer has to sit inside the router (`Router::layer`).
    #[must_use]
    pub fn route_of(mut self, read: RouteOf) -> Self {
        self.route_of = read;
        self
    }

    /// How to read the client's address: for axum, from its `ConnectInfo`. By default a [`SocketAddr`]
    /// in the extensions.
    #[must_use]
    pub fn client_of(mut self, read: ClientOf) -> Self {
        self.client_of = read;
        self
    }

    fn begin<B>(&self, request: &Request<B>) -> Running {
        let extensions = request.extensions();
        let known = extensions.get::<Arc<Connection>>().cloned();
        let connection = known.unwrap_or_else(|| match (self.client_of)(extensions) {
            Some(client) => Arc::new(Connection::new(client, self.unknown.local(), false)),
            None => self.unknown.clone(),
        });
        let from_header = || request.headers().get(header::HOST)?.to_str().ok();
        let host = request.uri().authority().map(|authority| authority.as_str()).or_else(from_header);
        let transaction = self.hooks.begin(&Begin {
            connection: &connection,
            method: request.method(),
            path: request.uri().path(),
            query: request.uri().query(),
            host: host.unwrap_or_default(),
            version: request.version(),
            parent: TraceContext::from_headers(request.headers()),
        });
        if let Some(route) = (self.route_of)(extensions) {
            self.hooks.routed(&transaction, &route);
        }
        Running {
            hooks: self.hooks.clone(),
            transaction: Some(transaction),
            finish: Finish {
                // What is left when the future is dropped before it has answered.
                status: client_gone(),
                bytes_out: 0,
                error: Some(Kind::ClientGone),
                message: None,
            },
        }
    }
}

impl fmt::Debug for ApmTowerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApmTowerLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ApmTowerLayer {
    type Service = ApmService<S>;

    fn layer(&self, inner: S) -> ApmService<S> {
        ApmService { layer: self.clone(), inner }
    }
}

/// The service of [`ApmTowerLayer`].
#[derive(Debug, Clone)]
pub struct ApmService<S> {
    layer: ApmTowerLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for ApmService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Display,
    R: Body,
{
    type Response = Response<ApmBody<R>>;
    type Error = S::Error;
    type Future = ApmFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let running = self.layer.begin(&request);
        let handle = running.handle();
        request.extensions_mut().insert(handle.clone());
        ApmFuture { future: handle.scope(self.inner.call(request)), running: Some(running) }
    }
}

/// A transaction that is finished when this is dropped.
struct Running {
    hooks: ApmHooks,
    transaction: Option<Arc<ApmTransaction>>,
    finish: Finish,
}

impl Running {
    fn is_head(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.method == Method::HEAD)
    }

    fn handle(&self) -> iap_core::Transaction {
        let transaction = self.transaction.clone().expect("present until dropped");
        iap_core::Transaction::new(transaction)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.finish.error = Some(Kind::Internal);
            self.finish.message = Some("the service panicked".to_owned());
            self.finish.status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        if let Some(transaction) = self.transaction.take() {
            self.hooks.finish(transaction, self.finish.clone());
        }
    }
}

pin_project! {
    /// The future of [`ApmService`].
    pub struct ApmFuture<F> {
        #[pin]
        future: Scoped<F>,
        running: Option<Running>,
    }
}

impl<F, R, E> Future for ApmFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: fmt::Display,
{
    type Output = Result<Response<ApmBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        let mut running = this.running.take();
        match result {
            Ok(response) => {
                let (parts, inner) = response.into_parts();
                if let Some(running) = &mut running {
                    running.finish.status = parts.status;
                }
                // Servers do not read a body that is not sent.
                let unsent = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
                    || running.as_ref().is_some_and(Running::is_head);
                let mut body = ApmBody { inner, running };
                if unsent || body.inner.is_end_stream() {
                    end(&mut body.running, None);
                }
                Poll::Ready(Ok(Response::from_parts(parts, body)))
            }
            Err(error) => {
                if let Some(running) = &mut running {
                    running.finish.status = StatusCode::INTERNAL_SERVER_ERROR;
                }
                end(&mut running, Some(error.to_string()));
                Poll::Ready(Err(error))
            }
        }
    }
}

/// The status of a request whose client left before the answer, as in the pipeline.
fn client_gone() -> StatusCode {
    StatusCode::from_u16(499).expect("a valid status code")
}

/// Finishes the transaction, well or with a failure of the service.
fn end(running: &mut Option<Running>, failure: Option<String>) {
    if let Some(mut running) = running.take() {
        running.finish.error = failure.as_ref().map(|_| Kind::Internal);
        running.finish.message = failure;
    }
}

pin_project! {
    /// The response body of [`ApmService`]: its end is the end of the transaction.
    pub struct ApmBody<B> {
        #[pin]
        inner: B,
        running: Option<Running>,
    }
}

impl<B: Body> Body for ApmBody<B>
where
    B::Error: fmt::Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| bytes::Buf::remaining(data) as u64);
                if let Some(running) = this.running.as_mut() {
                    running.finish.bytes_out += bytes;
                }
                // Whoever sees the end in the last frame does not ask again.
                if this.inner.is_end_stream() {
                    end(this.running, None);
                }
            }
            Some(Err(error)) => end(this.running, Some(error.to_string())),
            None => end(this.running, None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<F> fmt::Debug for ApmFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApmFuture").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for ApmBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApmBody").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
