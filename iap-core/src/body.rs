//! The body of requests and responses: an enum on the hot path, a box for everything else.

use std::fmt;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::error::{BoxError, Error, Kind, Origin};
use crate::idle::IdleTimer;
use crate::target::panicked;
use crate::upstream::{Gate, PooledBody};

/// A request or response body.
///
/// The pipeline's own bodies are stored inline; bodies of embedded services are boxed once by
/// [`Body::new`]. It is `Send`, not `Sync`, like axum's.
#[derive(Default)]
pub struct Body {
    inner: Inner,
    upload: Option<Box<Upload>>,
}

/// What there is to a body that is sent to an upstream.
#[derive(Default)]
struct Upload {
    /// Counts frames for whoever waits for the body to be sent.
    progress: Option<Arc<AtomicU64>>,
    held: Option<Held>,
}

/// A body that waits to be asked for.
struct Held {
    gate: Arc<Gate>,
    patience: IdleTimer,
}

/// Bounds on what comes from a client.
struct Bounds {
    /// Bytes that may still come.
    left: u64,
    /// How long it may stand still.
    idle: IdleTimer,
}

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Full(Option<Bytes>),
    Incoming {
        body: Incoming,
        bounds: Option<Box<Bounds>>,
    },
    Pooled(PooledBody),
    Boxed(Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>),
}

impl Body {
    /// A body without bytes.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Takes any body in. A `Body` stays as it is; others are boxed.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        if let Some(same) = (&mut body as &mut dyn std::any::Any).downcast_mut::<Option<Self>>() {
            return same.take().unwrap_or_default();
        }
        let boxed = http_body_util::BodyExt::map_err(body.expect("taken only above"), Into::into);
        Inner::Boxed(Box::pin(boxed)).into()
    }

    pub(crate) fn incoming(body: Incoming) -> Self {
        let inner = if body.is_end_stream() { Inner::Empty } else { Inner::Incoming { body, bounds: None } };
        inner.into()
    }

    /// Adds one to `progress` for each frame that is taken from the body.
    pub(crate) fn report_to(&mut self, progress: Arc<AtomicU64>) {
        self.upload.get_or_insert_default().progress = Some(progress);
    }

    /// Lets nothing be taken before `gate` opens, or `patience` is over.
    pub(crate) fn hold(&mut self, gate: Arc<Gate>, patience: Duration) {
        if !self.is_end_stream() {
            let patience = IdleTimer::new(Some(patience));
            self.upload.get_or_insert_default().held = Some(Held { gate, patience });
        }
    }

    /// Lets at most `bytes` come from the client; the next one is an error of kind `TooLarge`. A
    /// pause longer than `pause` is one of kind `Timeout`.
    pub(crate) fn limit(&mut self, bytes: u64, pause: Duration) {
        if let Inner::Incoming { bounds, .. } = &mut self.inner {
            *bounds = Some(Box::new(Bounds { left: bytes, idle: IdleTimer::new(Some(pause)) }));
        }
    }

    /// Lets at most `bytes` come, where fewer than so far are to be let through.
    pub(crate) fn limit_to(&mut self, bytes: u64) {
        if let Inner::Incoming { bounds: Some(bounds), .. } = &mut self.inner {
            bounds.left = bounds.left.min(bytes);
        }
    }

    /// The bytes of a body that is there as a whole; nothing of any other.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self.inner {
            Inner::Full(bytes) => bytes.unwrap_or_default(),
            _ => Bytes::new(),
        }
    }

    pub(crate) fn pooled(body: PooledBody) -> Self {
        Inner::Pooled(body).into()
    }
}

fn count(
    frame: Result<Frame<Bytes>, hyper::Error>,
    bounds: Option<&mut Bounds>,
) -> Result<Frame<Bytes>, BoxError> {
    let frame = frame.map_err(broken_off)?;
    if let Some(bounds) = bounds {
        bounds.idle.progress();
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        bounds.left = bounds.left.checked_sub(bytes).ok_or_else(too_large)?;
    }
    Ok(frame)
}

fn broken_off(error: hyper::Error) -> Error {
    use std::error::Error as _;
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    // The client is still there, but its chunks are none (RFC 9112 section 7.1).
    if io.is_some_and(|io| matches!(io.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData)) {
        return Error::new(Kind::BadRequest, Origin::Client, "the request body is not framed as announced")
            .with_source(error);
    }
    Error::new(Kind::ClientGone, Origin::Client, "the client broke off its request").with_source(error)
}

fn too_large() -> Error {
    Error::new(Kind::TooLarge, Origin::Client, "the request body is larger than allowed")
}

fn too_slow() -> Error {
    Error::new(Kind::Timeout, Origin::Client, "the client stopped in the middle of its request")
}

impl From<Inner> for Body {
    fn from(inner: Inner) -> Self {
        Self { inner, upload: None }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Inner::Empty.into() } else { Inner::Full(Some(bytes)).into() }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Some(upload) = &mut this.upload else { return this.inner.poll_frame(cx) };
        if let Some(held) = &mut upload.held {
            if held.gate.poll_open(cx).is_pending() {
                ready!(held.patience.poll_over(cx));
                held.gate.open();
            }
            upload.held = None;
        }
        let frame = this.inner.poll_frame(cx);
        if let Some(progress) = upload.progress.as_ref().filter(|_| frame.is_ready()) {
            progress.fetch_add(1, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Empty => true,
            Inner::Full(bytes) => bytes.is_none(),
            Inner::Incoming { body, .. } => body.is_end_stream(),
            Inner::Pooled(body) => body.is_end_stream(),
            Inner::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Incoming { body, .. } => body.size_hint(),
            Inner::Pooled(body) => body.size_hint(),
            Inner::Boxed(body) => body.size_hint(),
        }
    }
}

impl Inner {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Inner::Empty => Poll::Ready(None),
            Inner::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Incoming { body, bounds } => match (Pin::new(body).poll_frame(cx), bounds) {
                (Poll::Ready(frame), bounds) => {
                    Poll::Ready(frame.map(|frame| count(frame, bounds.as_deref_mut())))
                }
                (Poll::Pending, Some(bounds)) => {
                    bounds.idle.poll_over(cx).map(|()| Some(Err(too_slow().into())))
                }
                (Poll::Pending, None) => Poll::Pending,
            },
            Inner::Pooled(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Inner::Boxed(body) => {
                // Polled on the connection's thread, where a panic would end all its requests.
                let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_frame(cx)));
                polled.unwrap_or_else(|_| {
                    *self = Inner::Empty;
                    Poll::Ready(Some(Err(panicked().into())))
                })
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
