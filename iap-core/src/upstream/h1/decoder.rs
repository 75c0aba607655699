//! The body of a response (RFC 9112 sections 6 and 7).

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http_body::Frame;

use super::Fault;

/// Bytes of one line that tells the size of a chunk, with its extensions.
const MAX_SIZE_LINE: usize = 1024;
/// Bytes of all trailers.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_TRAILER_FIELDS: usize = 64;

/// What is still to come of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    /// Nothing.
    Done,
    /// As many bytes.
    Length(u64),
    Chunked(Chunk),
    /// Whatever comes before the connection ends.
    UntilClose,
}

/// Where in a chunked body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The line end after the data.
    End,
    Trailers,
}

impl Decoder {
    pub(super) fn length(length: u64) -> Self {
        if length == 0 { Self::Done } else { Self::Length(length) }
    }

    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// Takes the next frame from what was received; `None` when more is needed, or nothing comes.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Fault> {
        loop {
            match self {
                Self::Done => return Ok(None),
                Self::UntilClose if input.is_empty() => return Ok(None),
                Self::UntilClose => return Ok(Some(Frame::data(input.split().freeze()))),
                Self::Length(left) => {
                    let Some(data) = take_up_to(input, left) else { return Ok(None) };
                    if *left == 0 {
                        *self = Self::Done;
                    }
                    return Ok(Some(Frame::data(data)));
                }
                Self::Chunked(Chunk::Data(left)) => {
                    let Some(data) = take_up_to(input, left) else { return Ok(None) };
                    if *left == 0 {
                        *self = Self::Chunked(Chunk::End);
                        self.pass_line_end(input)?;
                    }
                    return Ok(Some(Frame::data(data)));
                }
                Self::Chunked(Chunk::End) => {
                    if !self.pass_line_end(input)? {
                        return Ok(None);
                    }
                }
                Self::Chunked(Chunk::Size) => {
                    let Some(size) = take_size(input)? else { return Ok(None) };
                    *self = Self::Chunked(if size == 0 { Chunk::Trailers } else { Chunk::Data(size) });
                }
                Self::Chunked(Chunk::Trailers) => {
                    let Some(trailers) = take_trailers(input)? else { return Ok(None) };
                    *self = Self::Done;
                    return Ok(trailers.map(Frame::trailers));
                }
            }
        }
    }

    /// Also looks at what follows a chunk at once, so that a body whose end is there ends with its
    /// last data.
    fn pass_line_end(&mut self, input: &mut BytesMut) -> Result<bool, Fault> {
        match input[..] {
            [b'\r', b'\n', ..] => input.advance(2),
            [] | [b'\r'] => return Ok(false),
            _ => return Err(Fault::Chunk("a chunk that is longer than it says")),
        }
        *self = Self::Chunked(Chunk::Size);
        if input.starts_with(b"0\r\n\r\n") {
            input.advance(5);
            *self = Self::Done;
        }
        Ok(true)
    }
}

fn take_up_to(input: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    if input.is_empty() {
        return None;
    }
    let now = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= now as u64;
    Some(input.split_to(now).freeze())
}

/// The size of the next chunk. Extensions are passed over: they belong to this hop.
fn take_size(input: &mut BytesMut) -> Result<Option<u64>, Fault> {
    let searched = &input[..input.len().min(MAX_SIZE_LINE)];
    let Some(at) = memchr::memchr(b'\n', searched) else {
        return if input.len() >= MAX_SIZE_LINE {
            Err(Fault::Chunk("a size of over 1 KiB"))
        } else {
            Ok(None)
        };
    };
    let line = input[..at].strip_suffix(b"\r").ok_or(Fault::Chunk("a line without CR LF"))?;
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let rest = line[digits..].trim_ascii_start();
    if digits == 0 || digits > 16 || line.contains(&b'\r') || !(rest.is_empty() || rest[0] == b';') {
        return Err(Fault::Chunk("a size that is no number"));
    }
    let size = line[..digits].iter().fold(0, |sum, digit| (sum << 4) | u64::from(hex(*digit)));
    input.advance(at + 1);
    Ok(Some(size))
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// The trailers with the empty line after them; `Some(None)` where there are none.
fn take_trailers(input: &mut BytesMut) -> Result<Option<Option<HeaderMap>>, Fault> {
    if input.starts_with(b"\r\n") {
        input.advance(2);
        return Ok(Some(None));
    }
    let Some(at) = memchr::memmem::find(&input[..input.len().min(MAX_TRAILERS)], b"\r\n\r\n") else {
        return if input.len() >= MAX_TRAILERS {
            Err(Fault::Chunk("trailers of over 16 KiB"))
        } else {
            Ok(None)
        };
    };
    let text = input.split_to(at + 4).freeze();
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let fields = match httparse::parse_headers(&text, &mut fields).map_err(Fault::Syntax)? {
        httparse::Status::Complete((end, fields)) if end == text.len() => fields,
        _ => return Err(Fault::Chunk("trailers that end too early")),
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(text.slice_ref(field.value));
        let (Ok(name), Ok(value)) = (name, value) else { return Err(Fault::Chunk("a trailer that is none")) };
        trailers.append(name, value);
    }
    Ok(Some(Some(trailers)))
}
