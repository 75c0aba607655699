//! The place of tower layers in the pipeline: after routing, around the target.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower::{Layer, Service, ServiceExt};

use super::insert_extensions;
use crate::body::Body;
use crate::connection::Connection;
use crate::error::{BoxError, Error, Kind, Origin};
use crate::hooks::Hooks;
use crate::route::Route;
use crate::target::catch_panic;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The innermost service of a stack of layers: it calls the route's target.
///
/// It is always ready. Its errors are [`Error`]s, so a layer can tell an unreachable upstream
/// from a failing application.
#[derive(Debug)]
pub struct Dispatch<H> {
    hooks: H,
}

impl<H: Clone> Clone for Dispatch<H> {
    fn clone(&self) -> Self {
        Self { hooks: self.hooks.clone() }
    }
}

/// What the target needs beyond the request; carried past the layers in the extensions.
struct Carried<H: Hooks> {
    route: Arc<Route>,
    connection: Arc<Connection>,
    transaction: H::Transaction,
}

impl<H: Hooks> Clone for Carried<H> {
    fn clone(&self) -> Self {
        Self {
            route: self.route.clone(),
            connection: self.connection.clone(),
            transaction: self.transaction.clone(),
        }
    }
}

impl<H: Hooks> Service<Request<Body>> for Dispatch<H> {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let hooks = self.hooks.clone();
        Box::pin(async move {
            let Some(carried) = request.extensions_mut().remove::<Carried<H>>() else {
                return Err(Error::new(
                    Kind::Internal,
                    Origin::Internal,
                    "a layer dropped the request's extensions",
                ));
            };
            let Carried { route, connection, transaction } = carried;
            let late = route.rules().map(|rules| rules.late(&connection, &request)).transpose()?;
            let result = route.target().call(&hooks, &transaction, &connection, &route, request).await;
            result.map(|mut response| {
                if let Some(standing) = late.flatten() {
                    standing.mark(response.headers_mut());
                }
                response
            })
        })
    }
}

/// Layers around [`Dispatch`], behind one box.
pub struct Stack<H: Hooks> {
    service: Arc<dyn Erased>,
    _hooks: std::marker::PhantomData<fn() -> H>,
}

impl<H: Hooks> Stack<H> {
    /// Builds the layers once. Each request goes to a clone of the result that has said that it
    /// is ready, so limits that layers share between clones hold.
    pub fn new<L, B>(hooks: H, layer: L) -> Self
    where
        L: Layer<Dispatch<H>>,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        <L::Service as Service<Request<Body>>>::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = Arc::new(Layered(layer.layer(Dispatch { hooks })));
        Self { service, _hooks: std::marker::PhantomData }
    }

    pub(super) async fn call(
        &self,
        hooks: &H,
        route: Arc<Route>,
        connection: &Arc<Connection>,
        transaction: &H::Transaction,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        insert_extensions(hooks, &route, connection, transaction, &mut request);
        let carried =
            Carried::<H> { route, connection: connection.clone(), transaction: transaction.clone() };
        request.extensions_mut().insert(carried);
        let handle = if H::ENABLED { hooks.handle(transaction) } else { None };
        // A layer that panics must not take down what else runs on the connection.
        let layers = async { self.service.call(request).await };
        match handle {
            Some(handle) => catch_panic(handle.scope(layers)).await,
            None => catch_panic(layers).await,
        }
    }
}

impl<H: Hooks> fmt::Debug for Stack<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stack")
    }
}

trait Erased: Send + Sync {
    fn call(&self, request: Request<Body>) -> BoxFuture<Result<Response<Body>, Error>>;
}

struct Layered<S>(S);

impl<S, B> Erased for Layered<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn call(&self, request: Request<Body>) -> BoxFuture<Result<Response<Body>, Error>> {
        let service = self.0.clone();
        Box::pin(async move {
            match service.oneshot(request).await {
                Ok(response) => Ok(response.map(Body::new)),
                Err(error) => Err(Error::from_boxed(error.into(), Origin::Internal)),
            }
        })
    }
}
