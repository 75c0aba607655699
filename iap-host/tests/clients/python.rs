use std::process::{Command, Stdio};

use iap_session::testing::RedisServer;
use serde_json::json;

use crate::common::{Host, Process, workspace};
use crate::contract::{self, Visitor};
use crate::{app, client, gateway};

/// A gateway in front of an application in Python, with more in its environment.
pub(crate) fn start(redis: &RedisServer, name: &str, file: &str, environment: &str) -> Host {
    let python = workspace().join("target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make test-tools`", python.display());
    let process = format!(
        "command: ['{}', '{}'], env: {{PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: '{}'{environment}}}",
        python.display(),
        app(file).display(),
        client("python").display()
    );
    gateway(redis, name, &process)
}

#[test]
fn python_outlives_a_gateway() {
    contract::outlives_a_gateway("flask", |port| {
        let mut python = Command::new(workspace().join("target/test-venv/bin/python"));
        python.arg(app("flask_app.py")).env("PORT", port.to_string());
        python.env("PYTHONPATH", client("python")).env("PYTHONDONTWRITEBYTECODE", "1").stderr(Stdio::null());
        Process(python.stdout(Stdio::null()).spawn().unwrap())
    });
}

#[test]
fn flask_has_its_session_in_the_gateway() {
    let redis = RedisServer::start();
    let host = start(&redis, "flask", "flask_app.py", "");
    contract::holds(&host, "flask");

    let mut visitor = Visitor::new(&host, "flask");
    let told = visitor.post("bad").json();
    let said = told["said"].as_array().unwrap();
    assert_eq!(told["tried"], said.len(), "{told}");
    for message in said {
        assert!(message.as_str().unwrap().contains("attribute 'wrong'"), "{message}");
    }
    assert_eq!(visitor.post("login?user=").json(), json!({"status": 400, "kind": "bad_request"}));
}

#[test]
fn asgi_applications_await_their_session() {
    let redis = RedisServer::start();
    let host = start(&redis, "asgi", "asgi_app.py", "");
    contract::holds(&host, "asgi");
    let mut visitor = Visitor::new(&host, "asgi");
    assert_eq!(visitor.post("unloaded").text(), "SessionNotLoaded");
    assert_eq!(visitor.post("websocket").text(), "websocket.accept SessionClosed");
    assert_eq!(visitor.state()["attributes"], json!({"socket": true}));
}

#[test]
fn wsgi_applications_have_theirs_until_the_first_byte() {
    let redis = RedisServer::start();
    let host = start(&redis, "wsgi", "asgi_app.py", ", WSGI: '1'");
    contract::holds(&host, "wsgi");
    let mut visitor = Visitor::new(&host, "wsgi");
    assert_eq!(visitor.post("write").text(), "written SessionClosed");
    assert_eq!(visitor.state()["attributes"], json!({"early": true}));
}

#[test]
fn what_flask_writes_at_one_gateway_asgi_reads_at_another() {
    let redis = RedisServer::start();
    let (one, two) = (start(&redis, "flask", "flask_app.py", ""), start(&redis, "asgi", "asgi_app.py", ""));
    let mut visitor = Visitor::new(&one, "flask");
    visitor.post("set?name=cart&value=[3]");
    visitor.post("login?user=alice");
    let mut visitor = visitor.goes_to(&two, "asgi");
    assert_eq!(visitor.state(), json!({"user": "alice", "new": false, "attributes": {"cart": [3]}}));
}
