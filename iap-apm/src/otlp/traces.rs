//! Spans of a request in protobuf, each kept as it came where that can be.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use prost::Message;

use super::convert::{self, Origin};
use super::decode::Decoded;
use super::view::View;
use super::wire::{Fields, Malformed};

/// Where the fields of OTLP's messages are.
const RESOURCE_SPANS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SCOPE: u32 = 1;
const SPANS: u32 = 2;

/// Takes the spans of an `ExportTraceServiceRequest`.
///
/// # Errors
/// The bytes are none; some spans may have been taken.
pub(super) fn take(bytes: &[u8], decoded: &mut Decoded, now_us: u64) -> Result<(), Malformed> {
    let mut view = View::default();
    for group in messages(bytes, RESOURCE_SPANS) {
        let group = group?;
        // The resource may stand behind the spans.
        let mut resource = Resource::default();
        for message in messages(group, RESOURCE) {
            resource.merge(message?).map_err(|_| Malformed)?;
        }
        let origin = Origin::of(&resource.attributes);
        let packed = origin.packed();
        for scope in messages(group, SCOPE_SPANS) {
            let scope = scope?;
            for message in messages(scope, SCOPE) {
                InstrumentationScope::decode(message?).map_err(|_| Malformed)?;
            }
            for span in messages(scope, SPANS) {
                let span = span?;
                if view.read(span, decoded.gate.parameters)? {
                    take_plain(&origin, &packed, &view, decoded, now_us);
                } else {
                    decoded.take_span(&origin, trace::Span::decode(span).map_err(|_| Malformed)?, now_us);
                }
            }
        }
    }
    Ok(())
}

fn take_plain(origin: &Origin, packed: &[u8], view: &View<'_>, decoded: &mut Decoded, now_us: u64) {
    match decoded.gate.admit(&origin.service).and_then(|()| view.head(now_us)) {
        Ok((trace_id, head)) => {
            let entry = convert::entry(trace_id, &origin.service, head, view);
            decoded.batch.transactions.extend(entry);
            decoded.trace(trace_id).add(packed, head, view.attributes());
        }
        Err(reason) => decoded.reject(reason),
    }
}

/// The messages in a field of a message.
fn messages(bytes: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields(bytes).filter_map(move |field| match field {
        Ok(field) if field.number == number => Some(field.wire.bytes()),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}
