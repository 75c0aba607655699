//! Incidents of a running host: detected, explained, known to somebody, over, and kept over a restart.

mod common;
#[path = "common/description.rs"]
mod description;

use common::http::{get, send};
use common::{Host, eventually, host_command};
use description::Description;
use serde_json::{Value, json};

/// Rounds after which what is usual is known.
const KNOWN: u64 = 16;

/// A host that looks each second, in front of another one.
fn config(upstream: &Host) -> String {
    format!(
        "\
server: {{listen: 127.0.0.1:0, drain: 1s}}
admin: {{listen: 127.0.0.1:0}}
apm: {{otlp: 127.0.0.1:0, detection: {{interval: 1s}}}}
sessions: {{enabled: false}}
log: {{format: json}}
upstreams:
  pay: {{servers: ['http://{}'], fail_pause: 10ms}}
routes:
  - {{name: pay, path: /pay, upstream: pay}}
  - {{name: home, path: /, respond: {{status: 200, body: 'hello'}}}}
",
        upstream.http
    )
}

fn upstream() -> Host {
    Host::start(
        "sessions: {enabled: false}\nroutes: [{name: all, path: /, respond: {status: 200, body: 'paid'}}]\n",
    )
}

fn ack(host: &Host, id: u64, body: &Value) -> (u16, Value) {
    let headers = [("content-type", "application/json")];
    let path = format!("/api/incidents/{id}/ack");
    let answer = send(host.admin, "POST", &path, &headers, body.to_string().as_bytes()).unwrap();
    (answer.status, answer.json())
}

fn requests(host: &Host) {
    for path in ["/pay", "/pay", "/"] {
        get(host.http, path);
    }
}

#[test]
fn a_dead_upstream_is_an_incident_with_its_cause_until_it_is_over_and_over_a_restart() {
    let other = upstream();
    let text = config(&other);
    let mut host = Host::start_with(&text);
    let settings = host.path().join("iap.yaml");
    eventually("what is usual is known", || {
        requests(&host);
        let list = host.admin("/api/incidents");
        assert_eq!(list["incidents"], json!([]), "nothing is wrong yet");
        (list["watched"]["rounds"].as_u64()? >= KNOWN).then_some(())
    });
    drop(other);
    let found = eventually("the incident", || {
        requests(&host);
        let list = host.admin("/api/incidents?state=active&lang=ko");
        let found = list["incidents"].as_array()?.iter().find(|one| one["cause"]["kind"] == "upstream")?;
        // Looked into again when more is known.
        (found["cause"]["impact"]["affected"].as_u64()? > 0).then(|| found.clone())
    });
    assert_eq!((&found["state"], &found["cause"]["upstream"]), (&json!("open"), &json!("pay")), "{found:#}");
    assert!(found["story"]["impact"].as_str().unwrap().contains('건'), "{found:#}");
    let kinds: Vec<_> =
        found["cause"]["evidence"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert!(kinds.contains(&&json!("trace")) && kinds.contains(&&json!("server")), "{found:#}");
    let id = found["id"].as_u64().unwrap();

    for question in ["지금 문제의 원인을 알려줘", "what is wrong right now?", "incidents of today"]
    {
        let encoded: String = question.bytes().map(|b| format!("%{b:02X}")).collect();
        let answer = host.admin(&format!("/api/ask?q={encoded}"));
        assert_eq!(answer["outcome"], "problems", "{answer:#}");
        assert!(answer.to_string().contains("pay"), "{question}: {answer:#}");
    }

    assert_eq!(ack(&host, 999, &json!({"who": "alice"})).0, 404);
    assert_eq!(ack(&host, id, &json!({"who": " "})).0, 400);
    let (status, known) = ack(&host, id, &json!({"who": "alice", "note": "I look"}));
    assert_eq!((status, &known["state"]), (200, &json!("acknowledged")));

    assert_told_in_the_terminal(&host, id);
    let description = Description::of(&host);
    description.approve("/api/incidents", &host.admin("/api/incidents"));
    description.approve("/api/incidents/{id}", &host.admin(&format!("/api/incidents/{id}?lang=ko")));

    // Another process goes on from what was kept.
    host.signal("-KILL");
    host.process.0.wait().unwrap();
    let again = restart(&host, &settings);
    let kept = again.admin(&format!("/api/incidents/{id}"));
    assert_eq!((&kept["state"], &kept["acks"][0]["who"]), (&json!("acknowledged"), &json!("alice")));
    assert_eq!(kept["cause"]["upstream"], "pay");
    assert_eq!(get(again.admin, "/api/incidents/12345").status, 404);
    assert_eq!(get(again.admin, "/api/incidents?state=closed").status, 400);
}

/// The same by `iap-host incidents`.
fn assert_told_in_the_terminal(host: &Host, id: u64) {
    let (url, id) = (format!("http://{}", host.admin), id.to_string());
    let told = |arguments: &[&str]| {
        let mut command = host_command(host.path());
        let output = command.arg("incidents").args(arguments).args(["--url", &url]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = told(&["--state", "acknowledged"]);
    assert!(
        list.contains("upstream") && list.lines().any(|line| line.trim_start().starts_with(&id)),
        "{list}"
    );
    let story = told(&["show", &id, "--lang", "ko"]);
    assert!(story.contains('건') && story.contains("alice I look"), "{story}");
    let known = told(&["ack", &id, "--who", "kim", "--note", "me too"]);
    assert!(known.starts_with(&format!("incident {id} is acknowledged: ")), "{known}");
    let top =
        host_command(host.path()).args(["top", "--once", "--view", "incidents", "--url", &url]).output();
    assert!(String::from_utf8(top.unwrap().stdout).unwrap().contains("acknowledged"));
}

/// Starts the host again on the history of the one before.
fn restart(before: &Host, settings: &std::path::Path) -> Host {
    let text = std::fs::read_to_string(settings).unwrap();
    let history = before.path().join("data/history");
    let text = text.replace("apm: {", &format!("apm: {{history: '{}', ", history.display()));
    Host::start_with(&text)
}

#[test]
fn an_incident_is_over_when_things_are_well_again_and_takes_nothing_up_afterwards() {
    let mut other = upstream();
    let port = other.http;
    let host = Host::start_with(&config(&other));
    let known = || {
        requests(&host);
        (host.admin("/api/incidents")["watched"]["rounds"].as_u64()? >= KNOWN).then_some(())
    };
    eventually("what is usual is known", known);
    let mut ids = Vec::new();
    for _ in 0..2 {
        drop(other);
        let id = eventually("the incident", || {
            requests(&host);
            let list = host.admin("/api/incidents?state=active");
            list["incidents"].as_array()?.iter().find(|one| one["cause"]["kind"] == "upstream")?["id"]
                .as_u64()
        });
        other = Host::start_with(&format!(
            "server: {{listen: {port}, drain: 1s}}\nadmin: {{listen: 127.0.0.1:0}}\napm: {{otlp: 127.0.0.1:0}}\n\
             log: {{format: json}}\nsessions: {{enabled: false}}\n\
             routes: [{{name: all, path: /, respond: {{status: 200, body: 'paid'}}}}]\n"
        ));
        eventually("it is over", || {
            requests(&host);
            (host.admin(&format!("/api/incidents/{id}"))["state"] == "resolved").then_some(())
        });
        assert_eq!(ack(&host, id, &json!({"who": "late"})).0, 409);
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1], "what is resolved takes nothing up");
    let second = host.admin(&format!("/api/incidents/{}", ids[1]));
    assert_eq!(second["previous"], ids[0]);
    assert_pages_are_whole(&host);
}

/// Page by page there is what one large page has.
fn assert_pages_are_whole(host: &Host) {
    let ids = |page: &Value| {
        page["incidents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let all = ids(&host.admin("/api/incidents"));
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    while paged.len() <= all.len() {
        let page = host.admin(&format!("/api/incidents?limit=1{cursor}"));
        paged.extend(ids(&page));
        let Some(next) = page["next"].as_u64() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(all.len() > 1 && paged == all, "{paged:?} and {all:?}");
}

#[test]
fn a_change_that_somebody_tells_of_is_among_the_changes() {
    let host = Host::start("sessions: {enabled: false}\n");
    let headers = [("content-type", "application/json")];
    let post = |body: &str| send(host.admin, "POST", "/api/changes", &headers, body.as_bytes()).unwrap();
    assert_eq!(post(r#"{"what": ""}"#).status, 400);
    assert_eq!(post(r#"{"what": "shop 2.1"}"#).status, 200);
    let answer = host.admin("/api/ask?q=recent%20changes");
    assert!(answer.to_string().contains("shop 2.1"), "{answer:#}");
}

#[test]
fn detection_can_be_switched_off_and_its_settings_are_checked() {
    let off = "server: {listen: 127.0.0.1:0}\nadmin: {listen: 127.0.0.1:0}\nsessions: {enabled: false}\nlog: {format: json}\n";
    let host = Host::start_with(&format!("{off}apm: {{otlp: 127.0.0.1:0, detection: {{enabled: false}}}}\n"));
    assert_eq!(get(host.admin, "/api/incidents").status, 404);
    for (settings, part) in
        [("interval: 100ms", "apm.detection.interval"), ("max_series: 0", "larger than zero")]
    {
        host.write("bad.yaml", &format!("apm: {{detection: {{{settings}}}}}\n"));
        let output = host_command(host.path()).args(["validate", "-c", "bad.yaml"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(part), "{text}");
    }
}
