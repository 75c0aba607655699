//! The trace id in a line of a log, so that the line can be joined with its transaction.

use crate::trace_context::TraceId;

/// Hex digits of a trace id (W3C Trace Context section 3.2.2.3).
const DIGITS: usize = 32;

/// Finds a trace id: 32 hex digits after a key like `trace_id`, `traceId` or `trace.id`, in JSON or
/// `key=value`, or in a `traceparent`.
pub(super) fn find(line: &str) -> Option<TraceId> {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if length == DIGITS
            && is_named(&bytes[..at], &bytes[at + length..])
            && let Some(id) = TraceId::from_hex(&line[at..at + length].to_ascii_lowercase())
        {
            return Some(id);
        }
        at += length.max(1);
    }
    None
}

/// Whether what stands around it makes it a trace id.
fn is_named(before: &[u8], after: &[u8]) -> bool {
    let is_parent = before.ends_with(b"00-") && after.first() == Some(&b'-');
    let is_separator = |byte: &u8| matches!(byte, b'"' | b'\'' | b'=' | b':' | b' ' | b'\\');
    let key_end = before.iter().rposition(|byte| !is_separator(byte)).map_or(0, |last| last + 1);
    let is_key = |key: &str| {
        let start = key_end.checked_sub(key.len());
        start.is_some_and(|start| before[start..key_end].eq_ignore_ascii_case(key.as_bytes()))
    };
    is_parent
        || (key_end < before.len() && ["traceid", "trace_id", "trace.id", "trace-id"].into_iter().any(is_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_ids_are_found_where_they_are_named() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for line in [
            format!(r#"{{"level":"info","trace_id":"{id}","message":"x"}}"#),
            format!(r#"{{"traceId": "{id}"}}"#),
            format!("2026 INFO trace_id={id} span_id=00f067aa0ba902b7 hello"),
            format!("TRACE_ID={}", id.to_uppercase()),
            format!("traceparent: 00-{id}-00f067aa0ba902b7-01"),
            format!("trace.id={id}"),
            format!(r#"escaped {{\"trace_id\":\"{id}\"}}"#),
            format!("é digest=aaaabbbbccccddddaaaabbbbccccdddd trace_id={id}"),
        ] {
            assert_eq!(find(&line).map(|found| found.to_string()).as_deref(), Some(id), "{line}");
        }
        for line in [
            format!("digest={id}"),
            format!("trace_id={id}0"),
            format!("trace_id{id}"),
            format!("trace_id={}", "0".repeat(32)),
            format!("trace_id={}", &id[1..]),
            id.to_owned(),
            String::new(),
        ] {
            assert_eq!(find(&line), None, "{line}");
        }
    }
}
