use std::time::Duration;

use iap_core::upstream::{Balance, HashBy, Hedge, InFlightLimits, Protocol, Sticky, UpstreamSettings};

use crate::config::{Config, Environment, TextOr, parse};

fn read(text: &str) -> Result<Config, String> {
    parse("iap.yaml", text, &Environment::new()).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_those_of_the_core() {
    let config = read("upstreams:\n  a: {servers: [x]}\n").unwrap();
    let settings = config.upstreams["a"].settings().unwrap();
    assert_eq!(format!("{settings:?}"), format!("{:?}", UpstreamSettings::default()));
    let blocks = "upstreams:\n  a: {servers: [x], health: {}, ejection: {}, retry: {}, limits: {total: 9}}\n";
    let settings = read(blocks).unwrap().upstreams["a"].settings().unwrap();
    assert_eq!(settings.health, Some(Default::default()));
    assert_eq!(settings.ejection, Some(Default::default()));
    assert_eq!(settings.retry, Some(Default::default()));
    let limits = InFlightLimits { total: Some(9), ..InFlightLimits::default() };
    assert_eq!(settings.limits, Some(limits));
}

#[test]
fn all_settings_reach_the_core_and_survive_a_round_trip() {
    let config = read(
        "upstreams:
  shop:
    servers:
      - {url: https://one:8443, name: node1, weight: 3}
      - {url: https://two:8443, name: node2}
    protocol: http2
    tls: {ca: ca.pem, server_name: shop.internal, certificate: c.pem, key: k.pem}
    balance: {hash: {header: X-Tenant}}
    sticky: {route: JSESSIONID}
    slow_start: 1m
    health: {path: /health, host: shop.internal, interval: 1s, expect: '204'}
    ejection: {failures: 2, base_time: 1s, max_time: 1m, max_percent: 100}
    retry: {attempts: 2, statuses: [503], on_timeout: true}
    hedge: {after: 200ms, budget_percent: 3}
    limits: {total: 100, per_server: 10, queue: 5}
    max_streams: 7
    forwarded: true
routes:
  - {name: a, path: /a, upstream: shop}
  - {name: b, path: /b, upstream: shop}
  - {name: c, path: /c, upstream: {servers: ['unix:/run/app.sock', 'h2c://grpc:50051'], balance: least-requests, sticky: {cookie: c}}}
",
    )
    .unwrap();
    let settings = config.upstreams["shop"].settings().unwrap();
    assert_eq!((settings.protocol, settings.max_streams), (Protocol::Http2, 7));
    assert!(settings.forwarded);
    assert_eq!(settings.balance, Balance::Hash(HashBy::Header("x-tenant".parse().unwrap())));
    assert_eq!(settings.sticky, Some(Sticky::Route { cookie: "JSESSIONID".into() }));
    assert_eq!(settings.slow_start, Some(Duration::from_secs(60)));
    assert_eq!(settings.health.unwrap().expect, 204..=204);
    assert_eq!(settings.ejection.unwrap().max_percent, 100);
    assert!(settings.retry.unwrap().on_timeout);
    assert_eq!(settings.hedge, Some(Hedge { after: Duration::from_millis(200), budget_percent: 3 }));
    assert_eq!(settings.limits.unwrap().per_server, Some(10));
    let tls = config.upstreams["shop"].tls().unwrap();
    assert_eq!(tls.client, Some(("c.pem".into(), "k.pem".into())));
    assert_eq!(config.routes[1].upstream, Some(TextOr::Text("shop".into())));
    let json = serde_json::to_value(&config).unwrap();
    assert_eq!(serde_json::from_value::<Config>(json).unwrap(), config);
}

#[test]
fn the_sample_shows_the_defaults() {
    let sample = include_str!("../../../../iap.yaml").lines();
    let block = sample.skip_while(|line| *line != "# upstreams:").take_while(|line| line.starts_with('#'));
    let text: String = block.map(|line| format!("{}\n", line.strip_prefix("# ").unwrap())).collect();
    let shop = read(&text).unwrap().upstreams.remove("shop").unwrap();
    let settings = shop.settings().unwrap();
    let default = UpstreamSettings::default();
    assert_eq!(settings.ejection, Some(Default::default()));
    assert_eq!(settings.retry, Some(Default::default()));
    assert_eq!(settings.hedge, Some(Hedge::after(Duration::from_millis(500))));
    let health =
        iap_core::upstream::HealthCheck { host: settings.health.clone().unwrap().host, ..Default::default() };
    assert_eq!(settings.health, Some(health));
    let limits = settings.limits.unwrap();
    assert_eq!((limits.queue, limits.queue_timeout), (100, Duration::from_secs(5)));
    let times = |settings: &UpstreamSettings| {
        [
            settings.connect_timeout,
            settings.response_timeout,
            settings.body_idle,
            settings.idle_timeout,
            settings.fail_pause,
            settings.resolve_every,
        ]
    };
    assert_eq!(times(&settings), times(&default));
    assert_eq!((settings.max_idle, settings.max_streams), (default.max_idle, default.max_streams));
    assert_eq!((settings.protocol, settings.balance), (default.protocol, default.balance));
    let tls = shop.tls().unwrap();
    assert!(tls.ca.is_some() && tls.client.is_some() && !tls.insecure_skip_verify);
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    for (block, place, remedy) in [
        ("{servers: []}", "3:6: upstream `a`: ", "at least one server"),
        ("{servers: [x], protocl: http2}", "3:21: ", "did you mean `protocol`?"),
        ("{servers: [{url: x, wait: 2}]}", "3:26: ", "unknown field `wait`"),
        ("{servers: [{url: x, weight: 0}]}", "3:6: ", "the weight of `x:80`"),
        ("{servers: [x, 'http://x:80']}", "3:6: ", "two servers are called `x:80`"),
        ("{servers: [x], tls: {}}", "3:6: ", "no server is written with https://"),
        ("{servers: ['https://x'], tls: {key: k}}", "3:6: ", "belong together"),
        ("{servers: ['https://x'], tls: {ca: c, insecure_skip_verify: true}}", "3:6: ", "believes anybody"),
        ("{servers: [x], balance: fastest}", "3:", "unknown variant `fastest`"),
        ("{servers: [x], balance: {hash: {header: 'a b'}}}", "3:6: ", "`a b` is no field name"),
        ("{servers: [x], sticky: {cookie: 'a;b'}}", "3:6: ", "`a;b` is no cookie name"),
        ("{servers: [x], sticky: {route: JSESSIONID}}", "3:6: ", "name: node1"),
        ("{servers: [x], health: {path: health}}", "3:6: ", "must begin with `/`"),
        ("{servers: [x], health: {expect: fine}}", "3:6: ", "like `200-399`"),
        ("{servers: [x], health: {interval: 0s}}", "3:6: ", "health.interval must be longer than zero"),
        ("{servers: [x], health: {fall: 0}}", "3:6: ", "health.fall must be at least 1"),
        ("{servers: [x], ejection: {max_percent: 101}}", "3:6: ", "from 0 to 100"),
        ("{servers: [x], ejection: {max_time: 1s}}", "3:6: ", "shorter than ejection.base_time"),
        ("{servers: [x], hedge: {after: 0s}}", "3:6: ", "hedge.after must be longer than zero"),
        ("{servers: [x], hedge: {}}", "3:", "after"),
        ("{servers: [x], retry: {attempts: 11}}", "3:6: ", "from 1 to 10"),
        ("{servers: [x], retry: {statuses: [200]}}", "3:6: ", "200 is not the status of a failure"),
        ("{servers: [x], limits: {per_server: 0}}", "3:6: ", "limits.per_server must be at least 1"),
        ("{servers: [x], limits: {queue: 5}}", "3:6: ", "limits bounds nothing"),
        ("{servers: [x], connect_timeout: 0s}", "3:6: ", "connect_timeout must be longer than zero"),
    ] {
        let message = read(&format!("# one\nupstreams:\n  a: {block}\n")).unwrap_err();
        assert!(message.starts_with(&format!("iap.yaml:{place}")) && message.contains(remedy), "{message}");
        // The same words for a block in a route.
        let message = read(&format!("routes:\n- name: r\n  upstream: {block}\n")).unwrap_err();
        assert!(message.contains(remedy), "{message}");
    }
    let message =
        read("upstreams: {shop: {servers: [x]}}\nroutes:\n- {name: r, upstream: shp}\n").unwrap_err();
    assert!(
        message.starts_with("iap.yaml:3:3: ") && message.contains("there is no upstream `shp`"),
        "{message}"
    );
    assert!(message.contains("`shop`"), "{message}");
}
