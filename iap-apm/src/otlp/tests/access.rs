//! Tokens.

use super::grpc::{call, export, framed};
use super::*;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

fn with(mut request: Request<Body>, authorization: &[&str]) -> Request<Body> {
    for value in authorization {
        request.headers_mut().append(header::AUTHORIZATION, value.parse().expect("a value"));
    }
    request
}

#[tokio::test]
async fn only_those_with_a_token_may_send() {
    let (service, history) = receiver();
    let tokens = [OtlpToken::new("orders-secret", ["orders".to_owned()]), OtlpToken::new("any-secret", [])];
    assert!(!format!("{tokens:?}").contains("secret"), "secrets are not shown");
    let service = service.tokens(tokens);
    let body = |trace| proto_request(vec![proto_span(trace, 1, None)]).encode_to_vec();
    let refused: [&[&str]; 7] = [
        &[],
        &["Bearer wrong"],
        &["Bearer "],
        &["Basic any-secret"],
        &["any-secret"],
        &["Bearer orders-secre"],
        // Which of two it is would be a guess.
        &["Bearer any-secret", "Bearer any-secret"],
    ];
    for fields in refused {
        let (status, headers, answer) =
            send(&service, with(request("/v1/traces", PROTOBUF, body(1)), fields)).await;
        assert_eq!(
            (status, headers[header::WWW_AUTHENTICATE].as_bytes()),
            (StatusCode::UNAUTHORIZED, b"Bearer".as_slice())
        );
        assert_eq!(Status::decode(answer).expect("a status").code, 16, "{fields:?}");
        let json = with(request("/v1/traces", JSON, "{}"), fields);
        let (status, _, answer) = send(&service, json).await;
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!((status, &answer["code"]), (StatusCode::UNAUTHORIZED, &json!(16)));
        let ended = export(&service, with(call(TRACES, framed(0, &body(1))), fields)).await;
        assert_eq!((ended.code.as_str(), ended.body.len()), ("16", 0), "{fields:?}");
    }
    assert_eq!(history.trace(trace_id(1)).await.expect("readable"), None);
    for (trace, field) in [(1, "Bearer any-secret"), (2, "bearer orders-secret")] {
        let request = with(request("/v1/traces", PROTOBUF, body(trace)), &[field]);
        assert_eq!(send(&service, request).await.0, StatusCode::OK);
        let ended = export(&service, with(call(TRACES, framed(0, &body(trace + 10))), &[field])).await;
        assert_eq!(ended.code, "0");
        stored(&history, trace).await;
        stored(&history, trace + 10).await;
    }
}

#[tokio::test]
async fn a_token_reports_for_its_services_only() {
    let (service, history) = receiver();
    let service = service.tokens([OtlpToken::new("cart-secret", ["cart".to_owned(), "wish".to_owned()])]);
    let mut both = proto_request(vec![proto_span(1, 1, None), proto_span(1, 2, Some(1))]);
    let mut cart = proto_request(vec![proto_span(2, 1, None)]).resource_spans.remove(0);
    cart.resource.as_mut().expect("a resource").attributes[0].value = text("cart");
    both.resource_spans.push(cart);
    let request = with(request("/v1/traces", PROTOBUF, both.encode_to_vec()), &["Bearer cart-secret"]);
    let (status, _, body) = send(&service, request).await;
    let partial = ExportTraceServiceResponse::decode(body).expect("an answer").partial_success;
    let partial = partial.expect("partial");
    assert_eq!((status, partial.rejected_spans), (StatusCode::OK, 2));
    assert_eq!(partial.error_message, "the token is not for this service");
    assert_eq!(history.trace(trace_id(1)).await.expect("readable"), None);
    assert_eq!(stored(&history, 2).await.spans.len(), 1);
}
