//! W3C Trace Context: the `traceparent` header, parsed strictly and written back.
//!
//! Source: <https://www.w3.org/TR/trace-context/>, version 00.

use std::cell::Cell;
use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// `traceparent`.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate`.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The sampled bit of the trace flags.
const SAMPLED: u8 = 0x01;

/// The id of a whole trace; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// The id of one span in a trace; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// A fresh random id.
    pub fn random() -> Self {
        let (a, b) = (random_u64(), random_u64());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&a.to_be_bytes());
        bytes[8..].copy_from_slice(&b.to_be_bytes());
        Self(bytes)
    }

    /// Reads 32 hexadecimal digits of either case; `None` for anything else and for zero.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        decode_hex(hex.as_bytes(), &mut bytes, true)?;
        Some(Self(bytes))
    }
}

impl SpanId {
    /// A fresh random id.
    pub fn random() -> Self {
        Self(random_u64().to_be_bytes())
    }

    /// Reads 16 hexadecimal digits of either case; `None` for anything else and for zero.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 8];
        decode_hex(hex.as_bytes(), &mut bytes, true)?;
        Some(Self(bytes))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

/// The position of a caller in a trace: which trace, which of its spans, and the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that is the parent of whatever receives this context.
    pub span_id: SpanId,
    /// Trace flags; bit 0 is "sampled".
    pub flags: u8,
}

impl TraceContext {
    /// A new, sampled trace.
    pub fn root() -> Self {
        Self { trace_id: TraceId::random(), span_id: SpanId::random(), flags: SAMPLED }
    }

    /// The same trace and flags with another span as parent.
    pub fn with_span(self, span_id: SpanId) -> Self {
        Self { span_id, ..self }
    }

    /// Parses a `traceparent` value (section 3.2). Upper-case digits, zero ids and version `ff`
    /// are refused; higher versions are read by their first 55 characters.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let head = value.get(..55)?;
        if head[2] != b'-' || head[35] != b'-' || head[52] != b'-' {
            return None;
        }
        let mut version = [0];
        let (mut trace, mut span, mut flags) = ([0; 16], [0; 8], [0]);
        decode_hex_any(&head[..2], &mut version, false)?;
        decode_hex(&head[3..35], &mut trace, false)?;
        decode_hex(&head[36..52], &mut span, false)?;
        decode_hex_any(&head[53..55], &mut flags, false)?;
        let tail_ok = match version[0] {
            0xff => false,
            0 => value.len() == 55,
            _ => value.len() == 55 || value[55] == b'-',
        };
        tail_ok.then_some(Self { trace_id: TraceId(trace), span_id: SpanId(span), flags: flags[0] })
    }

    /// Reads the context of a request: exactly one valid `traceparent`, else `None`.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes()),
            _ => None,
        }
    }

    /// The `traceparent` value of this context, version 00.
    pub fn to_header(self) -> HeaderValue {
        let mut text = [0u8; 55];
        text[..3].copy_from_slice(b"00-");
        encode_hex(&self.trace_id.0, &mut text[3..35]);
        text[35] = b'-';
        encode_hex(&self.span_id.0, &mut text[36..52]);
        text[52] = b'-';
        encode_hex(&[self.flags], &mut text[53..55]);
        HeaderValue::from_bytes(&text).expect("hex digits and dashes are a valid header value")
    }
}

fn encode_hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// Decodes `hex` into `out`; refuses a wrong length and an all-zero result.
fn decode_hex(hex: &[u8], out: &mut [u8], any_case: bool) -> Option<()> {
    decode_hex_any(hex, out, any_case)?;
    out.iter().any(|byte| *byte != 0).then_some(())
}

fn decode_hex_any(hex: &[u8], out: &mut [u8], any_case: bool) -> Option<()> {
    if hex.len() != out.len() * 2 {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        b'A'..=b'F' if any_case => Some(c - b'A' + 10),
        _ => None,
    };
    for (pair, byte) in hex.chunks_exact(2).zip(out) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

/// A non-zero random number from a thread-local xorshift generator that the operating system
/// seeds. Fast, unique enough for trace ids, and unfit for secrets.
fn random_u64() -> u64 {
    thread_local!(static STATE: Cell<u64> = const { Cell::new(0) });
    STATE.with(|state| {
        let mut x = state.get();
        while x == 0 {
            x = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
        }
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        // xorshift64* output function; the multiplier is odd, so a non-zero state stays non-zero.
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_header_survives_the_round_trip() {
        let context = TraceContext::parse(VALID.as_bytes()).unwrap();
        assert_eq!(context.to_header(), VALID);
        assert_eq!(context.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn malformed_headers_are_refused_and_higher_versions_are_read() {
        let cases = [
            (VALID.to_owned(), true),
            (VALID.to_uppercase(), false),
            (VALID.replacen("00", "ff", 1), false),
            (VALID.replacen("00", "cc", 1), true),
            (format!("{VALID}-more"), false),
            (format!("{}-more", VALID.replacen("00", "cc", 1)), true),
            (format!("{}.more", VALID.replacen("00", "cc", 1)), false),
            (VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)), false),
            (VALID.replace("00f067aa0ba902b7", &"0".repeat(16)), false),
            (VALID[..54].to_owned(), false),
            (String::new(), false),
        ];
        for (value, valid) in cases {
            assert_eq!(TraceContext::parse(value.as_bytes()).is_some(), valid, "{value}");
        }
    }

    #[test]
    fn two_headers_are_no_context() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert!(TraceContext::from_headers(&headers).is_some());
        headers.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert!(TraceContext::from_headers(&headers).is_none());
    }
}
