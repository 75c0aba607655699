//! How much may be asked of a route.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::Body;
use crate::error::{BoxError, Error, Kind, Origin};

/// Limits of one route, below those of the server.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body: Option<u64>,
    /// How long a request may take until its response head is there; then it is answered with 504.
    pub total: Option<Duration>,
    /// How long a server of an upstream may let a request wait for its response head while nothing moves,
    /// instead of [`UpstreamSettings::response_timeout`](crate::upstream::UpstreamSettings); then it is
    /// answered with 504, or sent to another server where [`Retry`](crate::upstream::Retry) says so.
    pub response: Option<Duration>,
    /// How many requests may run at once, to the last byte of their responses; others get 503.
    pub in_flight: Option<usize>,
    running: Arc<AtomicUsize>,
}

impl Limits {
    pub(super) fn is_empty(&self) -> bool {
        let Self { body, total, response, in_flight, running: _ } = self;
        body.is_none() && total.is_none() && response.is_none() && in_flight.is_none()
    }

    /// Counts those that still run by earlier limits.
    pub(super) fn go_on(&mut self, before: &Self) {
        self.running = before.running.clone();
    }

    pub(super) fn enter(&self, request: &mut Request<Body>) -> Result<Option<InFlight>, Error> {
        if let Some(most) = self.body {
            if request.body().size_hint().lower() > most {
                let text = "the request body is larger than allowed";
                return Err(Error::new(Kind::TooLarge, Origin::Client, text).reason("body"));
            }
            request.body_mut().limit_to(most);
        }
        let Some(most) = self.in_flight else { return Ok(None) };
        let running = self.running.fetch_add(1, Ordering::Relaxed);
        let place = InFlight(self.running.clone());
        if running >= most {
            let text = "too many requests run here at this moment";
            return Err(Error::new(Kind::Unavailable, Origin::Internal, text).reason("in_flight"));
        }
        Ok(Some(place))
    }
}

/// A request that runs.
#[derive(Debug)]
pub(super) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InFlight {
    /// The request runs until `body` has ended.
    pub(super) fn held_by(self, body: Body) -> Body {
        if body.is_end_stream() { body } else { Body::new(Held { body, _place: self }) }
    }
}

struct Held {
    body: Body,
    _place: InFlight,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
