//! What a command writes, line by line into the log.
//!
//! Nothing a command writes may hold it up, or us: lines are bounded, and so is their queue. What the
//! log cannot follow is dropped and counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::trace_id;

/// The longest line, in bytes; the rest of it is left out.
const MAX_LINE: usize = 8 * 1024;
/// How many lines wait for the log.
const QUEUE: usize = 1024;

/// Where the lines of all instances of a process go.
#[derive(Debug)]
pub(super) struct Output {
    lines: Sender<Line>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Line {
    instance: usize,
    stream: &'static str,
    text: String,
}

impl Output {
    /// Starts the thread that writes; it ends with the last reader. A thread of its own: the log may
    /// stand still, and requests must not.
    pub(super) fn start(process: Arc<str>) -> io::Result<Self> {
        let (lines, queue) = channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = dropped.clone();
        let thread = std::thread::Builder::new().name("iap-output".into());
        thread.spawn(move || write(&process, queue, &count))?;
        Ok(Self { lines, dropped })
    }

    /// Reads a stream of an instance to its end, in the background.
    pub(super) fn follow(
        &self,
        source: impl AsyncRead + Send + Unpin + 'static,
        instance: usize,
        stream: &'static str,
    ) {
        let (lines, dropped) = (self.lines.clone(), self.dropped.clone());
        tokio::spawn(async move {
            let mut source = BufReader::new(source);
            let mut text = Vec::new();
            while next_line(&mut source, &mut text).await {
                let line = String::from_utf8_lossy(&text).trim_end_matches('\r').to_owned();
                let line = Line { instance, stream, text: line };
                if lines.try_send(line).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }

    /// Lines that were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes the lines into the log.
fn write(process: &str, mut lines: Receiver<Line>, dropped: &AtomicU64) {
    let mut known = 0;
    while let Some(Line { instance, stream, text }) = lines.blocking_recv() {
        let trace_id = trace_id::find(&text).map(tracing::field::display);
        tracing::info!(target: "process", process, instance, stream, trace_id, "{text}");
        let now = dropped.load(Ordering::Relaxed);
        if now > known && lines.is_empty() {
            tracing::warn!(target: "process", process, lines = now - known, "output was dropped: the log could not follow");
            known = now;
        }
    }
}

/// Reads up to the end of a line, keeping as much as is allowed. False at the end.
async fn next_line(source: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> bool {
    line.clear();
    let mut is_cut = false;
    loop {
        let Ok(data) = source.fill_buf().await else { return false };
        if data.is_empty() {
            // A last line may have no end.
            return !line.is_empty();
        }
        let end = memchr::memchr(b'\n', data);
        let part = &data[..end.unwrap_or(data.len())];
        let kept = &part[..part.len().min(MAX_LINE - line.len().min(MAX_LINE))];
        if !is_cut {
            line.extend_from_slice(kept);
            if kept.len() < part.len() {
                is_cut = true;
                line.extend_from_slice("…".as_bytes());
            }
        }
        let used = part.len() + usize::from(end.is_some());
        source.consume(used);
        if end.is_some() {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_the_last_needs_no_end() {
        for capacity in [3, 100_000] {
            let long = "x".repeat(MAX_LINE);
            let text = format!("a\n\n{long}\n{long}yyy\nlast");
            let mut source = BufReader::with_capacity(capacity, text.as_bytes());
            let mut line = Vec::new();
            let mut found = Vec::new();
            while next_line(&mut source, &mut line).await {
                found.push(String::from_utf8(line.clone()).unwrap());
            }
            assert_eq!(found, ["a", "", &long, &format!("{long}…"), "last"]);
        }
    }
}
