//! The future of the layer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use iap_core::{Body, BoxError, Error, Origin};
use pin_project_lite::pin_project;

use crate::store::BoxFuture;

use super::Visit;

pin_project! {
    /// The future of [`SessionService`](super::SessionService). On a route without sessions it is the inner
    /// service's own; where the session was not used it is little more. Only what waits for the store is boxed.
    pub struct SessionFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjected]
    enum Kind<F> {
        /// The route has no sessions.
        Without { #[pin] inner: F },
        /// The inner service has the request.
        Within { #[pin] inner: F, visit: Option<Visit> },
        /// The store is asked.
        Asking { asks: BoxFuture<'static, Result<Response<Body>, Error>> },
    }
}

impl<F> SessionFuture<F> {
    pub(super) fn without(inner: F) -> Self {
        Self { kind: Kind::Without { inner } }
    }

    /// A request that the inner service has; what is to be committed is seen after it.
    pub(super) fn within(inner: F, visit: Visit) -> Self {
        Self { kind: Kind::Within { inner, visit: Some(visit) } }
    }

    /// A request that comes to the inner service after the store was asked.
    pub(super) fn after(asks: impl Future<Output = Result<Response<Body>, Error>> + Send + 'static) -> Self {
        Self { kind: Kind::Asking { asks: Box::pin(asks) } }
    }
}

impl<F, E> Future for SessionFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let of_app = |error: E| Error::from_boxed(error.into(), Origin::App);
            let asks = match self.as_mut().project().kind.project() {
                KindProjected::Without { inner } => return inner.poll(cx).map_err(of_app),
                KindProjected::Asking { asks } => return asks.as_mut().poll(cx),
                KindProjected::Within { inner, visit } => {
                    let result = ready!(inner.poll(cx));
                    let visit = visit.take().expect("a future is not polled after its end");
                    let response = result.map_err(of_app)?;
                    if visit.session.0.seal_unused() {
                        return Poll::Ready(Ok(response));
                    }
                    Box::pin(visit.leave(response))
                }
            };
            self.as_mut().project().kind.set(Kind::Asking { asks });
        }
    }
}
