//! Informational responses of an upstream (RFC 9110 section 15.2): 103 goes on to the client, and 100
//! decides when a body that was announced with `Expect` is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::EXPECT;
use http::{HeaderMap, Request, StatusCode, Version};
use parking_lot::Mutex;

use crate::body::Body;
use crate::connection::Connection;
use crate::headers;

/// How long an upstream may keep a client waiting that has asked whether to send its body. Then the
/// body goes out all the same: not all servers know the question (RFC 9110 section 10.1.1).
const PATIENCE: Duration = Duration::from_secs(1);

/// Listens to what an upstream says before its answer.
#[derive(Debug)]
pub(super) struct Listener {
    client: Arc<Connection>,
    /// Whether the client can be told.
    takes_hints: bool,
    gate: Option<Arc<Gate>>,
}

impl Listener {
    /// Begins to listen, where there is something to do with what is said. The request's version is
    /// still that of the client.
    pub(super) fn attach(
        request: &mut Request<Body>,
        client: &Arc<Connection>,
        expects: bool,
    ) -> Option<Self> {
        let gate = if expects { hold_body(request) } else { None };
        // HTTP/1.0 has no informational responses, and the HTTP/2 server cannot send any.
        let takes_hints = request.version() == Version::HTTP_11;
        (gate.is_some() || takes_hints).then(|| Self { client: client.clone(), takes_hints, gate })
    }

    /// Whether the upstream has not asked for the body.
    pub(super) fn holds_body(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| !gate.is_open())
    }

    /// Lets the body go without being asked for.
    pub(super) fn release_body(&self) {
        if let Some(gate) = &self.gate {
            gate.open();
        }
    }

    /// To be told of each response before the answer, by the task that serves the client: it sends
    /// what came when it has polled the request.
    pub(super) fn hear(&self, status: StatusCode, fields: &HeaderMap) {
        match status {
            StatusCode::CONTINUE => self.release_body(),
            StatusCode::EARLY_HINTS if self.takes_hints => self.client.push_hint(&early_hints(fields)),
            _ => {}
        }
    }
}

/// As it is sent by HTTP/1.1. Only what hints at something goes on.
fn early_hints(fields: &HeaderMap) -> Vec<u8> {
    let mut out = b"HTTP/1.1 103 Early Hints\r\n".to_vec();
    for (name, value) in fields {
        if !headers::is_hop_by_hop(name) && !headers::frames(name) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Holds a body back whose sender waits to be told to send it.
fn hold_body(request: &mut Request<Body>) -> Option<Arc<Gate>> {
    if !request.headers().contains_key(EXPECT) {
        return None;
    }
    let gate = Arc::new(Gate::default());
    request.body_mut().hold(gate.clone(), PATIENCE);
    Some(gate)
}

/// Lets a body through once it was opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Release);
        if let Some(waker) = self.waiting.lock().take() {
            waker.wake();
        }
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Ready once it is open.
    pub(crate) fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        *self.waiting.lock() = Some(cx.waker().clone());
        // It may have been opened in between.
        if self.is_open() { Poll::Ready(()) } else { Poll::Pending }
    }
}
