//! A request as it is written (RFC 9112 sections 3 to 7).

use std::fmt::Write as _;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, TRANSFER_ENCODING};
use http::{HeaderValue, Request};
use http_body::Body as _;

use super::Fault;
use crate::body::Body;
use crate::headers::{self, Forwarding};

/// Frames up to this size are copied behind the head or the chunk's size, larger ones are not.
const SMALL_FRAME: usize = 4 * 1024;

/// How the end of a request's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Nothing more will come.
    Done,
    /// As many bytes are still to come.
    Length(u64),
    Chunked,
}

/// A request on its way out.
pub(super) struct Outgoing {
    /// The head, or what frames the next piece of the body.
    text: BytesMut,
    /// A piece of the body that goes after it.
    frame: Bytes,
    /// What ends the piece: the line end of a chunk.
    ends_chunk: bool,
    body: Body,
    framing: Framing,
    /// Whether anything of it was given to the system, or taken from its body.
    is_begun: bool,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self {
            text: BytesMut::new(),
            frame: Bytes::new(),
            ends_chunk: false,
            body: Body::empty(),
            framing: Framing::Done,
            is_begun: false,
        }
    }

    /// Takes a request in the form of HTTP/1.1: target in origin form, authority in `Host`. Its head
    /// stays with the caller.
    pub(super) fn begin(&mut self, request: &mut Request<Body>, forwarding: Option<&Forwarding<'_>>) {
        self.body = std::mem::take(request.body_mut());
        self.is_begun = false;
        let out = &mut self.text;
        write_line(out, request);
        let is_ours = |name: &_| forwarding.is_some_and(|forwarding| forwarding.replaces(name));
        let stated = write_fields(out, request.headers(), is_ours);
        if let Some(forwarding) = forwarding {
            forwarding.each(request.headers(), |name, value| write_field(out, name, value));
        }
        self.framing = if self.body.is_end_stream() {
            // Who states a length and has no body sends none: the server would wait for it.
            if stated.is_some() {
                out.put_slice(b"content-length: 0\r\n");
            }
            Framing::Done
        } else if let Some(length) =
            self.body.size_hint().exact().or_else(|| stated.and_then(headers::content_length))
        {
            let _ = write!(out, "content-length: {length}\r\n");
            Framing::Length(length)
        } else {
            out.put_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        };
        out.put_slice(b"\r\n");
    }

    /// The body as it was, where nothing of the request was sent.
    pub(super) fn take_back(&mut self) -> Option<Body> {
        (!self.is_begun).then(|| std::mem::take(&mut self.body))
    }

    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Whether all of it was written.
    pub(super) fn is_done(&self) -> bool {
        self.framing == Framing::Done && self.text.is_empty() && self.frame.is_empty()
    }

    /// Gives up what was not sent yet.
    pub(super) fn give_up(&mut self) {
        self.finish();
        self.text.clear();
        self.frame = Bytes::new();
    }

    /// Takes the next piece of the body if there is one and the one before is gone. Pending while
    /// it waits for the body.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        while self.framing != Framing::Done && self.frame.is_empty() {
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => return Poll::Pending,
            };
            self.is_begun = true;
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.take_data(data)?,
                    Err(other) => self.end(other.into_trailers().ok())?,
                },
                Some(Err(error)) => return Poll::Ready(Err(Fault::Body(error))),
                None => self.end(None)?,
            }
            if self.text.len() >= SMALL_FRAME {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take_data(&mut self, data: Bytes) -> Result<(), Fault> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.framing {
            Framing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Fault::WrongLength)?;
            }
            Framing::Chunked => {
                let _ = write!(self.text, "{:x}\r\n", data.len());
                self.ends_chunk = true;
            }
            Framing::Done => return Ok(()),
        }
        if data.len() <= SMALL_FRAME {
            self.text.put_slice(&data);
            self.end_chunk();
        } else {
            self.frame = data;
        }
        if self.framing == Framing::Length(0) {
            self.finish();
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Fault> {
        match self.framing {
            Framing::Length(0) | Framing::Done => {}
            Framing::Length(_) => return Err(Fault::WrongLength),
            Framing::Chunked => {
                self.text.put_slice(b"0\r\n");
                if let Some(mut trailers) = trailers {
                    headers::prepare_trailers(&mut trailers);
                    write_fields(&mut self.text, &trailers, |_| false);
                }
                self.text.put_slice(b"\r\n");
            }
        }
        self.finish();
        Ok(())
    }

    /// Nothing more is taken from the body, which goes as soon as it can.
    fn finish(&mut self) {
        self.body = Body::empty();
        self.framing = Framing::Done;
    }

    fn end_chunk(&mut self) {
        if std::mem::take(&mut self.ends_chunk) {
            self.text.put_slice(b"\r\n");
        }
    }

    /// What is to be written now.
    pub(super) fn slices(&self) -> [IoSlice<'_>; 2] {
        [IoSlice::new(&self.text), IoSlice::new(&self.frame)]
    }

    pub(super) fn has_bytes(&self) -> bool {
        !self.text.is_empty() || !self.frame.is_empty()
    }

    /// Takes note of what was written.
    pub(super) fn advance(&mut self, written: usize) {
        self.is_begun = true;
        let of_text = written.min(self.text.len());
        if of_text == self.text.len() {
            // Keeps its capacity, unlike an advance.
            self.text.clear();
        } else {
            self.text.advance(of_text);
        }
        if written > of_text {
            self.frame.advance(written - of_text);
            if self.frame.is_empty() {
                self.frame = Bytes::new();
                self.end_chunk();
            }
        }
    }
}

fn write_line(out: &mut BytesMut, request: &Request<Body>) {
    out.clear();
    out.reserve(1024);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    for part in [request.method().as_str(), " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// All fields but some, and those that frame the message: they are written by whoever writes the body.
/// Returns the length that is stated.
fn write_fields<'a>(
    out: &mut BytesMut,
    fields: &'a HeaderMap,
    is_left_out: impl Fn(&HeaderName) -> bool,
) -> Option<&'a HeaderValue> {
    let mut stated = None;
    for (name, value) in fields {
        if name == CONTENT_LENGTH {
            stated = Some(value);
        } else if name != TRANSFER_ENCODING && !is_left_out(name) {
            write_field(out, name, value);
        }
    }
    stated
}

fn write_field(out: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}
