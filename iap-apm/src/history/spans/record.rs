//! A span as it is stored: a message of protobuf, whose details are the fields of OTLP's own.

use iap_core::SpanId;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span as otlp;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::model::{Span, SpanEvent, SpanKind, SpanLink, SpanStatus};
use crate::otlp::values::{STORED, Writing};

/// Who reported a span.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Origin {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    /// [`Span::instance`]
    #[prost(string, optional, tag = "2")]
    pub(crate) instance: Option<String>,
}

impl Origin {
    pub(super) fn of(span: &Span) -> Self {
        Self { service: span.service.clone(), instance: span.instance.clone() }
    }

    /// Bytes of its texts, which each span has for itself once it is read.
    pub(super) fn size(&self) -> usize {
        self.service.len() + self.instance.as_ref().map_or(0, String::len)
    }
}

/// All of a span. Fields 9, 11 and 13 are those of OTLP's `Span`, byte by byte; [`Head`] writes the others.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Record {
    #[prost(fixed64, tag = "1")]
    span_id: u64,
    #[prost(fixed64, optional, tag = "2")]
    parent_id: Option<u64>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(uint64, tag = "4")]
    kind: u64,
    /// After the base of the part.
    #[prost(sint64, tag = "5")]
    start_us: i64,
    #[prost(uint64, tag = "6")]
    duration_us: u64,
    #[prost(uint64, tag = "7")]
    status: u64,
    #[prost(string, optional, tag = "8")]
    error: Option<String>,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(uint64, tag = "10")]
    dropped: u64,
    #[prost(message, repeated, tag = "11")]
    events: Vec<otlp::Event>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<otlp::Link>,
}

impl Record {
    /// Attributes, events and links alone.
    pub(super) fn details_of(span: &Span) -> Self {
        Self {
            attributes: Writing::STORED.attributes(&span.attributes),
            events: span.events.iter().map(|event| Writing::STORED.event(event)).collect(),
            links: span.links.iter().map(|link| Writing::STORED.link(link)).collect(),
            ..Self::default()
        }
    }

    pub(super) fn into_span(self, origin: &Origin, base_us: u64) -> Span {
        // Bounds were applied before it was stored.
        let (mut room, mut more) = (usize::MAX, 0);
        let attributes = STORED.attributes(self.attributes, &mut room, &mut more);
        let events: Vec<SpanEvent> =
            self.events.into_iter().map(|event| STORED.event(event, &mut room, &mut more)).collect();
        let links: Vec<SpanLink> =
            self.links.into_iter().filter_map(|link| STORED.link(link, &mut room, &mut more)).collect();
        Span {
            span_id: SpanId(self.span_id.to_le_bytes()),
            parent_id: self.parent_id.map(|id| SpanId(id.to_le_bytes())),
            name: self.name,
            kind: KINDS.get(self.kind as usize).copied().unwrap_or_default(),
            service: origin.service.clone(),
            instance: origin.instance.clone(),
            start_us: base_us.wrapping_add_signed(self.start_us),
            duration_us: self.duration_us,
            status: STATUSES.get(self.status as usize).copied().unwrap_or_default(),
            error: self.error,
            attributes,
            events,
            links,
            dropped: u32::try_from(self.dropped).unwrap_or(u32::MAX),
        }
    }
}

/// By their numbers in a record.
pub(crate) const KINDS: [SpanKind; 5] =
    [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
pub(crate) const STATUSES: [SpanStatus; 3] = [SpanStatus::Unset, SpanStatus::Ok, SpanStatus::Error];

/// What a span says of itself beside its details.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) span_id: SpanId,
    pub(crate) parent_id: Option<SpanId>,
    pub(crate) name: &'a str,
    pub(crate) kind: SpanKind,
    pub(crate) start_us: u64,
    pub(crate) duration_us: u64,
    pub(crate) status: SpanStatus,
    pub(crate) error: Option<&'a str>,
    pub(crate) dropped: u32,
}

impl<'a> Head<'a> {
    pub(crate) fn of(span: &'a Span) -> Self {
        Self {
            span_id: span.span_id,
            parent_id: span.parent_id,
            name: &span.name,
            kind: span.kind,
            start_us: span.start_us,
            duration_us: span.duration_us,
            status: span.status,
            error: span.error.as_deref(),
            dropped: span.dropped,
        }
    }

    /// The fields of a [`Record`] with a number, as protobuf's varints.
    fn numbers(&self, base_us: u64) -> [(u32, u64); 5] {
        let after = self.start_us.wrapping_sub(base_us) as i64;
        [
            (4, self.kind as u64),
            (5, ((after << 1) ^ (after >> 63)) as u64),
            (6, self.duration_us),
            (7, self.status as u64),
            (10, self.dropped.into()),
        ]
    }

    fn texts(&self) -> [(u32, Option<&'a str>); 2] {
        [(3, Some(self.name)), (8, self.error)]
    }

    fn ids(&self) -> [(u32, Option<SpanId>); 2] {
        [(1, Some(self.span_id)), (2, self.parent_id)]
    }

    /// How many bytes [`write`](Self::write) writes. Keys of these fields take one.
    pub(super) fn length(&self, base_us: u64) -> usize {
        let ids = self.ids().into_iter().filter_map(|(_, id)| id).count() * 9;
        let length = |text: &str| 1 + encoded_len_varint(text.len() as u64) + text.len();
        let texts = self.texts().into_iter().filter_map(|(_, text)| text).map(length).sum::<usize>();
        let numbers = self.numbers(base_us).into_iter().filter(|(_, number)| *number > 0);
        ids + texts + numbers.map(|(_, number)| 1 + encoded_len_varint(number)).sum::<usize>()
    }

    pub(super) fn write(&self, base_us: u64, out: &mut Vec<u8>) {
        for (field, id) in self.ids() {
            if let Some(id) = id {
                encode_key(field, WireType::SixtyFourBit, out);
                out.extend_from_slice(&id.0);
            }
        }
        for (field, text) in self.texts() {
            if let Some(text) = text {
                encode_key(field, WireType::LengthDelimited, out);
                encode_varint(text.len() as u64, out);
                out.extend_from_slice(text.as_bytes());
            }
        }
        for (field, number) in self.numbers(base_us) {
            if number > 0 {
                encode_key(field, WireType::Varint, out);
                encode_varint(number, out);
            }
        }
    }
}
