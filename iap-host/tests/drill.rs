//! What is below the figures of routes, as `docs/admin-api.md` promises it.

mod common;

use common::accounts::{self, Person};
use common::http::{Browser, get, send};
use common::{Host, eventually};
use serde_json::Value;

const CONFIG: &str = "
sessions: {api: 127.0.0.1:0}
routes:
  - {name: shop, path: /, service: demo-shop}
  - {name: broken, path: /broken, respond: {status: 500, body: 'no'}}
";

/// Transactions of [`busy_host`].
const ALL: usize = 20;

/// A host that has answered some requests, all of them in the history.
fn busy_host() -> Host {
    let host = Host::start(CONFIG);
    let mut browser = Browser::default();
    browser.post(host.http, "/login", "user=alice");
    browser.post(host.http, "/cart", "product=2");
    for _ in 0..9 {
        assert_eq!(get(host.http, "/broken").status, 500);
        browser.get(host.http, "/products");
    }
    host.lists(ALL);
    host
}

fn numbers(value: &Value) -> Vec<u64> {
    let list = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    list.iter().map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn spans_are_grouped_by_what_they_say() {
    let host = busy_host();
    let found = host.admin("/api/spans/groups?by=service,name,status&last_s=3600");
    let group = |name: &str, status: &str| {
        let groups = found["groups"].as_array().unwrap();
        groups.iter().find(|group| group["values"][1] == name && group["values"][2] == status).cloned()
    };
    let broken = group("GET broken", "error").expect("those that failed");
    assert_eq!((&broken["count"], &broken["errors"]), (&9.into(), &9.into()), "{broken}");
    let shop = group("GET shop", "unset").expect("those that went well");
    assert_eq!((&shop["count"], &shop["errors"]), (&9.into(), &0.into()), "{shop}");
    assert!(shop["total_us"].as_u64() >= shop["max_us"].as_u64());
    let stages = host.admin("/api/spans/groups?by=name&name=session.load&order=count");
    assert_eq!((&stages["found"], &stages["groups"][0]["values"][0]), (&1.into(), &"session.load".into()));
    let [first, more] = [1, 1_000].map(|limit| host.admin(&format!("/api/spans/groups?limit={limit}")));
    assert_eq!((&first["groups"][0], &first["found"]), (&more["groups"][0], &more["found"]));
    for refused in ["by=colour", "by=name,name", "by=service,name,kind,status", "order=best"] {
        let answer = get(host.admin, &format!("/api/spans/groups?{refused}"));
        assert_eq!(answer.status, 400, "{refused}: {}", answer.text());
    }
}

#[test]
fn a_scatter_has_all_that_a_list_has() {
    let host = busy_host();
    let listed = host.admin("/api/transactions?limit=1000");
    let mut rows: Vec<_> = listed["items"].as_array().unwrap().iter().rev().collect();
    rows.sort_by_key(|row| (row["start_us"].as_u64(), row["duration_us"].as_u64()));
    let found = host.admin("/api/points?ids=true");
    assert_eq!((found["count"].as_u64(), found["errors"].as_u64()), (Some(ALL as u64), Some(9)));
    assert_eq!(found["grid"], Value::Null);
    let points = &found["points"];
    let mut at = found["window"]["from_us"].as_u64().unwrap();
    for (index, since) in numbers(&points["since_us"]).into_iter().enumerate() {
        at += since;
        let row = rows[index];
        assert_eq!(Some(at), row["start_us"].as_u64());
        for (column, field) in
            [("duration_us", "duration_us"), ("status", "status"), ("trace_id", "trace_id")]
        {
            assert_eq!(points[column][index], row[field]);
        }
        let route = points["route"][index].as_u64().unwrap() as usize;
        assert_eq!(found["routes"][route], row["route"]);
        let failed = numbers(&points["failed"]).contains(&(index as u64));
        assert_eq!(failed, row["failed"].as_bool().unwrap());
    }
    assert_eq!(points["weight"], Value::Null, "each stands for itself");
    assert_eq!(host.admin("/api/points")["points"]["trace_id"], Value::Null, "ids only where asked for");
    assert_eq!(host.admin("/api/points?route=broken&errors=true")["count"], 9);

    let found = host.admin("/api/points?limit=5");
    let grid = &found["grid"];
    assert_eq!(numbers(&grid["count"]).iter().sum::<u64>(), ALL as u64);
    assert_eq!(numbers(&grid["errors"]).iter().sum::<u64>(), 9);
    let levels = numbers(&grid["levels_us"]);
    let highest = numbers(&grid["level"]).into_iter().max().unwrap() as usize;
    assert_eq!(levels.len(), highest + 2, "where the last one ends, too");

    // A box that was drawn: what is in it is listed.
    let slow = rows[3]["duration_us"].as_u64().unwrap();
    let inside = rows.iter().filter(|row| row["duration_us"].as_u64().unwrap() <= slow).count();
    let page = host.admin(&format!("/api/transactions?limit=1000&max_us={slow}"));
    assert_eq!(page["items"].as_array().unwrap().len(), inside);
}

#[test]
fn statements_errors_and_the_map_tell_what_the_shop_does() {
    let host = busy_host();
    let answer = host.admin("/api/statements?sort=count");
    assert_eq!(
        (answer["basis"]["kept"].as_u64(), answer["basis"]["truncated"].as_bool()),
        (Some(20), Some(false))
    );
    let found = answer["statements"].as_array().unwrap();
    let wanted = "SELECT name FROM product WHERE id = ?";
    let one = found.iter().find(|one| one["text"] == wanted).unwrap_or_else(|| panic!("{answer:#}"));
    assert_eq!((&one["count"], &one["errors"], &one["routes"][0]), (&1.into(), &0.into(), &"shop".into()));
    let path = format!("/api/statements/{}", one["id"].as_str().unwrap());
    let detail = host.admin(&path);
    assert_eq!(detail["statements"][0]["detail"]["callers"][0]["route"], "shop");
    assert_eq!(numbers(&detail["statements"][0]["detail"]["counts"]).iter().sum::<u64>(), 1);
    let example = &one["example"]["trace_id"];
    let trace = host.admin(&format!("/api/transactions/{}", example.as_str().unwrap()));
    assert_eq!(trace["summary"]["path"], "/cart");

    let errors = host.admin("/api/errors");
    assert_eq!((errors["failed"].as_u64(), errors["groups"].as_array().unwrap().len()), (Some(9), 1));
    let group = &errors["groups"][0];
    assert_eq!(
        (&group["kind"], &group["route"], &group["count"]),
        (&"HTTP 500".into(), &"broken".into(), &9.into())
    );
    assert_eq!(numbers(&group["series"]).iter().sum::<u64>(), 9);
    assert_eq!(host.admin("/api/errors?route=shop")["groups"], Value::Array(Vec::new()));

    let map = host.admin("/api/map");
    let edge = |from: &str, to: &str| {
        let edges = map["edges"].as_array().unwrap();
        let matches = |edge: &&Value| {
            edge["from"].as_str().unwrap().starts_with(from) && edge["to"].as_str().unwrap().starts_with(to)
        };
        edges.iter().find(matches).map(|edge| edge["calls"].as_u64().unwrap())
    };
    assert_eq!(edge("clients", "service:"), Some(ALL as u64), "{map:#}");
    assert!(edge("service:", "database:").is_some_and(|calls| calls > 9), "{map:#}");
    assert!(edge("service:", "session_store:").is_some(), "{map:#}");
}

#[test]
fn what_cannot_be_meant_is_refused_and_nothing_is_an_empty_answer() {
    let host = Host::start(CONFIG);
    for path in
        ["points?x=1", "statements?sort=x", "errors?last_s=x", "map?route=x", "points?from_us=5&to_us=4"]
    {
        assert_eq!(get(host.admin, &format!("/api/{path}")).status, 400, "{path}");
    }
    let unknown = get(host.admin, "/api/statements/0123456789abcdef");
    assert_eq!((unknown.status, unknown.json()["kind"].as_str()), (404, Some("not_found")));
    assert_eq!(host.admin("/api/points")["count"], 0);
    for (path, list) in [("statements", "statements"), ("errors", "groups"), ("map", "nodes")] {
        assert_eq!(host.admin(&format!("/api/{path}"))[list], Value::Array(Vec::new()), "{path}");
    }
}

#[test]
fn each_role_sees_what_it_may() {
    let host = accounts::host();
    assert_eq!(get(host.http, "/").status, 200);
    let [vera, dev, olga] = ["vera", "dev", "olga"].map(|name| Person::signed_in(&host, name));
    eventually("the transaction", || {
        (olga.get("/api/points").json()["count"].as_u64() == Some(1)).then_some(())
    });
    for path in ["/api/points", "/api/statements", "/api/statements/0", "/api/errors"] {
        assert_eq!(vera.get(path).status, 403, "{path}");
        assert_ne!(dev.get(path).status, 403, "{path}");
    }
    assert_eq!(vera.get("/api/map").json()["edges"][0]["from"], "clients");
    let (of_dev, of_olga) = (dev.get("/api/points?ids=true").json(), olga.get("/api/points?ids=true").json());
    // The windows differ by when they were asked for.
    for column in ["duration_us", "status", "route", "failed", "trace_id"] {
        assert_eq!(of_dev["points"][column], of_olga["points"][column], "{column}");
    }
    assert_eq!(dev.get("/api/points?user=kim").status, 403);
    assert_eq!(olga.get("/api/points?user=kim").json()["count"], 0);
}

#[test]
fn a_transaction_can_be_taken_elsewhere_as_otlp() {
    let host = busy_host();
    let page = host.admin("/api/transactions?route=shop&limit=1000");
    let id = page["items"].as_array().unwrap().iter().find(|row| row["path"] == "/cart").unwrap()["trace_id"]
        .clone();
    let path = format!("/api/transactions/{}", id.as_str().unwrap());
    let request = host.admin(&format!("{path}?format=otlp"));
    let other = Host::start("sessions: {enabled: false}\n");
    let kind = [("content-type", "application/json")];
    let sent =
        send(other.otlp.unwrap(), "POST", "/v1/traces", &kind, request.to_string().as_bytes()).unwrap();
    assert_eq!((sent.status, sent.text().as_str()), (200, "{}"));
    let (here, there) = (host.admin(&path), other.admin(&path));
    assert_eq!(there["span_count"], here["span_count"]);
    assert_eq!(there["tree"]["roots"], here["tree"]["roots"], "the same tree, the same attributes");
    assert_eq!(get(host.admin, &format!("{path}?format=x")).status, 400);

    let host = accounts::host();
    assert_eq!(get(host.http, "/").status, 200);
    let [dev, olga] = ["dev", "olga"].map(|name| Person::signed_in(&host, name));
    let id = eventually("the transaction", || {
        olga.get("/api/transactions").json()["items"][0]["trace_id"].as_str().map(str::to_owned)
    });
    let path = format!("/api/transactions/{id}?format=otlp");
    let client = |person: &Person| {
        let spans = person.get(&path).json()["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
        let root = spans.as_array().unwrap().iter().find(|span| span["name"] == "GET shop").unwrap().clone();
        let attributes = root["attributes"].as_array().unwrap().clone();
        let of = |name: &str| attributes.iter().find(|one| one["key"] == name).unwrap()["value"].clone();
        assert_eq!(of("http.route")["stringValue"], "shop");
        of("client.address")
    };
    assert_eq!(client(&olga)["stringValue"], "127.0.0.1");
    assert_eq!(client(&dev), Value::Null, "whose request it was");
}
