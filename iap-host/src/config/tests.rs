use super::*;

fn error(text: &str) -> String {
    parse("iap.yaml", text, &Environment::new()).unwrap_err().to_string()
}

/// Each text is refused with words that begin with the place and have the remedy.
fn refused(cases: &[(&str, &str, &str)]) {
    for (text, place, remedy) in cases {
        let message = error(text);
        assert!(message.starts_with(place) && message.contains(remedy), "{message}");
    }
}

#[test]
fn an_empty_file_is_the_defaults_and_they_survive_a_round_trip() {
    let config = parse("iap.yaml", "# nothing\n", &Environment::new()).unwrap();
    assert_eq!(config, Config::default());
    let json = serde_json::to_value(&config).unwrap();
    assert_eq!(json["sessions"]["idle"], "30m");
    assert_eq!(json["server"]["max_body"], "64MiB");
    assert_eq!(serde_json::from_value::<Config>(json).unwrap(), config);
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    refused(&[
        ("server:\n  lisen: 127.0.0.1:1\n", "iap.yaml:2:3: unknown field `lisen`", "did you mean `listen`?"),
        ("server:\n  drain: soon\n", "iap.yaml:2:10: ", "`soon` is not a duration"),
        ("server:\n  max_body: 5 parsecs\n", "iap.yaml:2:13: ", "is not a size"),
        ("server:\n  listen: here\n", "iap.yaml:2:11: ", "like 127.0.0.1:8080"),
        ("server:\n  workers: two\n", "iap.yaml:2:12: ", "a whole number"),
        ("server: {}\n---\nadmin: {}\n", "iap.yaml:", "more than one document"),
        ("server: fast\n", "iap.yaml:1:9: ", "a block of settings"),
        ("admin:\n  hosts: ops\n", "iap.yaml:2:10: ", "a list is expected"),
        ("server: {max_connections: 0}\n", "iap.yaml: ", "at least one connection"),
        ("log: {level: loud}\n", "iap.yaml: ", "log.level: write off"),
        ("log: {level: 'info,iap_core=loud'}\n", "iap.yaml: ", "log.level: write off"),
        ("apm: {history: ''}\n", "iap.yaml: ", "apm.history: write a directory"),
        ("admin: {hosts: ['https://ops.example/']}\n", "iap.yaml: ", "without scheme"),
        ("routes:\n  - {name: a, files: x, host: 'x.org:80'}\n", "iap.yaml:2:5: ", "is no host name"),
        ("server: {listen: '0.0.0.0:9900'}\n", "iap.yaml: ", "both listen on port 9900"),
        ("routes:\n  - {name: a, respond: {status: 101}}\n", "iap.yaml:2:5: ", "not a final status code"),
        ("server:\n  drain: 1s\n  drain: 2s\n", "iap.yaml:3:3: ", "duplicate"),
        ("server: [\n", "iap.yaml:", ""),
        ("routes:\n  - name: a\n    path: /\n", "iap.yaml:2:5: ", "leads nowhere"),
        (
            "routes:\n  - name: a\n    files: x\n    respond: {status: 200}\n",
            "iap.yaml:2:5: ",
            "more than one of",
        ),
        (
            "routes:\n  - name: a\n    files: x\n  - name: a\n    path: /b\n    files: z\n",
            "iap.yaml:4:5: ",
            "named `a`",
        ),
        ("routes:\n  - {name: a, files: x, path: b}\n", "iap.yaml:2:5: ", "must begin with `/`"),
        (
            "routes:\n  - name: a\n    upstream: {servers: ['ftp://x']}\n",
            "iap.yaml:2:5: ",
            "is not a server address",
        ),
        ("routes:\n  - {name: a, respond: {status: 99}}\n", "iap.yaml:2:5: ", "not a final status code"),
        (
            "server:\n  timeouts: {write: 0s}\n",
            "iap.yaml: ",
            "server.timeouts.write must be longer than zero",
        ),
        (
            "routes:\n  - name: a\n    upstream: {servers: ['http://x'], body_timeout: 0s}\n",
            "iap.yaml:2:5: ",
            "longer than zero",
        ),
        ("admin:\n  listen: 127.0.0.1:8080\n", "iap.yaml: ", "both listen on port 8080"),
    ]);
}

#[test]
fn errors_of_sessions_name_the_place_and_the_remedy() {
    refused(&[
        ("sessions: {api: '0.0.0.0:9901'}\n", "iap.yaml: ", "one they can reach"),
        ("sessions: {cookie: {name: __Host-x}}\n", "iap.yaml: ", "is no cookie name"),
        ("sessions: {cookie: {domain: x.org}}\n", "iap.yaml: ", "set `prefix: secure`"),
        ("sessions: {snapshot: sessions.snapshot}\n", "iap.yaml: ", "needs sessions.secret"),
        ("sessions: {header: 'a b'}\n", "iap.yaml: ", "no name of a header"),
        ("sessions: {sign: {key: text}}\n", "iap.yaml:1:24: ", "given by reference"),
        ("sessions: {bind: [ip]}\n", "iap.yaml:1:19: ", "expected one of address"),
        ("sessions: {groups: {a: {max_per_user: 0}}}\n", "iap.yaml: ", "sessions.groups.a.max_per_user"),
        ("sessions: {groups: {a: {max_per_user: 1, idle: 13h}}}\n", "iap.yaml: ", "longer than `absolute`"),
        ("routes:\n  - {name: a, files: x, session: {outage: stale}}\n", "iap.yaml:2:5: ", "near_cache"),
        ("routes:\n  - {name: a, service: demo-shop, session: maybe}\n", "iap.yaml:2:35: ", "`existing`"),
        (
            "routes:\n  - {name: a, service: demo-shop, session: {idle: 0s}}\n",
            "iap.yaml:2:5: ",
            "longer than zero",
        ),
        (
            "sessions: {store: redis, secret: {env: S}, redis: {url: 'tls://h:1'}}\n",
            "iap.yaml: ",
            "rediss:// for TLS",
        ),
        (
            "sessions: {store: redis, secret: {env: S}, redis: {url: 'redis://h:1', username: u}}\n",
            "iap.yaml: ",
            "needs a sessions.redis.password",
        ),
        ("sessions:\n  store: redis\n", "iap.yaml: ", "sessions.redis.url"),
        ("sessions:\n  adopt: {from: spring}\n", "iap.yaml:2:11: ", "source"),
        ("sessions:\n  adopt: {from: sprint, source: x}\n", "iap.yaml:2:17: ", "one of spring"),
    ]);
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    let message = error(
        "sessions:\n  store: redis\n  secret: {env: S}\n  redis: {url: 'redis://:hunter2@localhost:6379'}\n",
    );
    assert!(message.contains("sessions.redis.password") && !message.contains("hunter2"), "{message}");
    let message = error("sessions:\n  secret: hunter2\n");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn the_environment_lies_over_the_file() {
    let set = |pairs: &[(&str, &str)]| {
        let environment = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        parse("iap.yaml", "server: {drain: 5s}\n", &environment)
    };
    let config = set(&[
        ("IAP_SERVER__LISTEN", "0.0.0.0:80"),
        ("IAP_APM__ENABLED", "false"),
        ("IAP_SERVER__WORKERS", "3"),
        ("IAP_SESSION_SECRET", "not a setting"),
    ])
    .unwrap();
    assert_eq!(config.server.listen.port(), 80);
    assert_eq!(config.server.workers, Some(3));
    assert_eq!(config.server.drain, Span::seconds(5));
    assert!(!config.apm.enabled);
    let config = set(&[
        ("IAP_SESSIONS__STORE", "redis"),
        ("IAP_SESSIONS__REDIS__URL", "redis://db:6379"),
        ("IAP_SESSIONS__SECRET__ENV", "IAP_SESSION_SECRET"),
        ("IAP_ADMIN__HOSTS", "ops.example, console.example"),
        ("IAP_APM__HISTORY", "null"),
        ("IAP_LOG__LEVEL", "info,iap_core=debug"),
    ])
    .unwrap();
    assert_eq!(config.sessions.redis.unwrap().url, "redis://db:6379");
    assert_eq!(config.admin.hosts, ["ops.example", "console.example"]);
    assert_eq!(config.apm.history, None);
    for (name, part) in [
        ("IAP_SERVER_LISTEN", "IAP_SERVER__LISTEN"),
        ("IAP_ROUTES", "two underscores"),
        ("IAP_ROUTES__0", "no such setting"),
        ("IAP_SERVER", "two underscores"),
        ("IAP_SERVER__TLS__PORT", "no such setting"),
        ("IAP_SERVER__TLS__LISTEN", "missing field"),
    ] {
        let message = set(&[(name, "127.0.0.1:1")]).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(part), "{message}");
    }
    let message = set(&[("IAP_SERVER__LISEN", "x")]).unwrap_err().to_string();
    assert!(message.contains("IAP_SERVER__LISEN: there is no such setting"), "{message}");
    let message = set(&[("IAP_SERVER__LISTEN", "x")]).unwrap_err().to_string();
    assert!(message.contains("IAP_SERVER__LISTEN: "), "{message}");
}

#[test]
fn many_routes_are_checked_in_one_pass() {
    let routes: String =
        (0..5_000).map(|n| format!("  - {{name: r{n}, path: /r{n}, respond: {{status: 200}}}}\n")).collect();
    let config = parse("iap.yaml", &format!("routes:\n{routes}"), &Environment::new()).unwrap();
    assert_eq!(config.routes.len(), 5_000);
    let twice = format!("routes:\n{routes}  - {{name: r7, path: /x, respond: {{status: 200}}}}\n");
    assert!(error(&twice).starts_with("iap.yaml:5002:5: two routes are named `r7`"), "{}", error(&twice));
    assert!(error(&"# long\n".repeat(1 << 20)).contains("larger than 4 MiB"));
}

#[test]
fn units_are_exact() {
    for (text, millis) in
        [("1500ms", 1_500), ("90s", 90_000), ("2m", 120_000), ("1h", 3_600_000), ("7d", 604_800_000)]
    {
        let span: Span = serde_json::from_value(text.into()).unwrap();
        assert_eq!(span.0.as_millis(), millis, "{text}");
        assert_eq!(serde_json::to_value(span).unwrap(), text);
    }
    for bad in ["", "5", "s", "-1s", "1.5s", "5 weeks", "99999999999999999999s"] {
        assert!(serde_json::from_value::<Span>(bad.into()).is_err(), "{bad}");
    }
    assert!(serde_json::from_value::<Span>(0.into()).is_err());
    assert_eq!(serde_json::from_value::<ByteSize>("10".into()).unwrap(), ByteSize(10));
}

#[test]
fn the_sample_shows_the_defaults() {
    let sample = parse("iap.yaml", include_str!("../../../iap.yaml"), &Environment::new()).unwrap();
    assert_eq!(Config { routes: Vec::new(), ..sample.clone() }, Config::default());
    assert_eq!(sample.routes.len(), 1);
}

#[test]
fn the_public_side_is_checked() {
    for (text, remedy) in [
        ("{trusted_proxies: [10.0.0.0/40]}", "server.trusted_proxies: `10.0.0.0/40` is no network"),
        ("{proxy_protocol: [lb]}", "server.proxy_protocol: `lb` is no network"),
        ("{max_connections_per_client: 0}", "leave it out for no limit"),
        ("{request_id: {header: Cookie}}", "server.request_id.header: `Cookie`"),
        ("{request_id: {header: 'a b'}}", "server.request_id.header: `a b`"),
        ("{tls: {listen: '127.0.0.1:1', certificate: a, key: b, min_version: '1.0'}}", "1.2"),
        ("{timeouts: {tunnel: 0s}}", "server.timeouts.tunnel must be longer than zero"),
    ] {
        let error = error(&format!("server: {text}\n"));
        assert!(error.contains(remedy), "{text}: {error}");
    }
    let networks = networks(&["private".to_owned(), "192.0.2.0/24".to_owned()]).unwrap();
    assert!(networks.contains([10, 1, 1, 1].into()) && networks.contains([192, 0, 2, 1].into()));
}

#[test]
fn rates_are_read_as_they_are_written() {
    for (text, rate) in [("200/s", Rate::PerSecond(200)), ("0/s", Rate::PerSecond(0)), ("all", Rate::All)] {
        let config = parse("iap.yaml", &format!("apm: {{keep: {text}}}"), &Environment::new()).unwrap();
        assert_eq!((config.apm.keep, serde_json::to_value(rate).unwrap()), (rate, text.into()));
    }
    let environment = Environment::from([("IAP_APM__KEEP".to_owned(), "7/s".to_owned())]);
    assert_eq!(parse("iap.yaml", "", &environment).unwrap().apm.keep, Rate::PerSecond(7));
}

#[test]
fn errors_of_rates_and_slowness_name_the_place() {
    let cases = [
        ("apm:\n  keep: 200\n", "iap.yaml:2:9: ", "`200` is not a rate: write a whole number and /s"),
        ("apm:\n  keep: +1/s\n", "iap.yaml:2:9: ", "like `200/s`, or `all`"),
        ("apm:\n  keep: 5000000000/s\n", "iap.yaml:2:9: ", "is not a rate"),
        ("apm:\n  slow: fast\n", "iap.yaml:2:9: ", "`fast` is not a duration"),
        ("apm: {slow: 0s}\n", "iap.yaml: ", "apm.slow must be longer than zero"),
    ];
    for (text, start, part) in cases {
        let error = error(text);
        assert!(error.starts_with(start) && error.contains(part), "{text}: {error}");
    }
}

#[test]
fn the_schema_knows_each_setting_and_what_it_is_for() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false, "unknown keys are errors");
    let defaults = serde_json::to_value(Config::default()).unwrap();
    for (section, settings) in defaults.as_object().unwrap() {
        let block = &schema["properties"][section];
        let name = block["$ref"].as_str().map(|name| name.rsplit('/').next().unwrap());
        let Some(name) = name else { continue };
        for setting in settings.as_object().unwrap().keys() {
            let known = &schema["$defs"][name]["properties"][setting];
            assert!(known.is_object(), "{section}.{setting}");
        }
    }
    let drain = &schema["$defs"]["ServerConfig"]["properties"]["drain"];
    assert!(drain["description"].as_str().is_some_and(|text| !text.is_empty()), "{drain}");
}

/// A provider with one setting more, or another one.
fn oidc(line: &str) -> String {
    let mut lines = vec!["issuer: https://id.example", "client_id: iap", "roles: {ops: operator}"];
    let name = line.split(':').next().unwrap_or_default();
    match lines.iter_mut().find(|known| known.starts_with(&format!("{name}:"))) {
        Some(known) => *known = line,
        None => lines.push(line),
    }
    let lines: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    format!("admin:\n  access:\n    oidc:\n{lines}")
}

#[test]
fn errors_of_a_provider_stand_where_it_is() {
    let cases = [
        ("issuer: id.example", "4:15", "write it as the provider does"),
        ("issuer: http://id.example", "4:15", "https:// is needed"),
        ("issuer: https://id.example/?tenant=1", "4:15", "no query"),
        ("issuer: https://kim@id.example/", "4:15", "no issuer"),
        ("client_id: ''", "5:18", "between 1 and 512"),
        ("client_secret: hunter2", "7:22", "given by reference"),
        ("roles: {}", "6:14", "values of the claim"),
        ("roles: {ops: boss}", "6:20", "unknown variant"),
        ("scopes: [profile]", "7:15", "`openid` must be among"),
        ("scopes: [openid, 'a b']", "7:15", "a scope is a word"),
        ("external_url: https://ops.example/console", "7:21", "scheme and host alone"),
        ("lifetime: 5s", "7:17", "at least `1m`"),
        ("name_claim: ''", "7:19", "between 1 and 512"),
        ("roles_clam: groups", "7:7", "did you mean `roles_claim`?"),
    ];
    for (line, place, remedy) in cases {
        let message = error(&oidc(line));
        assert!(message.starts_with(&format!("iap.yaml:{place}: ")) && message.contains(remedy), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    let far = oidc("external_url: https://ops.example");
    assert!(error(&far).contains("admin.access.secure: set it"), "{}", error(&far));
    assert!(error(&format!("{far}    secure: true\n")).contains("admin.hosts: `ops.example` is missing"));
    assert!(
        parse("iap.yaml", &format!("{far}    secure: true\n  hosts: [ops.example]\n"), &Environment::new())
            .is_ok()
    );
}

#[test]
fn a_provider_alone_lets_people_in_and_its_urls_are_as_browsers_write_them() {
    let config = |line: &str| {
        let config = parse("iap.yaml", &oidc(line), &Environment::new()).unwrap();
        config.admin.access.and_then(|access| access.oidc).unwrap()
    };
    let usual = config("end_session: true");
    assert_eq!((usual.roles_claim.as_str(), usual.name_claim.as_str()), ("groups", "preferred_username"));
    assert_eq!(usual.lifetime, Span::seconds(8 * 3_600));
    assert_eq!(config("issuer: http://[::1]:8080/realm").issuer, "http://[::1]:8080/realm");
    let url = config("external_url: 'HTTP://LOCALHOST:80/'").external_url;
    assert_eq!(url.as_deref(), Some("http://localhost"));
}
