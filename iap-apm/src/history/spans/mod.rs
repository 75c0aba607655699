//! Spans on their way into an engine, packed as they are stored.
//!
//! A received span is not taken apart: what OTLP's bytes say of it is checked and copied, and read when somebody asks. The
//! same form is what queues hold and what [`SqliteHistory`](super::SqliteHistory) writes.
//!
//! Spans lie in *parts* of about a megabyte, each of which can be read alone. A part is a sequence of protobuf fields:
//!
//! | field | | |
//! |---|---|---|
//! | 1 | [`Origin`] | who reported the spans after it |
//! | 2 | varint | the microsecond that starts are counted from |
//! | 3 | [`Record`] | a span |
//!
//! Before version 7 of the files a part was a JSON list.

mod record;

use std::ops::Range;

use iap_core::{BoxError, TraceId};
use prost::Message;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};

use self::record::Record;
pub(crate) use self::record::{Head, KINDS, Origin, STATUSES};
use crate::model::{Span, SpanStatus};
use crate::otlp::wire::{Field, Fields, Wire};

/// Bytes after which a part is closed.
const PART: usize = 1 << 20;
/// About how many times larger the details of a span are once they are read: texts and tables of their own.
const WHOLE_FACTOR: usize = 4;
const ORIGIN: u32 = 1;
const BASE: u32 = 2;
const SPAN: u32 = 3;

/// Spans of one trace.
///
/// They are held packed, some ten times smaller than [`Span`]s: an engine that stores them one by one reads them by
/// [`spans`](Self::spans).
///
/// ```
/// use iap_apm::{Span, TraceSpans};
/// use iap_core::TraceId;
///
/// let span: Span = serde_json::from_str(
///     r#"{"span_id": "b7ad6b7169203331", "name": "SELECT", "service": "shop", "start_us": 7, "duration_us": 2}"#,
/// )?;
/// let mut trace = TraceSpans::new(TraceId([7; 16]));
/// trace.push(&span);
/// assert_eq!(trace.spans(), [span]);
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct TraceSpans {
    /// The trace.
    pub trace_id: TraceId,
    parts: Vec<Vec<u8>>,
    /// Where in the last part the origin of its last spans is, and what their starts are counted from.
    origin: Range<usize>,
    base_us: u64,
    count: usize,
    facts: Facts,
}

/// What can be told of some spans without reading them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Facts {
    failed: bool,
    links: bool,
    slowest_us: u64,
}

impl TraceSpans {
    /// No spans yet.
    pub fn new(trace_id: TraceId) -> Self {
        let (parts, facts) = (Vec::new(), Facts::default());
        Self { trace_id, parts, origin: 0..0, base_us: 0, count: 0, facts }
    }

    /// Some of a trace's spans; the others come in other batches, in any order.
    pub fn of<'a>(trace_id: TraceId, spans: impl IntoIterator<Item = &'a Span>) -> Self {
        let mut trace = Self::new(trace_id);
        spans.into_iter().for_each(|span| trace.push(span));
        trace
    }

    /// Adds a span.
    pub fn push(&mut self, span: &Span) {
        let (origin, details) = (Origin::of(span).encode_to_vec(), Record::details_of(span).encode_to_vec());
        self.add(&origin, Head::of(span), std::iter::once(details.as_slice()));
        self.facts.links |= !span.links.is_empty();
    }

    /// Adds a span: `origin` is an [`Origin`] as bytes, `details` are fields of a [`Record`] that can be read and are within
    /// bounds.
    pub(crate) fn add<'a>(
        &mut self,
        origin: &[u8],
        head: Head<'_>,
        details: impl Iterator<Item = &'a [u8]> + Clone,
    ) {
        if self.parts.last().is_none_or(|part| part.len() >= PART) {
            (self.base_us, self.origin) = (head.start_us, 0..0);
            let mut part = Vec::new();
            encode_key(BASE, WireType::Varint, &mut part);
            encode_varint(head.start_us, &mut part);
            self.parts.push(part);
        }
        let Some(part) = self.parts.last_mut() else { return };
        if part[self.origin.clone()] != *origin {
            encode_key(ORIGIN, WireType::LengthDelimited, part);
            encode_varint(origin.len() as u64, part);
            self.origin = part.len()..part.len() + origin.len();
            part.extend_from_slice(origin);
        }
        let length = head.length(self.base_us) + details.clone().map(<[u8]>::len).sum::<usize>();
        encode_key(SPAN, WireType::LengthDelimited, part);
        encode_varint(length as u64, part);
        head.write(self.base_us, part);
        details.for_each(|raw| part.extend_from_slice(raw));
        self.count += 1;
        self.facts.failed |= head.status == SpanStatus::Error;
        self.facts.slowest_us = self.facts.slowest_us.max(head.duration_us);
    }

    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether one of them failed.
    pub fn has_failed(&self) -> bool {
        self.facts.failed
    }

    /// Whether one of them links to another trace.
    pub fn has_links(&self) -> bool {
        self.facts.links
    }

    /// How long the slowest of them took, in microseconds.
    pub fn slowest_us(&self) -> u64 {
        self.facts.slowest_us
    }

    /// The spans, in the order in which they came.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::with_capacity(self.count);
        for part in &self.parts {
            let read = unpack_within(part, &mut usize::MAX.clone(), &mut spans);
            debug_assert!(matches!(read, Ok(true)), "what was packed here can be read: {read:?}");
        }
        spans
    }

    /// The parts, as they are stored.
    pub(crate) fn parts(&self) -> &[Vec<u8>] {
        &self.parts
    }
}

impl std::fmt::Debug for TraceSpans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TraceSpans").field("trace_id", &self.trace_id).field("spans", &self.spans()).finish()
    }
}

/// What is counted of a stored span.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpanHead<'a> {
    pub(crate) service: &'a str,
    pub(crate) name: &'a str,
    /// Its place in [`KINDS`].
    pub(crate) kind: u8,
    /// Its place in [`STATUSES`].
    pub(crate) status: u8,
    pub(crate) start_us: u64,
    pub(crate) duration_us: u64,
}

/// Calls `each` with the spans of a part, without taking them apart. What was not packed here has none.
///
/// # Errors
/// Those of `each`, which ends it.
pub(crate) fn heads<'a, E>(
    part: &'a [u8],
    mut each: impl FnMut(SpanHead<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut service, mut base_us) = ("", 0);
    for Field { number, wire, .. } in Fields(part).map_while(Result::ok) {
        match (number, wire) {
            (ORIGIN, Wire::Bytes(origin)) => {
                let mut texts = Fields(origin).map_while(Result::ok).filter(|field| field.number == 1);
                service = texts.next().and_then(|field| field.wire.text().ok()).unwrap_or_default();
            }
            (BASE, Wire::Varint(base)) => base_us = base,
            (SPAN, Wire::Bytes(span)) => each(head(span, service, base_us))?,
            _ => {}
        }
    }
    Ok(())
}

/// The numbers and the name stand before the details.
fn head<'a>(span: &'a [u8], service: &'a str, base_us: u64) -> SpanHead<'a> {
    let mut head = SpanHead { service, start_us: base_us, ..SpanHead::default() };
    for Field { number, wire, .. } in Fields(span).map_while(Result::ok) {
        match (number, wire) {
            (3, wire) => head.name = wire.text().unwrap_or_default(),
            (4, Wire::Varint(kind)) => head.kind = kind as u8,
            (5, Wire::Varint(after)) => {
                head.start_us = base_us.wrapping_add((after >> 1) ^ (after & 1).wrapping_neg());
            }
            (6, Wire::Varint(duration)) => head.duration_us = duration,
            (7, Wire::Varint(status)) => head.status = status as u8,
            (9.., _) if number != 10 => break,
            _ => {}
        }
    }
    head
}

/// Reads all spans of a part.
///
/// # Errors
/// It is not one.
#[cfg(test)]
pub(crate) fn unpack(part: &[u8]) -> Result<Vec<Span>, BoxError> {
    let mut spans = Vec::new();
    unpack_within(part, &mut usize::MAX.clone(), &mut spans)?;
    Ok(spans)
}

/// Reads the spans of a part into `out` while there is `room`, in bytes of memory: what is packed is many times smaller. Whether
/// it has read all of them.
///
/// # Errors
/// It is not one; what was read before stays.
pub(crate) fn unpack_within(part: &[u8], room: &mut usize, out: &mut Vec<Span>) -> Result<bool, BoxError> {
    if part.first() == Some(&b'[') {
        let spans: Vec<Span> = serde_json::from_slice(part)?;
        let left = room.checked_sub(WHOLE_FACTOR * part.len());
        *room = left.unwrap_or(*room);
        out.extend(spans.into_iter().filter(|_| left.is_some()));
        return Ok(left.is_some());
    }
    let mut rest = part;
    let (mut origin, mut base_us) = (Origin::default(), 0);
    while !rest.is_empty() {
        let (field, wire) = decode_key(&mut rest)?;
        match (field, wire) {
            (ORIGIN, WireType::LengthDelimited) => origin = Origin::decode_length_delimited(&mut rest)?,
            (BASE, WireType::Varint) => base_us = decode_varint(&mut rest)?,
            (SPAN, WireType::LengthDelimited) => {
                let before = rest.len();
                let record = Record::decode_length_delimited(&mut rest)?;
                let whole = size_of::<Span>() + origin.size() + WHOLE_FACTOR * (before - rest.len());
                let Some(left) = room.checked_sub(whole) else { return Ok(false) };
                *room = left;
                out.push(record.into_span(&origin, base_us));
            }
            _ => skip_field(wire, field, &mut rest, DecodeContext::default())?,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
