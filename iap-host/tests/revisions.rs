//! Configurations over the admin API: applied, tried out, taken back, and what is kept of them.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::accounts::{self, TOKEN};
use common::http::{Response, get, send};
use common::{FREE_PORTS, Host, eventually, host_command};
use serde_json::{Value, json};

/// A host whose only route answers so, and whose trials last for `watch`.
fn config(status: u16, body: &str, watch: &str) -> String {
    let admin = format!("admin: {{listen: 127.0.0.1:0, revisions: {{watch: {watch}}}}}");
    let ports = FREE_PORTS.replace("admin: {listen: 127.0.0.1:0}", &admin);
    format!(
        "# ours: {body}\n{ports}sessions: {{enabled: false}}\nroutes: [{{name: only, path: /, respond: {{status: {status}, body: {body}}}}}]\n"
    )
}

fn post(host: &Host, path: &str, fields: &[(&str, &str)], body: &Value) -> Response {
    let fields = [&[("content-type", "application/json")], fields].concat();
    send(host.admin, "POST", path, &fields, body.to_string().as_bytes()).unwrap()
}

fn etag(host: &Host) -> String {
    get(host.admin, "/api/config").header("etag").unwrap().to_owned()
}

/// Wants a text, having seen what runs.
fn apply(host: &Host, text: &str) -> Response {
    let wanted = json!({ "text": text, "reason": "because" });
    post(host, "/api/config", &[("if-match", &etag(host))], &wanted)
}

fn revision(host: &Host, number: u64) -> Value {
    host.admin(&format!("/api/config/revisions/{number}"))["revision"].clone()
}

/// What a revision ends as.
fn settled(host: &Host, number: u64) -> Value {
    eventually("the end of the trial", || {
        let revision = revision(host, number);
        (revision["state"] != "pending").then_some(revision)
    })
}

fn file(host: &Host) -> String {
    std::fs::read_to_string(host.path().join("iap.yaml")).unwrap()
}

#[test]
fn a_text_is_checked_applied_tried_out_and_written_as_it_is() {
    let first = config(200, "first", "1s");
    let host = Host::start_with(&first);
    let runs = host.admin("/api/config");
    assert_eq!((&runs["revision"]["number"], &runs["revision"]["origin"]), (&json!(1), &json!("start")));
    assert_eq!((&runs["text"], &runs["drift"], &runs["kept"]), (&json!(first), &Value::Null, &json!(true)));
    let source = |path: &str| {
        let all = runs["settings"].as_array().unwrap();
        all.iter().find(|setting| setting["path"] == path).unwrap()["source"].clone()
    };
    assert_eq!((source("server.drain"), source("server.max_body")), (json!("file"), json!("default")));

    let second = config(200, "second", "1s");
    let wrong = post(&host, "/api/config/validate", &[], &json!({ "text": second.replace("path", "paht") }));
    let error = wrong.json()["errors"][0].clone();
    assert_eq!((wrong.status, &error["line"]), (200, &json!(7)), "{error}");
    assert!(error["message"].as_str().unwrap().contains("did you mean `path`"), "{error}");
    let plan = post(&host, "/api/config", &[], &json!({ "text": second, "dry_run": true })).json();
    assert_eq!(plan["changes"], json!([{ "path": "routes[only].respond.body", "kind": "changed" }]));
    assert!(plan["diff"].as_str().unwrap().contains("\n-# ours: first\n+# ours: second\n"), "{plan}");

    let preview = host.admin("/api/config/preview?key=routes[].respond.body&value=third&route=only");
    assert_eq!(preview["changes"], plan["changes"], "{preview}");
    assert_eq!(get(host.admin, "/api/config/preview?key=server.max_body&value=1MiB").status, 404);
    assert_eq!(get(host.admin, "/api/config/preview?key=server.drain&value=soon").status, 400);
    assert_eq!(get(host.http, "/").text(), "first", "nothing happens by looking");

    let wanted = json!({ "text": second, "reason": "a better word" });
    let seen = etag(&host);
    assert_eq!(post(&host, "/api/config", &[], &wanted).status, 428);
    assert_eq!(post(&host, "/api/config", &[("if-match", "\"1-0\"")], &wanted).status, 412);
    let no_reason = json!({ "text": second });
    assert_eq!(post(&host, "/api/config", &[("if-match", &seen)], &no_reason).status, 400);
    let applied = post(&host, "/api/config", &[("if-match", &seen)], &wanted);
    assert_eq!(
        (applied.status, &applied.json()["revision"]["number"]),
        (202, &json!(2)),
        "{}",
        applied.text()
    );
    assert_eq!(
        (get(host.http, "/").text().as_str(), file(&host)),
        ("second", first.clone()),
        "it is tried out"
    );
    assert_eq!(host.admin("/api/config")["trial"]["revision"], 2);
    assert_eq!(apply(&host, &first).status, 409, "one at a time");
    let stable = settled(&host, 2);
    assert_eq!((&stable["state"], &stable["reason"]), (&json!("stable"), &json!("a better word")));
    assert_eq!(file(&host), second, "as it was written");
    assert_eq!(apply(&host, &second).json()["revision"]["number"], 2, "nothing new");
    assert_eq!(
        post(&host, "/api/config", &[("if-match", &seen)], &json!({ "text": first, "reason": "x" })).status,
        412
    );

    goes_back(&host, &first);
}

/// Takes the first one up again, and looks at what is kept.
fn goes_back(host: &Host, first: &str) {
    let back =
        post(host, "/api/config/rollback", &[], &json!({ "to": 1, "reason": "the old word was better" }));
    let back = (back.status, back.json()["revision"].clone());
    assert_eq!(
        (back.0, &back.1["number"], &back.1["restores"], &back.1["parent"]),
        (200, &json!(3), &json!(1), &json!(2))
    );
    assert_eq!((get(host.http, "/").text().as_str(), file(host)), ("first", first.to_owned()));
    let page = host.admin("/api/config/revisions?limit=2");
    assert_eq!(
        (&page["revisions"][0]["number"], &page["next"], &page["running"]),
        (&json!(3), &json!(2), &json!(3))
    );
    let rest = host.admin("/api/config/revisions?limit=2&cursor=2");
    assert_eq!((&rest["revisions"][0]["number"], &rest["next"]), (&json!(1), &Value::Null));
    assert_eq!(host.admin("/api/config/diff?from=1&to=3")["diff"], "");
    assert!(host.admin("/api/config/diff?from=2")["diff"].as_str().unwrap().contains("+# ours: first"));
    eventually("both on the time line", || {
        let told = host.admin("/api/timeline?kind=config_reloaded");
        (told["events"].as_array()?.len() == 2).then_some(())
    });
}

#[test]
fn what_cannot_run_is_refused_by_name_and_kept_as_failed() {
    let first = config(200, "first", "1s");
    let host = Host::start_with(&first);
    for (text, problem) in [
        (first.replace("path: /", "paht: /"), "did you mean `path`"),
        (first.replace("otlp: 127.0.0.1:0", "otlp: 127.0.0.1:1"), "apm: this cannot change"),
        (first.replace("admin: {listen: 127.0.0.1:0", "admin: {listen: 127.0.0.1:1"), "admin.listen: "),
    ] {
        let refused = apply(&host, &text);
        assert_eq!(refused.status, 422);
        assert!(refused.text().contains(problem), "{problem}: {}", refused.text());
    }
    assert_eq!(host.admin("/api/config/revisions")["revisions"].as_array().unwrap().len(), 1);
    let plan = json!({ "text": first.replace("otlp: 127.0.0.1:0", "otlp: 127.0.0.1:1"), "dry_run": true });
    assert_eq!(post(&host, "/api/config", &[], &plan).json()["needs_hand_over"], "apm");

    let nowhere = first.replace("respond: {status: 200, body: first}", "files: nowhere");
    let refused = apply(&host, &nowhere);
    assert_eq!((refused.status, &refused.json()["revision"]), (422, &json!(2)), "{}", refused.text());
    let failed = revision(&host, 2);
    assert_eq!(failed["state"], "failed");
    assert!(failed["error"].as_str().unwrap().contains("nowhere is not a directory"), "{failed}");
    let back = post(&host, "/api/config/rollback", &[], &json!({ "to": 2, "reason": "again" }));
    assert_eq!(back.status, 409, "it has never run");
    assert_eq!(post(&host, "/api/config/rollback", &[], &json!({ "to": 9, "reason": "again" })).status, 404);
    assert_eq!((get(host.http, "/").text().as_str(), file(&host)), ("first", first));
    assert_eq!(host.admin("/api/config")["revision"]["number"], 1);
}

#[test]
fn what_makes_requests_fail_is_taken_back_and_never_written() {
    let first = config(200, "first", "60s");
    let host = Host::start_with(&first);
    let stop = Arc::new(AtomicBool::new(false));
    let (told, address) = (stop.clone(), host.http);
    let load = std::thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            get(address, "/");
        }
    });
    eventually("requests before", || {
        let live = host.admin("/api/live");
        let seconds = live["live"]["seconds"].as_array()?.clone();
        // The last one is not over, and does not count.
        (seconds.iter().rev().skip(1).map(|second| second["count"].as_u64().unwrap()).sum::<u64>() > 20)
            .then_some(())
    });
    assert_eq!(apply(&host, &config(503, "broken", "60s")).status, 202);
    let failed = settled(&host, 2);
    stop.store(true, Ordering::Relaxed);
    load.join().unwrap();
    assert_eq!(failed["state"], "failed", "{failed}");
    let error = failed["error"].as_str().unwrap();
    assert!(
        error.starts_with("failed requests: 0.0 % before") && error.ends_with("revision 1 runs again"),
        "{error}"
    );
    assert_eq!((get(host.http, "/").text().as_str(), file(&host)), ("first", first));
    let runs = host.admin("/api/config");
    assert_eq!((&runs["revision"]["number"], &runs["trial"]), (&json!(1), &Value::Null));
}

#[test]
fn edits_of_the_file_are_seen_and_not_overwritten_unasked() {
    let first = config(200, "first", "0s");
    let host = Host::start_with(&first);
    host.write("iap.yaml", &config(200, "by-hand", "0s"));
    let drift = host.admin("/api/config")["drift"].clone();
    assert_eq!(drift["changes"][0]["path"], "routes[only].respond.body", "{drift}");
    let wanted = config(200, "by-api", "0s");
    let refused = apply(&host, &wanted);
    assert_eq!((refused.status, &refused.json()["reason"]), (409, &json!("drift")));
    assert!(file(&host).contains("by-hand") && get(host.http, "/").text() == "first");
    let told = json!({ "text": wanted, "reason": "theirs may go", "overwrite": true });
    let applied = post(&host, "/api/config", &[("if-match", "*")], &told);
    assert_eq!(
        (applied.status, &applied.json()["revision"]["state"]),
        (200, &json!("stable")),
        "nothing is tried out"
    );
    assert_eq!((get(host.http, "/").text().as_str(), file(&host)), ("by-api", wanted));

    // Read again, an edit is a revision of whoever asked for it.
    host.write("iap.yaml", &config(200, "edited", "0s"));
    host.signal("-HUP");
    let edited = eventually("the edit", || {
        Some(host.admin("/api/config")).filter(|runs| runs["revision"]["number"] == 3)
    });
    assert_eq!(
        (&edited["revision"]["author"], &edited["revision"]["origin"]),
        (&json!("signal"), &json!("file"))
    );
    assert_eq!(edited["drift"], Value::Null);
    std::fs::remove_file(host.path().join("iap.yaml")).unwrap();
    assert!(host.admin("/api/config")["drift"]["error"].as_str().unwrap().contains("iap.yaml"));
}

#[test]
fn a_process_that_is_killed_in_a_trial_comes_back_with_the_last_stable_one() {
    let directory = tempfile::tempdir().unwrap();
    let kept = |text: String| {
        text.replace("revisions: {", &format!("revisions: {{directory: '{}', ", directory.path().display()))
    };
    let first = kept(config(200, "first", "60s"));
    let mut host = Host::start_with(&first);
    assert_eq!(apply(&host, &kept(config(200, "second", "60s"))).status, 202);
    assert_eq!(get(host.http, "/").text(), "second");
    host.process.0.kill().unwrap();
    host.process.0.wait().unwrap();
    let again = Host::start_with(&file(&host));
    assert_eq!(get(again.http, "/").text(), "first");
    assert_eq!(again.admin("/api/config")["revision"]["number"], 1);
    let interrupted = revision(&again, 2);
    assert_eq!(interrupted["state"], "interrupted", "{interrupted}");

    // A stop in a trial says so as well.
    assert_eq!(apply(&again, &kept(config(200, "third", "60s"))).status, 202);
    let mut again = again;
    again.signal("-TERM");
    eventually("the end", || again.process.0.try_wait().unwrap());
    assert!(written(directory.path(), 3).contains("\"interrupted\""));
}

fn written(directory: &Path, number: u64) -> String {
    std::fs::read_to_string(directory.join(format!("{number:010}.json"))).unwrap()
}

#[test]
fn those_who_may_see_it_see_no_secrets_and_who_changes_it_is_an_admin() {
    let admin = "a-token-of-an-admin-00001";
    let host = accounts::host_with("    directory: access\n  revisions: {watch: 0s}\nops: {runbooks: {}}\n");
    let text = file(&host).replace(
        "tokens: {ci:",
        "tokens: {root: {role: admin, token: {file: admin-token}}, viewer: {role: viewer, token: {file: viewer-token}}, ci:",
    ) + "# upstreams once: http://kim:hunter2-and-more@10.0.0.1\n";
    host.write("admin-token", admin);
    host.write("viewer-token", "a-token-of-a-viewer-0001");
    host.write("iap.yaml", &text);
    host.signal("-HUP");
    let by = |token: &str| format!("Bearer {token}");
    let get = |token: &str, path: &str| {
        send(host.admin, "GET", path, &[("authorization", &by(token))], b"").unwrap()
    };
    eventually("the tokens", || (get(admin, "/api/config").status == 200).then_some(()));
    let seen = get("a-token-of-a-viewer-0001", "/api/config");
    assert_eq!(seen.status, 200);
    for shown in [seen.text(), get(admin, "/api/config").text(), get(admin, "/api/config/revisions/2").text()]
    {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let post = |token: &str, path: &str, body: &Value| {
        let fields = [("content-type", "application/json"), ("authorization", &by(token)), ("if-match", "*")];
        send(host.admin, "POST", path, &fields, body.to_string().as_bytes()).unwrap()
    };
    let shown = get(admin, "/api/config").json()["text"].as_str().unwrap().to_owned();
    let wanted =
        json!({ "text": shown.replace("body: hello", "body: welcome"), "reason": "kim's hunter2-and-more" });
    assert_eq!(post(TOKEN, "/api/config", &wanted).status, 403, "an operator does not");
    assert_eq!(post(TOKEN, "/api/config/validate", &json!({ "text": "routes: 1" })).json()["valid"], false);
    let begin = shown.find("redacted-").unwrap();
    let moved = format!("# {}\n{shown}", &shown[begin..begin + 21]);
    let moved = post(TOKEN, "/api/config/validate", &json!({ "text": moved })).text();
    assert!(moved.contains("would be seen here") && !moved.contains("hunter2"), "{moved}");
    let applied = post(admin, "/api/config", &wanted);
    assert_eq!(
        (applied.status, &applied.json()["revision"]["author"]),
        (200, &json!("root")),
        "{}",
        applied.text()
    );
    assert_eq!(file(&host), text.replace("body: hello", "body: welcome"), "what was not shown is not lost");
    let foreign = wanted["text"].as_str().unwrap().replace("redacted-", "redacted-0");
    let refused = post(admin, "/api/config", &json!({ "text": foreign, "reason": "more" }));
    assert_eq!((refused.status, &refused.json()["reason"]), (422, &json!("invalid")), "{}", refused.text());
    let audit = get(admin, "/api/audit").text();
    assert!(audit.contains("POST /api/config") && !audit.contains("kim:hunter2"), "{audit}");
}

#[test]
fn the_command_line_applies_waits_and_goes_back() {
    let first = config(200, "first", "1s");
    let host = Host::start_with(&first);
    let url = format!("http://{}", host.admin);
    let run = |arguments: &[&str]| {
        let output =
            host_command(host.path()).arg("config").args(arguments).args(["--url", &url]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text, String::from_utf8(output.stderr).unwrap())
    };
    host.write("next.yaml", &config(200, "second", "1s"));
    let checked = run(&["validate", "next.yaml"]);
    assert_eq!(
        (checked.0, checked.1.contains("changed  routes[only].respond.body")),
        (0, true),
        "{checked:?}"
    );
    let applied = run(&["apply", "next.yaml", "--reason", "a better word"]);
    assert_eq!((applied.0, applied.1.as_str()), (0, "revision 2: stable\n"), "{applied:?}");
    assert_eq!(get(host.http, "/").text(), "second");
    host.write("bad.yaml", "routes: [\n{nmae: x}]\n");
    let bad = run(&["apply", "bad.yaml", "--reason", "more"]);
    assert!(bad.0 == 1 && bad.1.starts_with("bad.yaml:2:"), "{bad:?}");
    let late = run(&["apply", "next.yaml", "--reason", "more", "--if-match", "\"1-0\""]);
    assert!(late.0 == 1 && late.1.contains("412"), "{late:?}");
    let diff = run(&["diff", "1", "2"]);
    assert!(
        diff.1.contains("--- revision 1\n+++ revision 2\n") && diff.1.contains("+# ours: second"),
        "{diff:?}"
    );
    let back = run(&["rollback", "1", "--reason", "the old word was better", "--json"]);
    let answer: Value = serde_json::from_str(&back.1).unwrap();
    assert_eq!((back.0, &answer["revision"]["restores"]), (0, &json!(1)), "{back:?}");
    let list = run(&["revisions"]);
    let newest = list.1.lines().nth(1).unwrap().to_owned();
    assert!(newest.starts_with("*      3") && newest.contains("the old word was better"), "{list:?}");
    let shown = run(&["show"]);
    assert!(shown.1.starts_with("# revision 3, ") && shown.1.ends_with(&first), "{shown:?}");
    assert!(run(&["show", "--settings"]).1.contains("file         server.drain = \"5s\""));
    let nobody =
        host_command(host.path()).args(["config", "show", "--url", "http://127.0.0.1:1"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(2));
}

#[test]
fn a_guarded_action_goes_back_and_a_change_of_who_may_do_what_is_not_for_it() {
    let watched = |body: &str, more: &str| {
        format!("{}ops: {{actions: {{watch: 1s{more}}}}}\n", config(200, body, "0s"))
    };
    let host = Host::start_with(&watched("first", ""));
    assert_eq!(apply(&host, &watched("second", "")).json()["revision"]["number"], 2);
    let back = |from: u64, to: u64| json!({ "action": { "kind": "rollback", "from": from, "to": to }, "why": "the old word was better" });
    for (from, to, problem) in [(1, 1, "revision 2 runs, not 1"), (2, 9, "there is no revision 9")] {
        let refused = post(&host, "/api/actions", &[], &back(from, to));
        assert!(refused.status == 400 && refused.text().contains(problem), "{}", refused.text());
    }
    let proposed = post(&host, "/api/actions", &[], &back(2, 1));
    assert_eq!(proposed.status, 201, "{}", proposed.text());
    let preview = proposed.json()["preview"].clone();
    let lines: Vec<&str> = preview.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(lines[0] == "1 settings would change" && lines.contains(&"+# ours: first"), "{lines:?}");
    assert_eq!(get(host.http, "/").text(), "second", "nothing happens by a proposal");
    let approve = json!({ "why": "seen it" });
    assert_eq!(post(&host, "/api/actions/1/approve", &[], &approve).status, 200);
    let done = eventually("the end", || {
        let action = host.admin("/api/actions")["actions"][0].clone();
        (!action["ended_ms"].is_null()).then_some(action)
    });
    assert_eq!(done["state"], "done", "{done}");
    let runs = host.admin("/api/config")["revision"].clone();
    assert_eq!(
        (&runs["number"], &runs["restores"], &runs["author"]),
        (&json!(3), &json!(1), &json!("local"))
    );
    assert_eq!(get(host.http, "/").text(), "first");
    let known = host.admin("/api/ask?q=recent+changes").to_string();
    assert!(known.contains("routes (revision 2)"), "{known}");

    assert_eq!(apply(&host, &watched("third", ", per_hour: 1")).json()["revision"]["number"], 4);
    let refused = post(&host, "/api/actions", &[], &back(4, 3));
    assert!(refused.status == 400 && refused.text().contains("an admin goes back"), "{}", refused.text());
}
