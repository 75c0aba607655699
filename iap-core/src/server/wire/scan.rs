//! Follows the framing of HTTP/1 requests (RFC 9112) through the bytes that go to the parser.

use memchr::memchr;

/// The longest line of a chunk's size with its extensions, in bytes. Nobody needs an extension.
const MAX_CHUNK_LINE: usize = 256;
/// How much is kept of a line that comes in pieces: enough for a field that frames a message.
const MAX_KEPT: usize = 512;

/// What is wrong with a request's bytes; the names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A line of the head ends with LF alone. A server behind us may see two lines where we see one.
    BareLf,
    /// The same in the chunks of a body, or in its trailers.
    BareLfInBody,
    /// A chunk's size is none, or its extension is long or not printable.
    BadChunk,
    /// A `Content-Length` in so long a line that its number may not be in what is kept of it.
    LongLength,
}

impl Fault {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::BareLf | Self::BareLfInBody => "bare_lf",
            Self::BadChunk => "bad_chunk",
            Self::LongLength => "content_length",
        }
    }

    pub(super) fn is_in_head(self) -> bool {
        matches!(self, Self::BareLf | Self::LongLength)
    }
}

/// Where in a request the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RequestLine,
    Fields,
    /// A body or a chunk with so many bytes left.
    Data {
        left: u64,
        chunked: bool,
    },
    ChunkEnd,
    ChunkSize,
    Trailers,
}

/// Reads along. Where it and the parser could disagree on the framing (two lengths, a length with
/// chunks), the gate refuses the request and ends the connection.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    length: u64,
    chunked: bool,
    /// The beginning of a line whose end has not come yet.
    kept: Vec<u8>,
    /// How long that line is, and its last byte.
    kept_len: usize,
    last: u8,
    /// Whether empty lines have come before a request. The parser keeps them until it is there.
    has_blanks: bool,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self {
            state: State::RequestLine,
            length: 0,
            chunked: false,
            kept: Vec::new(),
            kept_len: 0,
            last: 0,
            has_blanks: false,
        }
    }

    /// Whether not a byte has come since the last request.
    pub(super) fn is_at_start(&self) -> bool {
        self.state == State::RequestLine && self.kept_len == 0 && !self.has_blanks
    }

    /// Whether the end of a head has not come yet.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.state, State::RequestLine | State::Fields)
    }

    /// Looks at the next bytes. An error comes with the place of the offending byte.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<(), (usize, Fault)> {
        let mut at = 0;
        while at < bytes.len() {
            if let State::Data { left, chunked } = self.state {
                let taken = left.min((bytes.len() - at) as u64);
                at += taken as usize;
                self.state = match left - taken {
                    0 if chunked => State::ChunkEnd,
                    0 => State::RequestLine,
                    left => State::Data { left, chunked },
                };
                continue;
            }
            let Some(end) = memchr(b'\n', &bytes[at..]) else {
                return self.keep(&bytes[at..]).map_err(|fault| (at, fault));
            };
            let piece = &bytes[at..at + end];
            let before = piece.last().copied().unwrap_or(self.last);
            if before != b'\r' {
                return Err((at + end, self.bare_lf()));
            }
            self.end_line(piece).map_err(|fault| (at + end, fault))?;
            at += end + 1;
        }
        Ok(())
    }

    fn bare_lf(&self) -> Fault {
        match self.state {
            State::RequestLine | State::Fields => Fault::BareLf,
            _ => Fault::BareLfInBody,
        }
    }

    fn keep(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let room = MAX_KEPT.saturating_sub(self.kept.len()).min(piece.len());
        self.kept.extend_from_slice(&piece[..room]);
        self.kept_len = self.kept_len.saturating_add(piece.len());
        self.last = piece.last().copied().unwrap_or(self.last);
        let is_chunk_line = matches!(self.state, State::ChunkSize | State::ChunkEnd);
        // With the CR that may be its last byte.
        if is_chunk_line && self.kept_len > MAX_CHUNK_LINE + 1 { Err(Fault::BadChunk) } else { Ok(()) }
    }

    /// A line is whole: `piece` is its last part, with the CR.
    fn end_line(&mut self, piece: &[u8]) -> Result<(), Fault> {
        if self.kept_len == 0 {
            self.last = 0;
            return self.line(&piece[..piece.len() - 1], piece.len() - 1);
        }
        self.keep(piece)?;
        let kept = std::mem::take(&mut self.kept);
        let length = self.kept_len - 1;
        (self.kept_len, self.last) = (0, 0);
        self.line(&kept[..kept.len().min(length)], length)
    }

    /// `line`: what is known of a line of `length` bytes, all of it or its beginning.
    fn line(&mut self, line: &[u8], length: usize) -> Result<(), Fault> {
        self.state = match self.state {
            // Empty lines before a request are ignored (RFC 9112 section 2.2).
            State::RequestLine if line.is_empty() => {
                self.has_blanks = true;
                State::RequestLine
            }
            State::RequestLine => {
                (self.length, self.chunked, self.has_blanks) = (0, false, false);
                State::Fields
            }
            State::Fields if line.is_empty() => match (self.chunked, self.length) {
                (true, _) => State::ChunkSize,
                (false, 0) => State::RequestLine,
                (false, left) => State::Data { left, chunked: false },
            },
            State::Fields => {
                self.field(line, length)?;
                State::Fields
            }
            State::ChunkSize => match chunk_size(line).ok_or(Fault::BadChunk)? {
                0 => State::Trailers,
                left => State::Data { left, chunked: true },
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(Fault::BadChunk),
            State::Trailers if line.is_empty() => State::RequestLine,
            state @ (State::Trailers | State::Data { .. }) => state,
        };
        Ok(())
    }

    fn field(&mut self, line: &[u8], length: usize) -> Result<(), Fault> {
        let value = |name: &[u8]| {
            let (start, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b":")?;
            start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
        };
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b'c') => {
                let Some(text) = value(b"content-length") else { return Ok(()) };
                if length > MAX_KEPT {
                    return Err(Fault::LongLength);
                }
                let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                self.length = number.unwrap_or(self.length);
            }
            Some(b't') => self.chunked |= value(b"transfer-encoding").is_some(),
            _ => {}
        }
        Ok(())
    }
}

/// A chunk's size; its extensions are checked and ignored (RFC 9112 section 7.1.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    if line.len() > MAX_CHUNK_LINE {
        return None;
    }
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, rest) = line.split_at(digits);
    let rest = rest.trim_ascii();
    let is_extension = |rest: &[u8]| {
        rest.starts_with(b";")
            && rest.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))
    };
    if !rest.is_empty() && !is_extension(rest) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
