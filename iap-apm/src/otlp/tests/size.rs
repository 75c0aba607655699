//! How much of the disk spans take.

use super::*;

/// Spans of a trace, traces of a request.
const SPANS: u64 = 10;
const TRACES: u64 = 100;
/// What a span may take on the disk, with its share of the transaction and of all indexes.
const MOST_BYTES: u64 = 72;

fn mixed(n: u64) -> u64 {
    (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Ids are random, and some of ten attributes say something else in each span.
fn varied(trace: u64, at: u64) -> ProtoSpan {
    let n = trace * SPANS + at;
    let id = |n: u64| (mixed(n) | 1).to_be_bytes().to_vec();
    let number = |value| Some(AnyValue { value: Some(Any::IntValue(value)) });
    let start = (T0 + trace * 1_000 + at * 100) * 1_000;
    ProtoSpan {
        trace_id: [mixed(trace).to_be_bytes(), mixed(trace + 7).to_be_bytes()].concat(),
        span_id: id(n),
        parent_span_id: if at == 0 { Vec::new() } else { id(trace * SPANS) },
        name: format!("GET /shop/route{}/{{id}}", trace % 20),
        kind: if at == 0 { 2 } else { 3 },
        start_time_unix_nano: start,
        end_time_unix_nano: start + mixed(n) % 50_000_000,
        attributes: vec![
            attribute("http.request.method", text(["GET", "POST", "PUT"][(n % 3) as usize])),
            attribute("url.path", text(&format!("/shop/orders/{}", mixed(n) % 100_000))),
            attribute("http.route", text(&format!("/shop/route{}/{{id}}", trace % 20))),
            attribute("http.response.status_code", number(200)),
            attribute("server.address", text("shop.example")),
            attribute("server.port", number(8_080)),
            attribute("network.peer.address", text(&format!("10.0.{}.{}", n % 4, mixed(n) % 250))),
            attribute(
                "user_agent.original",
                text("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"),
            ),
            attribute("db.system.name", text("postgresql")),
            attribute("db.query.text", text(&format!("SELECT * FROM orders WHERE id = $1 LIMIT {}", n % 50))),
        ],
        ..ProtoSpan::default()
    }
}

#[tokio::test]
async fn spans_take_few_bytes_on_disk_and_are_found_by_their_trace() {
    let directory = tempfile::tempdir().expect("a directory");
    let history: Arc<dyn History> =
        Arc::new(SqliteHistory::open(directory.path(), SqliteOptions::default()).expect("a history"));
    let service = OtlpService::new(history.clone());
    for round in 0..20 {
        let traces = round * TRACES..(round + 1) * TRACES;
        let spans = traces.flat_map(|trace| (0..SPANS).map(move |at| varied(trace, at))).collect();
        let body = proto_request(spans).encode_to_vec();
        assert_eq!(send(&service, request("/v1/traces", PROTOBUF, body)).await.0, StatusCode::OK);
    }
    for trace in [0, 999, 1_999] {
        let id = varied(trace, 0).trace_id.try_into().map(iap_core::TraceId).expect("an id");
        let found = history.trace(id).await.expect("readable").expect("present");
        let start = T0 + trace * 1_000;
        assert_eq!((found.spans.len() as u64, found.spans[0].start_us), (SPANS, start));
    }
    drop((service, history));
    let files = std::fs::read_dir(directory.path()).expect("listed").map(|file| file.expect("listed"));
    let files = files.filter(|file| file.file_name().to_string_lossy().starts_with("apm-"));
    let bytes: u64 = files.map(|file| file.metadata().expect("there").len()).sum();
    let each = bytes / (20 * TRACES * SPANS);
    assert!(each <= MOST_BYTES, "{each} bytes a span");
}
