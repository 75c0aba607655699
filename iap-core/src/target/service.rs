//! Embedded services: erased once, called on the runtime they belong on.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower::{Service, ServiceExt};

use crate::body::Body;
use crate::error::{BoxError, Error, Kind, Origin};
use crate::hooks::Transaction;
use crate::server::worker;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where an embedded service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// On the multi-threaded application runtime, so that a handler that computes for long does
    /// not hold up the connections of its core. Costs one hop between threads.
    #[default]
    Application,
    /// On the connection's own thread. For handlers that never block, not even for a millisecond.
    Inline,
}

/// A tower service behind one box. Cheap to clone.
#[derive(Clone)]
pub struct EmbeddedService {
    name: Arc<str>,
    service: Arc<dyn Erased>,
    placement: Placement,
}

impl EmbeddedService {
    /// Takes in a service. Each request is sent to a clone of it that has said that it is ready.
    pub fn new<S, B>(name: impl Into<Arc<str>>, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self { name: name.into(), service: Arc::new(service), placement: Placement::default() }
    }

    /// Chooses where the service runs.
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// The service's name in telemetry.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) async fn call(
        &self,
        request: Request<Body>,
        transaction: Option<Transaction>,
    ) -> Result<Response<Body>, Error> {
        let response: BoxFuture<_> = match transaction {
            Some(transaction) => {
                let response = transaction.enter(|| self.service.call(request));
                Box::pin(transaction.scope(response))
            }
            None => self.service.call(request),
        };
        let runtime = match self.placement {
            Placement::Application => worker::application(),
            Placement::Inline => None,
        };
        match runtime {
            None => catch_panic(response).await,
            Some(runtime) => match AbortOnDrop(runtime.spawn(response)).await {
                Ok(result) => result,
                Err(error) if error.is_panic() => Err(panicked()),
                Err(error) => Err(Error::new(Kind::Unavailable, Origin::App, "the application is stopping")
                    .with_source(error)),
            },
        }
    }
}

trait Erased: Send + Sync {
    fn call(&self, request: Request<Body>) -> BoxFuture<Result<Response<Body>, Error>>;
}

impl<S, B> Erased for S
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn call(&self, request: Request<Body>) -> BoxFuture<Result<Response<Body>, Error>> {
        let service = self.clone();
        Box::pin(async move {
            match service.oneshot(request).await {
                Ok(response) => Ok(response.map(Body::new)),
                Err(error) => Err(Error::from_boxed(error.into(), Origin::App)),
            }
        })
    }
}

/// The answer to a request whose code has panicked.
pub(crate) fn panicked() -> Error {
    Error::new(Kind::Internal, Origin::App, "the application failed on this request")
        .with_source("its code panicked")
}

/// One broken request must not take the others on its connection down.
pub(crate) async fn catch_panic<F>(future: F) -> Result<Response<Body>, Error>
where
    F: Future<Output = Result<Response<Body>, Error>>,
{
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)))
            .unwrap_or_else(|_| std::task::Poll::Ready(Err(panicked())))
    })
    .await
}

/// Stops the handler when the client goes away.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
