use super::*;

const TEXT: &str = r#"# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{route="b \"c\"",empty=""} 5
# TYPE seconds histogram
seconds_bucket{le="+Inf"} 2
seconds_sum NaN
# TYPE level gauge
level{node="mine"} -Inf
"#;

#[test]
fn the_text_of_prometheus_becomes_series() {
    let external = [("node".to_owned(), "n-1".to_owned()), ("zone".to_owned(), String::new())].into();
    let (samples, about) = message::read(TEXT, &external);
    let text: Vec<String> = samples
        .iter()
        .map(|(labels, value)| {
            assert!(labels.is_sorted(), "{labels:?}");
            let labels: Vec<_> =
                labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
            format!("{} {value}", labels.join(","))
        })
        .collect();
    assert_eq!(
        text,
        [
            "__name__=requests_total,node=n-1,route=b \"c\" 5",
            "__name__=seconds_bucket,le=+Inf,node=n-1 2",
            "__name__=seconds_sum,node=n-1 NaN",
            "__name__=level,node=mine -inf",
        ]
    );
    let kinds: Vec<_> =
        about.iter().map(|about| (about.metric_family_name.as_str(), about.r#type(), &*about.help)).collect();
    use message::MetricType::{Counter, Gauge, Histogram};
    let expected =
        [("level", Gauge, ""), ("requests_total", Counter, "Requests."), ("seconds", Histogram, "")];
    assert_eq!(kinds, expected);
}

#[test]
fn only_failures_of_the_server_and_too_many_requests_are_sent_again() {
    let now = std::time::SystemTime::UNIX_EPOCH;
    let mut headers = HeaderMap::new();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("7"));
    for status in 200..600 {
        let outcome = answer::remote_write(status.try_into().expect("a status"), &headers, now);
        let right = match status {
            200..=299 => matches!(outcome, Outcome::Kept { rejected: 0, .. }),
            429 | 500..=599 => {
                matches!(outcome, Outcome::Again { pause: Some(pause), .. } if pause.as_secs() == 7)
            }
            _ => matches!(outcome, Outcome::Refused { .. }),
        };
        assert!(right, "{status}: {outcome:?}");
    }
}

#[test]
fn a_stale_marker_is_the_one_that_prometheus_knows() {
    assert!(STALE.is_nan() && STALE.to_bits() != f64::NAN.to_bits());
    let sample = Sample { value: STALE, timestamp: 1 };
    let read = Sample::decode(sample.encode_to_vec().as_slice()).expect("as written");
    assert_eq!(read.value.to_bits(), 0x7ff0_0000_0000_0002);
}

#[test]
fn names_of_labels_and_urls_are_checked() {
    for (name, good) in
        [("node", true), ("a1_b", true), ("", false), ("1a", false), ("a-b", false), ("__a", false)]
    {
        assert_eq!(is_label(name), good, "{name}");
    }
    assert_eq!(check_remote_write("https://prometheus.example/api/v1/write?tenant=a"), Ok(()));
    for url in ["prometheus:9090", "ftp://p", "http://", "http://me:word@p/write"] {
        assert!(check_remote_write(url).is_err_and(|why| !why.contains("word")), "{url}");
    }
}
