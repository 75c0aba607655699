//! The bytes of a file on their way to a client.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::task::JoinHandle;

/// Bytes that are read at a time. What is not longer is read at once with the opening of the file.
pub(super) const CHUNK: u64 = 64 << 10;

/// A piece of the body.
#[derive(Debug)]
pub(super) enum Part {
    /// What is sent as it is, such as the head of a part.
    Text(Bytes),
    /// Bytes of the file.
    Bytes(Range<u64>),
}

/// Pieces of one file, read as the client takes them.
///
/// A file that has become shorter ends it with an error, and so the connection or the stream: the
/// announced length never looks complete.
#[derive(Debug)]
pub(super) struct FileBody {
    file: Arc<File>,
    parts: VecDeque<Part>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    left: u64,
}

impl FileBody {
    pub(super) fn new(file: File, parts: impl Into<VecDeque<Part>>) -> Self {
        let parts = parts.into();
        let left = parts.iter().map(Part::length).sum();
        Self { file: Arc::new(file), parts, reading: None, left }
    }

    /// The bytes that are still to come.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    fn sent(&mut self, bytes: Bytes) -> Frame<Bytes> {
        self.left -= bytes.len() as u64;
        Frame::data(bytes)
    }
}

impl Part {
    fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Bytes(range) => range.end - range.start,
        }
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read =
                    ready!(Pin::new(reading).poll(cx)).unwrap_or_else(|lost| Err(io::Error::other(lost)));
                self.reading = None;
                return Poll::Ready(Some(read.map(|bytes| self.sent(bytes))));
            }
            match self.parts.front_mut() {
                None => return Poll::Ready(None),
                Some(Part::Bytes(range)) if range.start < range.end => {
                    let next = range.start..range.end.min(range.start + CHUNK);
                    range.start = next.end;
                    let file = self.file.clone();
                    self.reading = Some(tokio::task::spawn_blocking(move || read(&file, next)));
                }
                Some(_) => {
                    if let Some(Part::Text(text)) = self.parts.pop_front() {
                        return Poll::Ready(Some(Ok(self.sent(text))));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads exactly these bytes, at most [`CHUNK`]. A file that has fewer is an error.
pub(super) fn read(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut buffer = vec![0; length];
    file.read_exact_at(&mut buffer, range.start)?;
    Ok(buffer.into())
}
