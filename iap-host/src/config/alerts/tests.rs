use super::super::{Config, Environment, parse};

fn alerts(settings: &str) -> Result<Config, String> {
    let routes = "routes: [{name: shop, path: /, respond: {status: 200}}]\n";
    let text = format!("{routes}alerts: {{{settings}}}\n");
    parse("iap.yaml", &text, &Environment::new()).map_err(|error| error.to_string())
}

#[test]
fn rules_of_each_kind_are_read() {
    let config = alerts(
        "channels: {ops: {webhook: {url: {env: HOOK}, secret: {env: S}}}, chat: {slack: {url: {file: url}}},
          mail: {mail: {host: localhost, port: 25, security: none, from: a@example.com, to: [b@example.com]}}},
         rules: [
          {name: a, measure: error_percent, above: 5, over: 1m, for: 2m, recovers_at: 1, min_requests: 20, notify: [ops, mail]},
          {name: b, route: shop, measure: apdex, apdex: 500ms, below: 0.8, severity: critical},
          {name: c, slo: {objective: 99.9, faster_than: 300ms}, above: 14.4},
          {name: d, metric: {name: queue.depth, function: max, labels: {queue: mail}, by: [host]}, above: 100},
          {name: e, metric: {name: heartbeat, service: batch}, absent: true}]",
    )
    .unwrap();
    let rules = config.alerts.rules().unwrap();
    assert_eq!(rules.iter().map(|rule| rule.over.as_secs()).collect::<Vec<_>>(), [60, 300, 3600, 300, 300]);
    assert_eq!(rules[0].channels, ["ops", "mail"]);
}

#[test]
fn rules_that_do_not_fit_are_named() {
    for (rule, part) in [
        ("measure: p95", "one of `above`, `below` and `absent: true`"),
        ("measure: p95, above: 1, below: 2", "one of `above`"),
        ("above: 1", "one of `measure`, `slo` and `metric`"),
        ("measure: apdex, below: 1", "apdex: what counts as fast"),
        ("measure: p95, apdex: 1s, above: 1", "belongs to `measure: apdex`"),
        ("measure: p95, above: 1, route: nowhere", "there is no route `nowhere`"),
        ("measure: p95, above: 1, notify: [nobody]", "there is no channel `nobody`"),
        ("measure: p95, above: 1, over: 1s", "over: from 10s to 24h"),
        ("metric: {name: x}, above: 1, route: shop", "a metric has labels"),
        ("measure: fastest, above: 1", "fastest"),
    ] {
        let message = alerts(&format!("rules: [{{name: a, {rule}}}]")).expect_err(part);
        assert!(message.contains(part), "{message}");
    }
    let twice = "rules: [{name: a, measure: rate, absent: true}, {name: a, measure: rate, absent: true}]";
    assert!(alerts(twice).expect_err("one name").contains("the same name"));
    let plain = "channels: {ops: {webhook: {url: 'http://hooks/hunter2'}}}";
    let message = alerts(plain).expect_err("a URL is a secret");
    assert!(message.contains("by reference") && !message.contains("hunter2"), "{message}");
}
