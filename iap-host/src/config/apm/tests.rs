use super::*;
use crate::config::{Environment, parse};

fn export(text: &str) -> Result<ExportConfig, String> {
    let text = format!("apm:\n  export: {{{text}}}\n");
    let config = parse("iap.yaml", &text, &Environment::new()).map_err(|error| error.to_string())?;
    Ok(config.apm.export.expect("an export"))
}

#[test]
fn an_export_needs_its_endpoint_only() {
    let least = export("endpoint: 'http://collector:4318'").unwrap();
    assert_eq!((least.protocol, least.metrics, least.traces), (OtlpProtocol::Http, true, false));
    assert_eq!((least.interval, least.timeout), (Span::seconds(60), Span::seconds(10)));
    let all = export(
        "endpoint: 'https://collector', protocol: grpc, headers: {authorization: {env: TOKEN}}, interval: 10s, \
         timeout: 2s, metrics: false, traces: true, tls: {ca: ca.pem}",
    );
    let all = all.unwrap();
    assert_eq!(all.headers["authorization"], SecretRef::Env("TOKEN".into()));
    let json = serde_json::to_value(&all).unwrap();
    assert_eq!(serde_json::from_value::<ExportConfig>(json).unwrap(), all);
}

#[test]
fn what_is_wrong_with_an_export_is_named() {
    let cases = [
        ("protocol: grpc", "missing field `endpoint`"),
        ("endpoint: collector", "apm.export.endpoint: "),
        ("endpoint: 'http://me:word@collector'", "send tokens as headers"),
        ("endpoint: 'http://c/path', protocol: grpc", "has no path"),
        ("endpoint: 'http://c', protocol: http/json", "http/protobuf"),
        ("endpoint: 'http://c', headers: {'a b': {env: T}}", "is no name of a header"),
        ("endpoint: 'http://c', headers: {authorization: token}", "given by reference"),
        ("endpoint: 'http://c', interval: 10ms", "interval must be at least"),
        ("endpoint: 'http://c', timeout: 0s", "timeout longer than zero"),
        ("endpoint: 'http://c', metrics: false", "both off"),
        ("endpoint: 'http://c', tls: {ca: a.pem}", "https://"),
        ("endpoint: 'https://c', tls: {key: a.pem}", "belong together"),
        ("endpoint: 'http://c', gzip: true", "unknown field"),
    ];
    for (text, part) in cases {
        let message = export(text).unwrap_err();
        assert!(message.contains(part) && !message.contains("word"), "{text}: {message}");
    }
    for (text, part) in [
        ("apm: {enabled: false, export: {endpoint: 'http://c'}}", "needs apm.enabled"),
        ("apm: {max_series: 0}", "larger than zero"),
        ("apm: {max_series_per_service: 0}", "larger than zero"),
        ("apm: {runtime: {interval: 100ms}}", "apm.runtime.interval must be at least"),
        ("apm: {runtime: {interval: 20s}}", "apm.runtime.store must not be shorter"),
        ("apm: {runtime: {stall: 1ms}}", "apm.runtime.stall must be at least"),
        ("apm: {runtime: {jvm: false}}", "unknown field"),
        ("apm: {otlp_tokens: [{secret: word}]}", "given by reference"),
        ("apm: {otlp_tokens: [{services: [shop]}]}", "missing field `secret`"),
        ("apm: {otlp_tokens: [{secret: {env: T}, services: ['']}]}", "has no name"),
        ("apm: {otlp_quota: {spans: 0/s}}", "larger than zero"),
        ("apm: {otlp_quota: {spans: 100}}", "is not a rate"),
        ("apm: {rollups: {minute: 20d}}", "apm.rollups: coarser figures"),
        ("apm: {rollups: {day: 20d}}", "unknown field"),
    ] {
        let message = parse("iap.yaml", text, &Environment::new()).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn senders_are_known_and_limited_as_it_says() {
    let read = |text: &str| parse("iap.yaml", text, &Environment::new()).unwrap().apm;
    let usual = read("apm: {}");
    assert!(usual.otlp_tokens.is_empty());
    assert_eq!(iap_apm::Rollups::from(&usual.rollups), iap_apm::Rollups::default());
    let apm = read(
        "apm:\n  otlp_tokens: [{secret: {env: SHOP}, services: [shop, cart]}, {secret: {file: all}}]\n  \
         otlp_quota: {spans: 100/s, points: all}\n  rollups: {minute: 1d, hour: 90d}\n",
    );
    assert_eq!(apm.otlp_tokens[0].services, ["shop", "cart"]);
    assert!(apm.otlp_tokens[1].services.is_empty());
    let quota = iap_apm::OtlpQuota::from(&apm.otlp_quota);
    assert_eq!((quota.spans, quota.logs, quota.points), (Some(100), Some(20_000), None));
    assert_eq!(apm.rollups.minute, Span::seconds(86_400));
}
