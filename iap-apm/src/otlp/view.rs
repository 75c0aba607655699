//! A span as it stands in a request: read where it lies, without a copy.
//!
//! Most spans say nothing but plain attributes within all bounds. These are kept as the bytes that came. Those with events,
//! links, lists, what is not kept as it came, or anything beyond a bound are taken apart by [`convert`].

use iap_core::TraceId;

use super::convert::{self, Facts};
use super::parameters::SqlParameters;
use super::values::{MAX_ATTRIBUTES, MAX_NAME, MAX_RECORD, MAX_VALUE};
use super::wire::{Fields, Malformed, Wire};
use crate::history::Head;
use crate::model::SpanStatus;

/// The value of an attribute.
#[derive(Debug, Clone, Copy)]
enum Plain<'a> {
    Text(&'a str),
    Integer(i64),
    /// Of which nothing is asked.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Attribute<'a> {
    key: &'a str,
    value: Plain<'a>,
    raw: &'a [u8],
}

/// A plain span. Made once for a request, and read into again and again.
#[derive(Debug, Default)]
pub(super) struct View<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_id: &'a [u8],
    name: &'a str,
    kind: i32,
    start_ns: u64,
    end_ns: u64,
    status: i32,
    message: &'a str,
    /// Of attributes, events and links.
    dropped: [u32; 3],
    attributes: Vec<Attribute<'a>>,
    bytes: usize,
}

impl<'a> View<'a> {
    /// Reads a span; whether it is a plain one.
    ///
    /// # Errors
    /// The bytes are no span.
    pub(super) fn read(&mut self, span: &'a [u8], parameters: SqlParameters) -> Result<bool, Malformed> {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.clear();
        *self = Self { attributes, ..Self::default() };
        for field in Fields(span) {
            let field = field?;
            match field.number {
                1 => self.trace_id = field.wire.bytes()?,
                2 => self.span_id = field.wire.bytes()?,
                4 => self.parent_id = field.wire.bytes()?,
                5 => self.name = field.wire.text()?,
                // Enumerations and small integers are cut to 32 bits, as protobuf says.
                6 => self.kind = field.wire.number()? as i32,
                7 => self.start_ns = field.wire.fixed()?,
                8 => self.end_ns = field.wire.fixed()?,
                9 => match attribute(field.wire.bytes()?, field.raw)? {
                    Some(attribute) if parameters.concerns(attribute.key) => return Ok(false),
                    Some(attribute) if self.attributes.len() < MAX_ATTRIBUTES => {
                        self.bytes += field.raw.len() + size_of::<u64>();
                        self.attributes.push(attribute);
                    }
                    _ => return Ok(false),
                },
                number @ (10 | 12 | 14) => {
                    self.dropped[(number as usize - 10) / 2] = field.wire.number()? as u32;
                }
                11 | 13 => return Ok(false),
                15 => self.read_status(field.wire.bytes()?)?,
                3 => drop(field.wire.text()?),
                _ => {}
            }
        }
        let is_bounded =
            self.name.len() <= MAX_NAME && self.message.len() <= MAX_VALUE && self.bytes <= MAX_RECORD;
        Ok(is_bounded)
    }

    fn read_status(&mut self, status: &'a [u8]) -> Result<(), Malformed> {
        for field in Fields(status) {
            let field = field?;
            match field.number {
                2 => self.message = field.wire.text()?,
                3 => self.status = field.wire.number()? as i32,
                _ => {}
            }
        }
        Ok(())
    }

    /// What is kept of it beside its attributes.
    pub(super) fn head(&self, now_us: u64) -> Result<(TraceId, Head<'a>), &'static str> {
        let ids = convert::ids(self.trace_id, self.span_id, self.parent_id)?;
        convert::check_start(self.start_ns, now_us)?;
        let (status, error) = match self.status {
            1 => (SpanStatus::Ok, None),
            2 => (SpanStatus::Error, Some(self.message).filter(|message| !message.is_empty())),
            _ => (SpanStatus::Unset, None),
        };
        let (trace_id, span_id, parent_id) = ids;
        let head = Head {
            span_id,
            parent_id,
            name: self.name,
            kind: convert::kind(self.kind),
            start_us: self.start_ns / 1_000,
            duration_us: self.end_ns.saturating_sub(self.start_ns) / 1_000,
            status,
            error,
            dropped: self.dropped.into_iter().fold(0, u32::saturating_add),
        };
        Ok((trace_id, head))
    }

    /// Its attributes as they came.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &'a [u8]> + Clone + '_ {
        self.attributes.iter().map(|attribute| attribute.raw)
    }

    /// Of two with the same name the last one counts.
    fn find(&self, name: &str) -> Option<Plain<'a>> {
        self.attributes.iter().rev().find(|attribute| attribute.key == name).map(|attribute| attribute.value)
    }
}

impl Facts for View<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        match self.find(name)? {
            Plain::Text(text) => Some(text).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.find(name)? {
            Plain::Text(text) => text.parse().ok(),
            Plain::Integer(number) => number.try_into().ok(),
            Plain::Other => None,
        }
    }
}

/// An attribute, if it is plain.
fn attribute<'a>(bytes: &'a [u8], raw: &'a [u8]) -> Result<Option<Attribute<'a>>, Malformed> {
    let (mut key, mut value) = ("", Plain::Other);
    for field in Fields(bytes) {
        let field = field?;
        match field.number {
            1 => key = field.wire.text()?,
            2 => {
                for field in Fields(field.wire.bytes()?) {
                    let field = field?;
                    value = match (field.number, field.wire) {
                        (1, wire) => Plain::Text(wire.text()?),
                        (3, Wire::Varint(number)) => Plain::Integer(number as i64),
                        (2, Wire::Varint(_)) => Plain::Other,
                        (4, Wire::Fixed64(bits)) if f64::from_bits(bits).is_finite() => Plain::Other,
                        // Lists and bytes, what is no number, and what is malformed: whoever takes it apart will see.
                        _ => return Ok(None),
                    };
                }
            }
            // What is not understood is not kept unread.
            _ => return Ok(None),
        }
    }
    let is_bounded = key.len() <= MAX_NAME && !matches!(value, Plain::Text(text) if text.len() > MAX_VALUE);
    Ok(is_bounded.then_some(Attribute { key, value, raw }))
}
