//! The future of the layer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use iap_core::{Body, BoxError, Error, Origin};
use pin_project_lite::pin_project;

use crate::store::BoxFuture;

pin_project! {
    /// The future of [`SessionService`](super::SessionService). On a route without sessions it is the inner
    /// service's own; nothing is allocated for it.
    pub struct SessionFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjected]
    enum Kind<F> {
        Without { #[pin] inner: F },
        With { inner: BoxFuture<'static, Result<Response<Body>, Error>> },
    }
}

impl<F> SessionFuture<F> {
    pub(super) fn without(inner: F) -> Self {
        Self { kind: Kind::Without { inner } }
    }

    pub(super) fn with(inner: impl Future<Output = Result<Response<Body>, Error>> + Send + 'static) -> Self {
        Self { kind: Kind::With { inner: Box::pin(inner) } }
    }
}

impl<F, E> Future for SessionFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<Body>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjected::Without { inner } => {
                inner.poll(cx).map_err(|error| Error::from_boxed(error.into(), Origin::App))
            }
            KindProjected::With { inner } => inner.as_mut().poll(cx),
        }
    }
}
