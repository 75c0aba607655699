//! Placeholder; being written.
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::error::Error;

/// Servers behind us.
#[derive(Debug)]
pub struct Upstream;

/// A response body that returns its connection.
#[derive(Debug)]
pub struct PooledBody;

impl HttpBody for PooledBody {
    type Data = Bytes;
    type Error = Error;
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(None)
    }
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
