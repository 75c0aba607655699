//! Spans that are kept as they came say what they say when they are taken apart.

use iap_core::TraceId;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

use super::decode::{Decoded, decode};
use super::*;
use crate::history::{Head, TraceSpans, unpack};
use crate::model::{Span, TransactionSummary};
use crate::otlp::convert::{self, Origin};

const NOW_US: u64 = T0 + 1_000_000;

/// What a request says: spans by trace, transactions, and how many were refused and why.
type Said = (Vec<(TraceId, Vec<Span>)>, Vec<TransactionSummary>, u64, Option<&'static str>);

fn gate() -> Gate {
    Gate::new(
        Signal::Traces,
        crate::otlp::access::sender(&[], &HeaderMap::new()).expect("anybody"),
        Arc::default(),
        SqlParameters::Keep,
        NOW_US,
    )
}

/// As the receiver reads it.
fn read(bytes: &[u8]) -> Option<Said> {
    let limits = SeriesLimits::new(1, 1);
    let read = decode(Signal::Traces, Encoding::Protobuf, bytes, &limits, gate(), NOW_US);
    let Decoded { batch, rejected, reason, .. } = read.ok()?;
    let unpacked = |trace: &TraceSpans| {
        let parts = trace.parts().iter().map(|part| unpack(part).expect("what was taken can be read"));
        let spans = parts.collect::<Vec<_>>().concat();
        assert_eq!(spans.len(), trace.len());
        (trace.trace_id, spans)
    };
    let spans = batch.spans.iter().map(unpacked).collect();
    Some((spans, batch.transactions, rejected, reason))
}

/// As protobuf's own library reads it, each span taken apart.
fn taken_apart(bytes: &[u8]) -> Option<Said> {
    let (mut spans, mut transactions): (Vec<(TraceId, Vec<Span>)>, _) = (Vec::new(), Vec::new());
    let (mut rejected, mut reason) = (0, None);
    for group in ExportTraceServiceRequest::decode(bytes).ok()?.resource_spans {
        let origin = Origin::of(&group.resource.unwrap_or_default().attributes);
        for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            match convert::span(&origin, span, NOW_US) {
                Ok((trace_id, span)) => {
                    transactions.extend(convert::entry(trace_id, &span.service, Head::of(&span), &span));
                    match spans.iter_mut().find(|(id, _)| *id == trace_id) {
                        Some((_, known)) => known.push(span),
                        None => spans.push((trace_id, vec![span])),
                    }
                }
                Err(why) => {
                    rejected += 1;
                    reason = reason.or(Some(why));
                }
            }
        }
    }
    Some((spans, transactions, rejected, reason))
}

/// Numbers by chance, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<T: Clone>(&mut self, some: &[T]) -> T {
        some[self.below(some.len() as u64) as usize].clone()
    }
}

fn value(chance: &mut Chance) -> Option<AnyValue> {
    let value = match chance.below(12) {
        0 => None,
        1 => Some(Any::BoolValue(chance.below(2) == 1)),
        2 => Some(Any::DoubleValue(chance.of(&[0.5, f64::NAN, f64::INFINITY, -1e300]))),
        3 => Some(Any::BytesValue(vec![0, 255, 7])),
        4 => {
            let values = vec![text("one").expect("a text"), AnyValue::default()];
            Some(Any::ArrayValue(ArrayValue { values }))
        }
        5 => Some(Any::KvlistValue(KeyValueList { values: vec![attribute("k", text("v"))] })),
        6 => Some(Any::StringValueStrindex(1)),
        7 | 8 => Some(Any::IntValue(chance.of(&[0, -1, 200, 503, i64::MAX, i64::MIN]))),
        9 => Some(Any::StringValue("é".repeat(chance.of(&[1, 8_192, 8_193, 20_000])))),
        _ => Some(Any::StringValue(chance.of(&["", "GET", "404", "/a?b=c", "주문"]).into())),
    };
    if chance.below(20) == 0 { None } else { Some(AnyValue { value }) }
}

fn any_span(chance: &mut Chance) -> ProtoSpan {
    let names = [
        "http.request.method",
        "http.method",
        "url.path",
        "http.target",
        "http.route",
        "server.address",
        "http.response.status_code",
        "http.status_code",
        "error.type",
        "user.name",
        "client.address",
        "http.response.body.size",
        "",
        "other",
    ];
    let mut span = proto_span(1 + chance.below(3), 1 + chance.below(9), None);
    let ids = [Vec::new(), vec![0; 8], vec![1; 8], vec![1; 7]];
    span.parent_span_id = chance.of(&ids);
    span.kind = chance.below(8) as i32 - 1;
    let times = [0, 1, T0 * 1_000, (T0 + 77) * 1_000 + 999, (NOW_US + 90_000_000_000) * 1_000, u64::MAX];
    (span.start_time_unix_nano, span.end_time_unix_nano) = (chance.of(&times), chance.of(&times));
    let many = chance.of(&[0, 3, 10, 10, 10, 128, 129]);
    span.attributes = (0..many).map(|_| attribute(chance.of(&names), value(chance))).collect();
    if chance.below(10) == 0 {
        span.attributes.push(attribute(&"k".repeat(300), text("long")));
        span.name = "ß".repeat(200);
    }
    if chance.below(10) == 0 {
        span.trace_id = vec![0; 16];
    }
    span.dropped_attributes_count = chance.of(&[0, 0, 3, u32::MAX]);
    span.dropped_links_count = chance.of(&[0, 0, 1]);
    let (code, message) = (chance.below(4) as i32, chance.of(&["", "no such table"]).to_owned());
    span.status = chance.of(&[None, Some(ProtoStatus { code, message })]);
    if chance.below(5) == 0 {
        let attributes = vec![attribute("exception.message", text("it broke"))];
        span.events = vec![Event { name: "exception".into(), attributes, ..Event::default() }];
    }
    if chance.below(8) == 0 {
        span.links = vec![Link { trace_id: vec![2; 16], span_id: vec![2; 8], ..Link::default() }];
    }
    span
}

fn any_request(chance: &mut Chance) -> Vec<u8> {
    let spans = (0..chance.below(6)).map(|_| any_span(chance)).collect();
    let mut request = proto_request(spans);
    if chance.below(3) == 0 {
        let mut other = proto_request(vec![any_span(chance)]);
        other.resource_spans[0].resource = None;
        request.resource_spans.append(&mut other.resource_spans);
    }
    request.encode_to_vec()
}

#[test]
fn spans_kept_as_they_came_say_the_same() {
    let mut chance = Chance(7);
    let (mut spans, mut refused) = (0, 0);
    for _ in 0..2_000 {
        let request = any_request(&mut chance);
        let (found, wanted) = (read(&request), taken_apart(&request));
        assert_eq!(found, wanted);
        let (traces, _, rejected, _) = found.expect("a request");
        spans += traces.iter().map(|(_, spans)| spans.len()).sum::<usize>();
        refused += rejected;
    }
    assert!(spans > 1_000 && refused > 1_000, "{spans} and {refused}");
}

#[test]
fn damaged_requests_are_refused_or_say_the_same() {
    let mut chance = Chance(11);
    let (mut both, mut neither) = (0, 0);
    for _ in 0..20_000 {
        let mut request = any_request(&mut chance);
        let at = chance.below(request.len().max(1) as u64) as usize;
        match chance.below(8) {
            0 => request.truncate(at),
            1 => request.insert(at.min(request.len()), chance.below(256) as u8),
            _ if at < request.len() => request[at] = chance.below(256) as u8,
            _ => {}
        }
        match (read(&request), taken_apart(&request)) {
            (Some(found), Some(wanted)) => {
                assert_eq!(found, wanted);
                both += 1;
            }
            (None, None) => neither += 1,
            // What stands in fields that nobody asks for is not read here: what is kept can be read all the same, which
            // `read` has seen. Groups, which OTLP has none of, are not there.
            _ => {}
        }
    }
    assert!(both > 1_000 && neither > 1_000, "{both} and {neither}");
}

/// A request with one span that has these bytes as an attribute, and ends with others.
fn with_bytes(attribute: &[u8], end: &[u8]) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        out.extend(bytes);
        out
    };
    let span = [proto_span(1, 1, None).encode_to_vec(), field(9, attribute), end.to_vec()].concat();
    field(1, &field(2, &field(2, &span)))
}

#[test]
fn what_is_not_understood_is_not_kept_unread() {
    let plain = attribute("k", text("v")).encode_to_vec();
    let with = |more: &[u8]| [&plain, more].concat();
    // Fields that protobuf's library knows or does not know, of the right type and of a wrong one.
    for more in [
        &[][..],
        &[0x18, 1],
        &[0x1a, 1, b'x'],
        &[0x22, 1, b'x'],
        &[0x12, 2, 0x42, 0],
        &[0x12, 2, 0x40, 1],
        &[0x12, 2, 0x0a, 0],
        &[0x12, 0],
        &[0x08, 1],
        &[0x12, 2, 0x10, 7],
    ] {
        let bytes = with_bytes(&with(more), &[]);
        assert_eq!(read(&bytes), taken_apart(&bytes), "{more:?}");
    }
    // Numbers of what was dropped that come twice: the last one counts.
    let bytes = with_bytes(&plain, &[0x50, 5, 0x50, 2, 0x60, 1, 0x60, 3, 0x70, 9]);
    let found = read(&bytes);
    assert_eq!(found, taken_apart(&bytes));
    assert_eq!(found.expect("a request").0[0].1[0].dropped, 14);
}

#[test]
fn a_resource_behind_its_spans_and_a_field_given_twice_count() {
    let mut first = proto_span(1, 1, None);
    first.attributes = vec![attribute("http.route", text("/old")), attribute("http.route", text("/new"))];
    let request = proto_request(vec![first]);
    let mut group = request.resource_spans[0].clone();
    let resource = ResourceSpans { resource: group.resource.take(), ..ResourceSpans::default() };
    let body = [group.encode_to_vec(), resource.encode_to_vec()].concat();
    let mut bytes = vec![10];
    prost::encoding::encode_varint(body.len() as u64, &mut bytes);
    bytes.extend(body);
    let found = read(&bytes);
    assert_eq!(found, taken_apart(&bytes));
    let (spans, transactions, ..) = found.expect("a request");
    assert_eq!((spans[0].1[0].service.as_str(), transactions[0].route.as_str()), ("orders", "/new"));
}

#[test]
fn plain_spans_are_kept_as_their_bytes() {
    let mut plain = proto_span(1, 1, None);
    plain.attributes = vec![attribute("url.path", text("/orders/77"))];
    let bytes = proto_request(vec![plain.clone()]).encode_to_vec();
    let decoded =
        decode(Signal::Traces, Encoding::Protobuf, &bytes, &SeriesLimits::new(1, 1), gate(), NOW_US);
    let trace = decoded.unwrap_or_else(|_| panic!("a request")).batch.spans.remove(0);
    let attribute = plain.attributes[0].encode_to_vec();
    let kept = &trace.parts()[0];
    assert!(kept.windows(attribute.len()).any(|window| window == attribute));
    // And both ways of packing write the same.
    assert_eq!(TraceSpans::of(trace.trace_id, &trace.spans()), trace);
}
