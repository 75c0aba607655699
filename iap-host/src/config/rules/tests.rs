use crate::config::{Environment, parse};

fn error(rules: &str) -> String {
    let text =
        format!("routes:\n  - {{name: a, path: '/users/{{id}}', respond: {{status: 200}}, {rules}}}\n");
    parse("iap.yaml", &text, &Environment::new()).unwrap_err().to_string()
}

#[test]
fn each_rule_says_what_is_wrong_with_it_and_how_to_mend_it() {
    for (rules, remedy) in [
        ("when: {methods: [get]}", "written in capitals: GET"),
        ("when: {methods: ['G T']}", "`G T` is no method"),
        ("when: {headers: {'x y': '*'}}", "`x y` is no field"),
        ("allow: [here]", "allow: `here` is no network"),
        ("redirect: {to: /x}", "more than one of"),
        ("rewrite: '/x/{user}'", "the path has no `{user}`"),
        ("rewrite: '/x/{'", "write each placeholder as"),
        ("rewrite: '/x/{*id}'", "write each placeholder as"),
        ("request_headers: {set: {host: x}}", "request_headers: `host` is not for a rule to change"),
        ("response_headers: {remove: ['a b']}", "`a b` is no name"),
        ("cors: {origins: [shop.example]}", "write `https://shop.example`"),
        ("cors: {origins: ['*'], credentials: true}", "name the origins"),
        ("rate_limits: [{requests: 0, per: 1m}]", "at least one request"),
        ("rate_limits: [{requests: 1, per: 1m, by: moon}]", "write client, session, user, route or"),
        ("rate_limits: [{requests: 1, per: 1m, by: session}]", "needs sessions on this route"),
        ("session: off, rate_limits: [{requests: 1, per: 1m, by: session}]", "needs sessions on this route"),
        ("rate_limits: [{requests: 1, per: 1m, by: user}]", "needs `auth`, or sessions"),
        ("auth: {basic: {users: u, realm: x}, bearer: {tokens: {}}}", ""),
        ("auth: {bearer: {tokens: {ci: plain}}}", "a secret is given by reference"),
        ("auth: {jwt: {}}", "either `keys`, a file, or"),
        ("auth: {jwt: {keys: k, secret: {env: S}}}", "either `keys`, a file, or"),
        ("auth: {jwt: {secret: plain}}", "a secret is given by reference"),
        ("auth: {jwt: {keys: k, audience: ['']}}", "fits no token"),
        ("auth: {jwt: {keys: k, leeway: 11m}}", "10m at most"),
        ("auth: {jwt: {keys: k, algorithm: none}}", "unknown field `algorithm`"),
        ("limits: {in_flight: 0}", "zero would let nothing through"),
        ("limits: {response: 0s}", "limits.response is about a server behind us"),
        ("compress: {level: 3}", "unknown field `level`"),
    ] {
        let error = error(rules);
        assert!(error.starts_with("iap.yaml:2:") && error.contains(remedy), "{rules}: {error}");
        assert!(!error.contains("plain"), "a secret leaked: {error}");
    }
}

#[test]
fn a_parameter_for_all_that_follows_has_its_place_at_the_end() {
    let check = |route: &str| {
        let text = format!("routes:\n  - {{name: a, respond: {{status: 200}}, {route}}}\n");
        parse("iap.yaml", &text, &Environment::new()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(check("path: '/a/{*rest}'"), Ok(()));
    assert!(check("path: '/{*rest}/b'").unwrap_err().contains("goes to the end of the path"));
    assert!(check("path: '/a/{*rest}', exact: true").unwrap_err().contains("not with `exact`"));
}

#[test]
fn the_time_for_a_response_is_one_of_routes_with_servers() {
    let limits = |target: &str, time: &str| {
        let text = format!("routes:\n  - {{name: a, {target}, limits: {{response: {time}}}}}\n");
        let config = parse("iap.yaml", &text, &Environment::new()).map_err(|error| error.to_string())?;
        let rules = config.routes[0].rules().unwrap().expect("a limit is a rule");
        Ok::<_, String>(rules.limits.response.map(|time| time.as_secs()))
    };
    assert_eq!(limits("upstream: {servers: [a]}", "5s"), Ok(Some(5)));
    assert_eq!(limits("process: {command: a}", "5s"), Ok(Some(5)));
    assert!(limits("upstream: {servers: [a]}", "0s").unwrap_err().contains("zero would let nothing through"));
    assert!(limits("files: web", "5s").unwrap_err().contains("use `limits.total` here"));
}

#[test]
fn a_route_with_all_rules_is_valid_and_one_without_has_none() {
    let text = "
routes:
  - name: api
    path: /api/{id}
    when: {methods: [GET, POST], headers: {x-beta: '*'}, query: {v: '2*'}}
    upstream: {servers: [http://127.0.0.1:1]}
    allow: [private]
    deny: [10.0.0.1]
    auth: {bearer: {tokens: {ci: {env: CI_TOKEN}}}}
    cors: {origins: ['https://*.shop.example'], credentials: true}
    rate_limits: [{requests: 100, per: 1m}, {requests: 5, per: 1s, by: 'header: x-api-key'}]
    limits: {body: 1MiB, total: 30s, response: 5s, in_flight: 100}
    rewrite: /v2/{id}{rest}
    request_headers: {set: {x-env: prod}}
    response_headers: {remove: [server]}
    compress: {enabled: true}
  - {name: old, path: /old, redirect: {to: 'https://{host}/new{rest}{query}'}}
  - {name: plain, path: /, respond: {status: 200}}
  - {name: files, path: '/files/{owner}/{*file}', rewrite: '/{file}', upstream: {servers: [a]}}
";
    let config = parse("iap.yaml", text, &Environment::new()).unwrap();
    let rules: Vec<_> = config.routes.iter().map(|route| route.rules().unwrap().is_some()).collect();
    assert_eq!(rules, [true, true, false, true]);
}
