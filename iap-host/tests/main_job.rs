//! The main job: one host in front of Tomcat, Flask and an embedded Rust service; sessions in
//! Redis, one trace a request.

mod common;

use common::http::Browser;
use common::{Flask, Host, Tomcat, eventually, free_port};
use iap_session::testing::RedisServer;
use serde_json::Value;

/// A host in front of all three kinds of applications, with sessions in Redis.
fn config(redis: &RedisServer, tomcat: u16, flask: u16) -> String {
    format!(
        "
{}routes:
  - {{name: shop, path: /, service: demo-shop}}
  - {{name: tomcat, path: /app, upstream: {{servers: ['http://127.0.0.1:{tomcat}']}}}}
  - {{name: examples, path: /examples, upstream: {{servers: ['http://127.0.0.1:{tomcat}']}}}}
  - {{name: flask, path: /flask, upstream: {{servers: ['http://127.0.0.1:{flask}']}}}}
",
        common::redis_sessions(redis)
    )
}

#[test]
fn three_kinds_of_applications_share_one_login_and_survive_a_restart() {
    let redis = RedisServer::start();
    let tomcat = Tomcat::start();
    let flask_port = free_port();
    let config = config(&redis, tomcat.port, flask_port);
    let host = Host::start(&config);
    let _flask = Flask::start(flask_port, host.otlp.unwrap());

    // Who each application thinks is there.
    let seen_by_all = |browser: &mut Browser, host: &Host| -> [Option<String>; 4] {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let flask = browser.get(host.http, "/flask/whoami").json();
        let jsp = browser.get(host.http, "/app/iap.jsp").json();
        let shop = browser.get(host.http, "/").text();
        let shop =
            shop.split("Signed in as <b>").nth(1).map(|rest| rest.split('<').next().unwrap().to_owned());
        let servlet = browser.get(host.http, "/examples/servlets/servlet/RequestHeaderExample").text();
        let servlet = servlet.split("iap-user").nth(1).and_then(|rest| rest.split("<td>").nth(1));
        let servlet = servlet.map(|rest| rest.split('<').next().unwrap().trim().to_owned());
        assert_eq!(text(&flask["header"]), text(&flask["session"]["user"]));
        [text(&flask["session"]["user"]), text(&jsp["user"]), shop, servlet]
    };
    let all = |user: &str| std::array::from_fn(|_| Some(user.to_owned()));

    let mut through_rust = Browser::default();
    assert_eq!(seen_by_all(&mut through_rust, &host), [None, None, None, None]);
    assert!(!through_rust.cookies.contains_key("iap-session"), "looking creates no session");
    assert_eq!(through_rust.post(host.http, "/login", "user=alice").status, 303);
    assert_eq!(seen_by_all(&mut through_rust, &host), all("alice"));

    let mut through_flask = Browser::default();
    through_flask.post(host.http, "/flask/login?user=bora", "");
    assert_eq!(seen_by_all(&mut through_flask, &host), all("bora"));

    let mut through_java = Browser::default();
    through_java.get(host.http, "/app/iap.jsp?login=chul");
    assert_eq!(seen_by_all(&mut through_java, &host), all("chul"));

    // An attribute written by Rust is read by Python, and the other way round.
    through_rust.post(host.http, "/cart", "product=3");
    let from_flask = through_rust.get(host.http, "/flask/whoami").json();
    assert_eq!(from_flask["session"]["attributes"]["cart"], serde_json::json!([3]));
    through_rust.post(host.http, "/flask/set?name=theme&value=dark", "");
    let from_java = through_rust.get(host.http, "/app/iap.jsp").json();
    assert_eq!(from_java["attributes"]["theme"], "dark");

    // A new gateway process: nobody is logged out.
    host.signal("-TERM");
    drop(host);
    let host = Host::start(&config);
    assert_eq!(seen_by_all(&mut through_rust, &host), all("alice"));
    assert_eq!(seen_by_all(&mut through_flask, &host), all("bora"));
    assert_eq!(seen_by_all(&mut through_java, &host), all("chul"));

    // The platform's cookie stays with the gateway; what a client sends in our names is removed.
    let cookie = format!("iap-session={}; other=1", through_rust.cookies["iap-session"]);
    let headers =
        [("cookie", cookie.as_str()), ("iap-user", "root"), ("iap_user", "root"), ("iap-session-token", "x")];
    let seen = common::http::send(host.http, "GET", "/flask/headers", &headers, &[]).unwrap().json();
    assert_eq!((&seen["cookie"], &seen["iap-user"]), (&"other=1".into(), &"alice".into()), "{seen}");
}

#[test]
fn one_tree_from_the_web_to_the_sql_of_another_process() {
    let flask_port = free_port();
    let config = format!(
        "
sessions: {{api: 127.0.0.1:0}}
routes:
  - {{name: flask, path: /flask, upstream: {{servers: ['http://127.0.0.1:{flask_port}']}}}}
"
    );
    let host = Host::start(&config);
    let _flask = Flask::start(flask_port, host.otlp.unwrap());
    let mut browser = Browser::default();
    browser.post(host.http, "/flask/login?user=alice", "");
    assert_eq!(browser.get(host.http, "/flask/items").json(), serde_json::json!(["pencil"]));

    let trace_id = eventually("the transaction is listed", || {
        let page = host.admin("/api/transactions?route=flask");
        let found = page["items"].as_array()?.iter().find(|row| row["path"] == "/flask/items")?.clone();
        found["trace_id"].as_str().map(str::to_owned)
    });
    let tree = eventually("Flask's own spans join", || {
        let trace = host.admin(&format!("/api/transactions/{trace_id}"));
        trace.to_string().contains("SELECT name FROM item").then_some(trace)
    });
    let root = &tree["tree"]["roots"][0];
    assert_eq!(tree["tree"]["roots"].as_array().unwrap().len(), 1, "{tree:#}");
    assert_eq!(root["span"]["name"], "GET flask");
    assert_eq!(tree["summary"]["user"], "alice");
    let names: Vec<&str> = root["children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|child| child["span"]["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"session.load") && names.contains(&"upstream"), "{names:?}");
    let path = |node: &Value, index: usize| node["children"][index].clone();
    let upstream = root["children"]
        .as_array()
        .unwrap()
        .iter()
        .find(|child| child["span"]["name"] == "upstream")
        .unwrap();
    let server =
        upstream["children"].as_array().unwrap().iter().find(|child| child["span"]["service"] == "flask-app");
    let server = server.unwrap_or_else(|| panic!("Flask's span below the upstream's: {upstream:#}"));
    assert_eq!(server["span"]["kind"], "server");
    let sql = path(server, 0);
    let statement = sql["span"]["attributes"]["db.query.text"]
        .as_str()
        .or(sql["span"]["attributes"]["db.statement"].as_str());
    assert_eq!(statement, Some("SELECT name FROM item WHERE price < ?"), "{sql:#}");
    assert!(
        server["span"]["duration_us"].as_u64().unwrap() <= upstream["span"]["duration_us"].as_u64().unwrap()
    );
}
