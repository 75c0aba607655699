//! The head of a response (RFC 9112 sections 4 to 6).

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::Fault;
use super::decoder::Decoder;
use crate::headers::{content_length, has_token};

/// Fields of a head, which is hyper's own bound.
const MAX_FIELDS: usize = 100;
/// Digits of a length.
const MAX_DIGITS: usize = 19;
/// Bytes of a head.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// A head, and what it says of what follows it.
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) decoder: Decoder,
    /// Whether the connection can be used again afterwards.
    pub(super) keeps: bool,
}

/// Takes a head from what was received, once all of it is there. `searched` is how far its end was
/// looked for before; `to_head` tells that the question was `HEAD`.
pub(super) fn take(input: &mut BytesMut, searched: &mut usize, to_head: bool) -> Result<Option<Head>, Fault> {
    let Some(end) = find_end(input, *searched) else {
        *searched = input.len();
        return if input.len() >= MAX_HEAD { Err(Fault::Head("a head of over 64 KiB")) } else { Ok(None) };
    };
    *searched = 0;
    if end > MAX_HEAD {
        return Err(Fault::Head("a head of over 64 KiB"));
    }
    parse(&input.split_to(end).freeze(), to_head).map(Some)
}

/// Where the empty line ends. A lone LF counts as a line end (RFC 9112 section 2.2).
fn find_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(2);
    memchr::memchr_iter(b'\n', &bytes[from..]).map(|at| from + at + 1).find_map(|next| match bytes[next..] {
        [b'\n', ..] => Some(next + 1),
        [b'\r', b'\n', ..] => Some(next + 2),
        _ => None,
    })
}

fn parse(head: &Bytes, to_head: bool) -> Result<Head, Fault> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let status =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, head, &mut fields);
    if !status.map_err(Fault::Syntax)?.is_complete() {
        return Err(Fault::Head("an empty head"));
    }
    let status = StatusCode::from_u16(parsed.code.unwrap_or(0)).map_err(|_| Fault::Head("no status"))?;
    let is_current = parsed.version == Some(1);
    let mut seen = Framing { is_current, ..Framing::default() };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in &*parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| Fault::Head("a field without a name"))?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value))
            .map_err(|_| Fault::Head("a field with a byte that none may have"))?;
        seen.see(&name, &value)?;
        headers.append(name, value);
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = if is_current { Version::HTTP_11 } else { Version::HTTP_10 };
    *response.headers_mut() = headers;
    if let Some(reason) = parsed.reason.filter(|&reason| Some(reason) != status.canonical_reason())
        && !reason.is_empty()
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    let decoder = seen.decoder(status, to_head)?;
    let keeps = seen.keeps() && decoder != Decoder::UntilClose;
    Ok(Head { response, decoder, keeps })
}

/// What the fields of a head say about its body and its connection.
#[derive(Debug, Default)]
struct Framing {
    /// HTTP/1.1, not 1.0.
    is_current: bool,
    length: Option<u64>,
    codings: u32,
    is_chunked: bool,
    closes: bool,
    keeps_alive: bool,
}

impl Framing {
    fn see(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Fault> {
        if name == CONTENT_LENGTH {
            let length = content_length(value).filter(|_| value.len() <= MAX_DIGITS);
            let length = length.ok_or(Fault::Head("Content-Length is not a number"))?;
            if self.length.is_some_and(|other| other != length) {
                return Err(Fault::Head("two different Content-Lengths"));
            }
            self.length = Some(length);
        } else if name == TRANSFER_ENCODING {
            self.codings += 1;
            self.is_chunked = value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        } else if name == CONNECTION {
            self.closes |= has_token(value, "close");
            self.keeps_alive |= has_token(value, "keep-alive");
        }
        Ok(())
    }

    fn decoder(&self, status: StatusCode, to_head: bool) -> Result<Decoder, Fault> {
        if to_head
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Ok(Decoder::Done);
        }
        match (self.codings, self.length) {
            (0, Some(length)) => Ok(Decoder::length(length)),
            (0, None) => Ok(Decoder::UntilClose),
            // What is coded in another way as well could not be told to the client any more.
            (1, _) if self.is_chunked && self.is_current => Ok(Decoder::chunked()),
            _ => Err(Fault::Head("a transfer coding other than chunked")),
        }
    }

    fn keeps(&self) -> bool {
        // Two framings: somebody on the way has read it in another way (RFC 9112 section 6.3).
        let is_clear = self.codings == 0 || self.length.is_none();
        is_clear && !self.closes && (self.is_current || self.keeps_alive)
    }
}
