use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

use super::Signal;
use super::answer::{self, Backoff, Outcome};
use super::own::{self, Reporter};
use crate::otlp::status::{Delay, Detail, RetryInfo, Status};

fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
        .collect()
}

/// `None`: never again; else the pause that was asked for.
fn again(outcome: &Outcome) -> Option<Option<u64>> {
    match outcome {
        Outcome::Again { pause, .. } => Some(pause.map(|pause| pause.as_secs())),
        Outcome::Refused { .. } => None,
        Outcome::Kept { .. } => panic!("{outcome:?}"),
    }
}

#[test]
fn only_what_the_specification_names_is_sent_again_by_http() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let answered = |status: u16, head: &[(&'static str, &str)]| {
        let status = StatusCode::from_u16(status).expect("a status");
        answer::http(Signal::Metrics, status, &fields(head), b"", now)
    };
    for status in (300..600).filter(|status| ![429, 502, 503, 504].contains(status)) {
        assert_eq!(again(&answered(status, &[("retry-after", "1")])), None, "{status}");
    }
    for status in [429, 502, 503, 504] {
        let cases = [
            (None, None),
            (Some("7"), Some(7)),
            (Some("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10)),
            (Some("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0)),
            (Some("99999999"), Some(600)),
            (Some("soon"), None),
        ];
        for (value, pause) in cases {
            let head: Vec<_> = value.map(|value| ("retry-after", value)).into_iter().collect();
            assert_eq!(again(&answered(status, &head)), Some(pause), "{status} {value:?}");
        }
    }
    let partial = ExportMetricsPartialSuccess { rejected_data_points: 3, error_message: "no".into() };
    let body = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let kept = answer::http(Signal::Metrics, StatusCode::OK, &HeaderMap::new(), &body, now);
    assert_eq!(kept, Outcome::Kept { rejected: 3, why: "no".into() });
    assert_eq!(answered(200, &[]), Outcome::Kept { rejected: 0, why: String::new() });
}

#[test]
fn only_what_the_specification_names_is_sent_again_by_grpc() {
    let retry = RetryInfo { retry_delay: Some(Delay { seconds: 7, nanos: 5 }) }.encode_to_vec();
    let detail = Detail { type_url: RetryInfo::TYPE_URL.into(), value: retry };
    let status = Status { code: 14, message: String::new(), details: vec![detail] }.encode_to_vec();
    let answered = |code: u32, details: Option<String>| {
        let mut last = fields(&[("grpc-status", &code.to_string())]);
        if let Some(details) = details {
            last.insert("grpc-status-details-bin", details.parse().expect("a value"));
        }
        answer::grpc(Signal::Traces, StatusCode::OK, &last, b"")
    };
    for code in 1..17 {
        let expected = [1, 4, 10, 11, 14, 15].contains(&code).then_some(None);
        assert_eq!(again(&answered(code, None)), expected, "{code}");
        let told = expected.is_some() || code == 8;
        for encoded in [STANDARD.encode(&status), STANDARD_NO_PAD.encode(&status)] {
            assert_eq!(again(&answered(code, Some(encoded))), told.then_some(Some(7)), "{code}");
        }
    }
    assert_eq!(answered(0, None), Outcome::Kept { rejected: 0, why: String::new() });
    // What is no gRPC at all, as from a proxy in between.
    for (status, expected) in [(503, Some(None)), (429, Some(None)), (404, None), (401, None)] {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(
            again(&answer::grpc(Signal::Traces, status, &HeaderMap::new(), b"")),
            expected,
            "{status}"
        );
    }
}

#[test]
fn pauses_double_up_to_a_limit_with_jitter() {
    for chance in [0, 500, 1_000, u64::MAX] {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.next(chance)).collect();
        assert!(pauses.is_sorted() && pauses[39] <= Duration::from_secs(45), "{pauses:?}");
        assert_eq!(pauses[1], pauses[0] * 2);
        backoff.reset();
        assert_eq!(backoff.next(chance), pauses[0]);
    }
    let pause = |chance| Backoff::default().next(chance);
    assert_eq!((pause(0).as_millis(), pause(1_000).as_millis()), (250, 750));
}

const TEXT: &str = r#"# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{route="a \"b\" \\ \n c",le="x"} 5
requests_total 2

# TYPE size_bytes gauge
size_bytes{} 1.5
size_bytes{n="1"} NaN

# TYPE duration_seconds histogram
duration_seconds_bucket{route="r",le="0.1"} 2
duration_seconds_bucket{route="r",le="1"} 5
duration_seconds_bucket{route="r",le="+Inf"} 6
duration_seconds_sum{route="r"} 7.5
duration_seconds_count{route="r"} 6

# TYPE wait summary
wait{quantile="0.5"} 3
wait_sum 10
wait_count 4
"#;

#[test]
fn the_text_of_prometheus_becomes_otlp() {
    let reporter = Reporter { service: "gateway".into(), instance: "i".into(), start_ns: 1 };
    let (request, points) = own::request(TEXT, &reporter, 2);
    assert_eq!(points, 5);
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let metric = |name: &str| metrics.iter().find(|metric| metric.name == name).expect("present");
    let Some(Data::Sum(sum)) = &metric("requests_total").data else { panic!("{metrics:?}") };
    assert!(sum.is_monotonic && metric("requests_total").description == "Requests.");
    let text = format!("{:?}", sum.data_points[0].attributes);
    assert!(text.contains(r#"a \"b\" \\ \n c"#) && text.contains("\"le\""), "{text}");
    assert_eq!(sum.data_points[1].attributes, []);
    let Some(Data::Gauge(gauge)) = &metric("size_bytes").data else { panic!("{metrics:?}") };
    assert_eq!((gauge.data_points.len(), metric("size_bytes").unit.as_str()), (1, "By"));
    let Some(Data::Histogram(histogram)) = &metric("duration_seconds").data else { panic!("{metrics:?}") };
    let point = &histogram.data_points[0];
    assert_eq!(
        (point.bucket_counts.as_slice(), point.explicit_bounds.as_slice()),
        (&[2, 3, 1][..], &[0.1, 1.0][..])
    );
    assert_eq!((point.count, point.sum, point.attributes.len()), (6, Some(7.5), 1));
    let Some(Data::Summary(summary)) = &metric("wait").data else { panic!("{metrics:?}") };
    assert_eq!((summary.data_points[0].count, summary.data_points[0].quantile_values.len()), (4, 1));
}
