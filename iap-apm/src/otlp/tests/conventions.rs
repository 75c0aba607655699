//! What attributes are called.

use super::*;

#[tokio::test]
async fn conventions_are_read_by_their_stable_and_by_their_old_names() {
    let number = |value| Some(AnyValue { value: Some(Any::IntValue(value)) });
    let stable = vec![
        attribute("http.request.method", text("PUT")),
        attribute("url.path", text("/cart/1")),
        attribute("server.address", text("shop.example")),
        attribute("http.response.status_code", number(503)),
        attribute("http.route", text("/cart/{id}")),
        attribute("db.query.text", text("SELECT 1")),
        attribute("db.system.name", text("postgresql")),
    ];
    let old = vec![
        attribute("http.method", text("PUT")),
        attribute("http.target", text("/cart/1?token=secret")),
        attribute("http.host", text("shop.example")),
        attribute("http.status_code", number(503)),
        attribute("http.route", text("/cart/{id}")),
        attribute("db.statement", text("SELECT 1")),
        attribute("db.system", text("postgresql")),
    ];
    // Some senders write both while they change over: the stable ones count.
    let both =
        [stable.clone(), vec![attribute("http.method", text("GET")), attribute("db.system", text("x"))]];
    for attributes in [stable, old, both.concat()] {
        let (service, history) = receiver();
        let span = ProtoSpan { kind: 2, attributes, ..proto_span(1, 1, None) };
        let body = proto_request(vec![span]).encode_to_vec();
        assert_eq!(send(&service, request("/v1/traces", PROTOBUF, body)).await.0, StatusCode::OK);
        let trace = stored(&history, 1).await;
        let span = &trace.spans[0];
        assert_eq!((span.sql(), span.db_system()), (Some("SELECT 1"), Some("postgresql")));
        let row = trace.summary.expect("listed");
        assert_eq!(
            (row.method.as_str(), row.path.as_str(), row.host.as_str()),
            ("PUT", "/cart/1", "shop.example")
        );
        assert_eq!((row.route.as_str(), row.status, row.failed), ("/cart/{id}", 503, true));
    }
}
