use iap_apm::Retention;

use super::export::OtlpProtocol;
use super::*;
use crate::config::{Environment, SecretRef, parse};

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
        ("protocol: grpc", "an `endpoint` of OTLP, `remote_write`, or both"),
        ("endpoint: collector", "apm.export.endpoint: "),
        ("endpoint: 'http://me:word@collector'", "send tokens as headers"),
        ("endpoint: 'http://c/path', protocol: grpc", "has no path"),
        ("endpoint: 'http://c', protocol: http/json", "http/protobuf"),
        ("endpoint: 'http://c', headers: {'a b': {env: T}}", "is no name of a header"),
        ("endpoint: 'http://c', headers: {authorization: token}", "given by reference"),
        ("endpoint: 'http://c', interval: 10ms", "interval must be at least"),
        ("endpoint: 'http://c', timeout: 0s", "timeout longer than zero"),
        ("endpoint: 'http://c', metrics: false", "all off"),
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
        ("apm: {sql_parameters: yes}", "unknown variant `yes`, expected one of omit, mask, keep"),
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
    assert_eq!(usual.sql_parameters, iap_apm::SqlParameters::Omit);
    assert_eq!(read("apm: {sql_parameters: mask}").sql_parameters, iap_apm::SqlParameters::Mask);
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

#[test]
fn a_clickhouse_needs_its_address_only() {
    let read = |text: &str| parse("iap.yaml", &format!("apm: {{{text}}}"), &Environment::new());
    let least = read("max_age: 3d, clickhouse: {url: 'http://clickhouse'}").unwrap().apm;
    let clickhouse = least.clickhouse.clone().unwrap();
    assert_eq!((clickhouse.database.as_str(), clickhouse.timeout), ("iap", Span::seconds(30)));
    assert_eq!(clickhouse.retention.or(least.max_age), Retention::of_all(Span::seconds(3 * 86_400).0));
    let all = read(
        "clickhouse: {url: 'https://clickhouse', database: telemetry, user: iap, password: {env: P}, \
         tls: {ca: ca.pem}, timeout: 5s, pace: 1s, retention: {spans: 2d, events: 90d}}",
    );
    let apm = all.unwrap().apm;
    let clickhouse = apm.clickhouse.unwrap();
    let retention = clickhouse.retention.or(apm.max_age);
    assert_eq!((retention.spans, retention.logs), (Span::seconds(2 * 86_400).0, apm.max_age.0));
    let json = serde_json::to_value(&clickhouse).unwrap();
    assert_eq!(serde_json::from_value::<ClickHouseConfig>(json).unwrap(), clickhouse);
    for (text, part) in [
        ("database: d", "missing field `url`"),
        ("url: clickhouse", "apm.clickhouse.url: the address must begin with"),
        ("url: 'http://me:s3cret@c'", "set user, password and database"),
        ("url: 'http://c?user=me'", "set user, password and database"),
        ("url: 'http://c', database: 'a`b'", "apm.clickhouse.database: a plain name"),
        ("url: 'http://c', password: s3cret", "given by reference"),
        ("url: 'http://c', password: {env: P}", "it needs a user"),
        ("url: 'http://c', timeout: 10ms", "timeout must be at least"),
        ("url: 'http://c', pace: 1m", "pace at most"),
        ("url: 'http://c', retention: {logs: 1m}", "between `1h`"),
        ("url: 'http://c', retention: {all: 1d}", "unknown field"),
        ("url: 'http://c', tls: {ca: a.pem}", "https://"),
        ("url: 'https://c', tls: {key: a.pem}", "belong together"),
    ] {
        let message = read(&format!("clickhouse: {{{text}}}")).unwrap_err().to_string();
        assert!(message.contains(part) && !message.contains("s3cret"), "{text}: {message}");
    }
}

#[test]
fn a_remote_write_may_be_alone_and_what_is_wrong_with_it_is_named() {
    let alone = export("remote_write: {url: 'http://prometheus:9090/api/v1/write'}").unwrap();
    let least = alone.remote_write.as_ref().unwrap();
    assert_eq!((alone.endpoint.as_ref(), least.interval), (None, Span::seconds(15)));
    let both = export(
        "endpoint: 'http://c', remote_write: {url: 'https://p/write?t=1', basic_auth: {user: iap, password: {env: P}}, \
         headers: {x-scope-orgid: {env: T}}, interval: 30s, timeout: 5s, labels: {zone: a}, tls: {ca: ca.pem}}",
    );
    let both = both.unwrap();
    let json = serde_json::to_value(&both).unwrap();
    assert_eq!(serde_json::from_value::<ExportConfig>(json).unwrap(), both);
    for (text, part) in [
        ("interval: 5s", "missing field `url`"),
        ("url: prometheus", "apm.export.remote_write.url: "),
        ("url: 'http://me:word@p'", "send tokens as headers"),
        ("url: 'http://p', bearer: word", "given by reference"),
        ("url: 'http://p', bearer: {env: A}, basic_auth: {user: u, password: {env: P}}", "one of basic_auth"),
        ("url: 'http://p', bearer: {env: A}, headers: {Authorization: {env: P}}", "one of basic_auth"),
        ("url: 'http://p', basic_auth: {user: 'a:b', password: {env: P}}", "no `:`"),
        ("url: 'http://p', basic_auth: {user: u, password: word}", "given by reference"),
        ("url: 'http://p', headers: {'a b': {env: T}}", "is no name of a header"),
        ("url: 'http://p', interval: 10ms", "interval must be at least"),
        ("url: 'http://p', labels: {a-b: c}", "is no name of a label"),
        ("url: 'http://p', labels: {__name__: c}", "or reserved"),
        ("url: 'http://p', tls: {ca: a.pem}", "https://"),
        ("url: 'http://p', format: 2", "unknown field"),
    ] {
        let message = export(&format!("remote_write: {{{text}}}")).unwrap_err();
        assert!(message.contains(part) && !message.contains("word"), "{text}: {message}");
    }
    let message = export("traces: true, remote_write: {url: 'http://p'}").unwrap_err();
    assert!(message.contains("are of an endpoint"), "{message}");
}

#[test]
fn only_so_many_are_followed() {
    let follow =
        |text: &str| parse("iap.yaml", &format!("apm:\n  follow: {{{text}}}\n"), &Environment::new());
    let config = follow("users: [alice], clients: [192.0.2.7], routes: [pay]").unwrap();
    let all: Vec<_> = config.apm.follow.all().collect();
    let client = iap_apm::Follow::Client([192, 0, 2, 7].into());
    assert_eq!(all, [iap_apm::Follow::User("alice".into()), client, iap_apm::Follow::Route("pay".into())]);
    let many = vec!["u"; iap_apm::MAX_FOLLOWED].join(", ");
    let error = follow(&format!("users: [{many}], routes: [pay]")).unwrap_err().to_string();
    assert!(error.contains("apm.follow: at most 32"), "{error}");
}
