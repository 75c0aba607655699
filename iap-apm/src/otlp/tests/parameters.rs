//! Of the values that statements were given nothing is kept, unless the receiver is told otherwise.

use opentelemetry_proto::tonic::trace::v1::span::Event;

use super::*;
use crate::otlp::SqlParameters;

/// With a comma, a quote and characters beyond ASCII, as values have them.
const SECRET: &str = "O'Neil, 김@example.com";
const COUNT: &str = "db.query.parameter_count";

fn number(value: i64) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Any::IntValue(value)) })
}

fn list(values: Vec<Option<AnyValue>>) -> Option<AnyValue> {
    let values = values.into_iter().map(Option::unwrap_or_default).collect();
    Some(AnyValue { value: Some(Any::ArrayValue(ArrayValue { values })) })
}

/// Each with the kind that is told of its value.
fn given() -> Vec<(KeyValue, &'static str)> {
    [
        ("db.query.parameter.0", text(SECRET), "text of 9 to 32 characters"),
        ("db.query.parameter.owner", number(4_711), "1,000 to 9,999"),
        ("db.query.parameter.none", None, "null"),
        ("db.operation.parameter.id", text(""), "empty text"),
        ("db.statement.parameters", text(&SECRET.repeat(2)), "text of 33 to 256 characters"),
        ("db.postgresql.values", list(vec![text(SECRET), None]), "list of 1 to 9"),
        ("db.mysql.values", list(vec![]), "list of 0"),
    ]
    .map(|(name, value, class)| (attribute(name, value), class))
    .into()
}

/// A plain span, which is kept as it came, and one with an event, which is taken apart.
fn spans() -> Vec<ProtoSpan> {
    let mut plain = proto_span(1, 1, None);
    plain.attributes = vec![attribute("db.query.text", text("SELECT ?")), attribute(COUNT, number(7))];
    plain.attributes.extend(given().into_iter().map(|(attribute, _)| attribute));
    let mut with_event = proto_span(1, 2, Some(1));
    let attributes = given().into_iter().map(|(attribute, _)| attribute).collect();
    with_event.events = vec![Event { name: "query".into(), attributes, ..Event::default() }];
    vec![plain, with_event]
}

async fn received(parameters: SqlParameters, encoding: &str) -> Trace {
    let (service, history) = receiver();
    let service = service.sql_parameters(parameters);
    let attributes: Vec<_> = given().into_iter().map(|(attribute, _)| attribute).collect();
    let record = LogRecord {
        trace_id: trace_id(1).0.to_vec(),
        span_id: span_id(1).0.to_vec(),
        time_unix_nano: T0 * 1_000,
        body: text("a statement"),
        attributes,
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let group = ResourceLogs { scope_logs, ..ResourceLogs::default() };
    let (traces, logs) = (proto_request(spans()), ExportLogsServiceRequest { resource_logs: vec![group] });
    let bodies = match encoding {
        JSON => [serde_json::to_vec(&traces), serde_json::to_vec(&logs)].map(|body| body.expect("JSON")),
        _ => [traces.encode_to_vec(), logs.encode_to_vec()],
    };
    for (path, body) in ["/v1/traces", "/v1/logs"].into_iter().zip(bodies) {
        let (status, _, answer) = send(&service, request(path, encoding, body)).await;
        assert_eq!(status, StatusCode::OK, "{answer:?}");
    }
    stored(&history, 1).await
}

#[tokio::test]
async fn they_are_left_out_or_told_by_their_kind_or_kept() {
    for encoding in [PROTOBUF, JSON] {
        let omitted = received(SqlParameters::default(), encoding).await;
        assert_eq!(omitted.spans[0].attributes.len(), 2, "{:?}", omitted.spans[0].attributes);
        assert_eq!(omitted.spans[0].attributes[COUNT], 7, "that is no value");
        assert!(omitted.spans[1].events[0].attributes.is_empty() && omitted.logs[0].fields.is_empty());

        let masked = received(SqlParameters::Mask, encoding).await;
        let text = serde_json::to_string(&masked).expect("JSON");
        assert!(!text.contains("Neil") && !text.contains("김") && !text.contains("4711"), "{text}");
        for (KeyValue { key, .. }, class) in given() {
            let wanted = json!(format!("\u{2039}{class}\u{203a}"));
            let all =
                [&masked.spans[0].attributes, &masked.spans[1].events[0].attributes, &masked.logs[0].fields];
            assert!(all.iter().all(|attributes| attributes[&key] == wanted), "{key}: {text}");
        }

        let kept = received(SqlParameters::Keep, encoding).await;
        let attributes = &kept.spans[0].attributes;
        assert_eq!(attributes["db.query.parameter.0"], SECRET);
        assert_eq!(attributes["db.query.parameter.none"], Value::Null);
        assert_eq!(attributes["db.postgresql.values"], json!([SECRET, null]));
        assert_eq!(attributes.len(), 2 + given().len());
    }
}
