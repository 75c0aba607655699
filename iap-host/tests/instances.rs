//! Several hosts of one file: each runs its part, they see each other, and one is cloned, reloaded, deleted.

mod common;

use std::net::SocketAddr;

use common::http::{Response, get, send};
use common::instances::{Estate, GREEN, TOKEN, address};
use common::{eventually, host_command};
use serde_json::{Value, json};

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn hosts_of_one_file_run_their_parts_and_see_each_other() {
    let mut estate = Estate::new("");
    let (blue, green) = (estate.blue, estate.green);
    estate.start("blue", blue[1]);
    assert_eq!(get(blue[0], "/").text(), "first");
    let unreachable = estate.one("green");
    assert_eq!((&unreachable["state"], &unreachable["in_sync"]), (&json!("unreachable"), &Value::Null));
    estate.start("green", green[1]);
    let (own, other) = (estate.one("blue"), estate.one("green"));
    assert_eq!(
        (&own["own"], &own["state"], &own["in_sync"]),
        (&json!(true), &json!("running"), &json!(true))
    );
    assert_eq!(
        (&other["own"], &other["state"], &other["in_sync"]),
        (&json!(false), &json!("running"), &json!(true))
    );
    assert_eq!((&other["id"], &other["profiles"]), (&json!(GREEN), &json!(["plain"])));
    let profile = &estate.listed()["profiles"][0];
    assert_eq!((&profile["name"], &profile["used_by"]), (&json!("plain"), &json!(["blue", "green"])));
    assert!(estate.path().join("data/green/revisions").is_dir(), "by its name");

    let settings = get(green[1], "/api/config").json()["settings"].clone();
    let source = |path: &str| {
        let all = settings.as_array().unwrap();
        let found = all.iter().find(|setting| setting["path"] == path).unwrap();
        (found["source"].clone(), found["profile"].clone())
    };
    assert_eq!(source("log.format"), (json!("profile"), json!("plain")));
    assert_eq!(source("server.listen"), (json!("instance"), Value::Null));
    assert_eq!(source("routes[word].respond.status"), (json!("file"), Value::Null));
    assert_eq!(source("server.max_body"), (json!("default"), Value::Null));

    // What another process holds there is told apart from the instance.
    estate.stop("green");
    let other = std::net::TcpListener::bind(green[1]).unwrap();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let _ = std::io::Read::read(&mut stream, &mut [0; 1024]).unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    });
    assert_eq!(estate.one("green")["state"], "other");
    answers.join().unwrap();
}

#[test]
fn a_change_for_all_reaches_all_and_one_that_refuses_keeps_what_it_had() {
    let mut estate = Estate::new("");
    let (blue, green) = (estate.blue, estate.green);
    estate.start("blue", blue[1]);
    estate.start("green", green[1]);
    let second = estate.file().replace("body: first", "body: second");
    let plan = estate.change("POST", "/api/config", &json!({ "text": second, "dry_run": true })).json();
    assert_eq!(plan["instances"][0]["name"], "green", "{plan}");
    assert_eq!(plan["instances"][0]["changes"][0]["path"], "routes[word].respond.body");
    let applied = estate.change("POST", "/api/config", &json!({ "text": second, "reason": "a better word" }));
    assert!(matches!(applied.status, 200 | 202), "{}", applied.text());
    eventually("the file has it", || (estate.file() == second).then_some(()));
    assert_eq!((get(blue[0], "/").text().as_str(), get(green[0], "/").text().as_str()), ("second", "first"));
    assert_eq!(
        (&estate.one("blue")["in_sync"], &estate.one("green")["in_sync"]),
        (&json!(true), &json!(false))
    );
    let reloaded = estate.command(&["instances", "reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    assert!(text(&reloaded.stdout).contains("green: runs: routes"), "{}", text(&reloaded.stdout));
    assert_eq!(get(green[0], "/").text(), "second");
    assert_eq!(estate.one("green")["in_sync"], true);

    // Green would have to be started anew for this; blue would not.
    let third = second
        .replace("body: second", "body: third")
        .replace("'}\n", "', revisions: {directory: elsewhere}}\n")
        .replacen("', revisions: {directory: elsewhere}}", "'}", 3);
    std::fs::write(estate.path().join("iap.yaml"), &third).unwrap();
    assert_eq!(estate.one("green")["in_sync"], false, "{third}");
    let told = get_post(blue[1], "/api/instances/reload").json();
    let of = |name: &str| {
        let all = told["instances"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap().clone()
    };
    assert_eq!(of("blue")["done"], true, "{told}");
    assert_eq!(of("green")["done"], false, "{told}");
    assert!(of("green")["detail"].as_str().unwrap().contains("admin.revisions.directory"), "{told}");
    assert_eq!((get(blue[0], "/").text().as_str(), get(green[0], "/").text().as_str()), ("third", "second"));
}

fn get_post(admin: SocketAddr, path: &str) -> Response {
    send(admin, "POST", path, &[("content-type", "application/json")], b"").unwrap()
}

#[test]
fn one_is_cloned_runs_and_goes_again() {
    let mut estate = Estate::new("");
    let (blue, before) = (estate.blue, estate.file());
    estate.start("blue", blue[1]);
    let red = [address(), address()];
    let settings =
        json!({ "server": { "listen": red[0].to_string() }, "admin": { "listen": red[1].to_string() } });
    let mut new = json!({ "name": "red", "settings": settings, "dry_run": true });
    let plan = estate.change("POST", "/api/instances/green/clone", &new).json();
    assert!(plan["diff"].as_str().unwrap().contains("\n+  red:\n"), "{plan}");
    assert_eq!(plan["instances"], json!([{ "name": "red", "kind": "added", "changes": [] }]));
    assert_eq!((estate.file(), &plan["changes"]), (before.clone(), &json!([])), "nothing happens by looking");
    new["dry_run"] = false.into();
    new["id"] = plan["made"]["id"].clone();
    assert_eq!(estate.change("POST", "/api/instances/green/clone", &new).status, 400, "why?");
    new["reason"] = "one more".into();
    let unseen = send(
        blue[1],
        "POST",
        "/api/instances/green/clone",
        &[("content-type", "application/json")],
        new.to_string().as_bytes(),
    );
    assert_eq!(unseen.unwrap().status, 428);
    let made = estate.change("POST", "/api/instances/green/clone", &new);
    assert_eq!((made.status, &made.json()["revision"]["state"]), (200, &json!("stable")), "{}", made.text());
    assert!(estate.file().starts_with(&before), "all else stays: {}", estate.file());
    assert_eq!(estate.change("POST", "/api/instances/green/clone", &new).status, 409, "the name is taken");
    assert_eq!(estate.change("POST", "/api/instances/pink/clone", &new).status, 404);
    new["name"] = "../red".into();
    assert_eq!(estate.change("POST", "/api/instances/green/clone", &new).status, 422);

    estate.start("red", red[1]);
    assert_eq!(get(red[0], "/").text(), "first");
    let shown = estate.one("red");
    assert_eq!(
        (&shown["state"], &shown["in_sync"], &shown["id"]),
        (&json!("running"), &json!(true), &plan["made"]["id"])
    );
    goes(&mut estate, red, &before);
}

fn goes(estate: &mut Estate, red: [SocketAddr; 2], before: &str) {
    let destroy = json!({ "how": "destroy", "reason": "not needed" });
    assert_eq!(
        estate.change("DELETE", "/api/instances/blue", &destroy).status,
        409,
        "it is the one that answers"
    );
    assert_eq!(estate.change("DELETE", "/api/instances/red", &destroy).status, 409, "it answers");
    estate.stop("red");
    eventually("it is gone", || send(red[1], "GET", "/livez", &[], b"").err());
    let directory = estate.path().canonicalize().unwrap().join("data/red");
    assert!(directory.join("revisions").is_dir());
    let plan =
        estate.change("DELETE", "/api/instances/red", &json!({ "how": "destroy", "dry_run": true })).json();
    assert_eq!(plan["directories"], json!([directory.join("revisions")]), "{plan}");
    let gone = estate.change("DELETE", "/api/instances/red", &destroy);
    assert_eq!(
        (gone.status, &gone.json()["cleared"]["removed"]),
        (200, &plan["directories"]),
        "{}",
        gone.text()
    );
    assert!(!directory.exists() && estate.path().join("data/blue").exists());
    assert_eq!(estate.file(), before);
}

#[test]
fn the_command_line_does_the_same() {
    let mut estate = Estate::new("");
    let (blue, before) = (estate.blue, estate.file());
    estate.start("blue", blue[1]);
    let looked = estate.command(&["instances", "clone", "green", "red", "--dry-run"]);
    assert!(looked.status.success() && text(&looked.stdout).contains("\n+  red:\n"), "{looked:?}");
    assert_eq!(estate.file(), before);
    let made = estate.command(&[
        "instances",
        "clone",
        "green",
        "red",
        "--reason",
        "more",
        "--set",
        "server.drain=7s",
    ]);
    assert!(made.status.success(), "{made:?}");
    assert!(estate.file().contains("drain: \"7s\""), "{}", estate.file());
    let listed = estate.command(&["instances"]);
    let shown = text(&listed.stdout);
    assert!(shown.contains("* blue") || shown.contains("*  blue"), "{shown}");
    assert!(shown.contains("red") && shown.contains("unreachable") && shown.contains("in sync"), "{shown}");
    let json: Value =
        serde_json::from_slice(&estate.command(&["instances", "list", "--json"]).stdout).unwrap();
    assert_eq!(json["instances"].as_array().unwrap().len(), 3);
    let gone = estate.command(&["instances", "delete", "red", "--reason", "less"]);
    assert!(gone.status.success() && estate.file() == before, "{gone:?}");
    let none = estate.command(&["instances", "delete", "red", "--reason", "less"]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");

    let host = |arguments: &[&str]| host_command(estate.path()).args(arguments).output().unwrap();
    let valid = host(&["validate"]);
    assert!(text(&valid.stdout).contains("instance green: valid, 1 route(s)"), "{valid:?}");
    let unnamed = host(&["run"]);
    assert!(text(&unnamed.stderr).contains("there are `blue`, `green`"), "{unnamed:?}");
    let named = host_command(estate.path()).arg("validate").env("IAP_INSTANCE", "gren").output().unwrap();
    assert!(text(&named.stderr).contains("did you mean `green`?"), "{named:?}");
}

#[test]
fn who_asks_others_shows_a_token_and_who_only_looks_changes_nothing() {
    let access = "admin: {access: {tokens: {ops: {role: admin, token: {env: OPS}}}, anonymous: viewer}}\n";
    let mut estate = Estate::new(access);
    let (blue, green) = (estate.blue, estate.green);
    estate.start("blue", blue[1]);
    estate.start("green", green[1]);
    assert_eq!(estate.one("green")["state"], "running", "whoever comes may look");
    let new = json!({ "name": "red", "reason": "more" });
    assert_eq!(estate.change("POST", "/api/instances/green/clone", &new).status, 403);
    let bearer = format!("Bearer {TOKEN}");
    let fields = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let reload = || send(blue[1], "POST", "/api/instances/reload", &fields, b"").unwrap().json();
    let told = reload();
    assert_eq!(told["instances"][0]["name"], "green");
    assert!(told["instances"][0]["detail"].as_str().unwrap().contains("admin: {token: ...}"), "{told}");
    // With a token it may.
    let named = estate.file().replace(
        &format!("    id: {GREEN}\n"),
        &format!("    id: {GREEN}\n    admin: {{token: {{env: OPS}}}}\n"),
    );
    std::fs::write(estate.path().join("iap.yaml"), named).unwrap();
    reload();
    let told = reload();
    assert_eq!(told["instances"][0], json!({ "name": "green", "done": true, "changed": [], "detail": null }));
}
