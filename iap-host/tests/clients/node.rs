use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use iap_session::testing::RedisServer;
use serde_json::json;

use crate::common::npm::npm_project;
use crate::common::{Host, Process};
use crate::contract::{self, Visitor};
use crate::{client, gateway, python};

/// The application with Express and our package beside it, in a directory below `target/`.
fn prepared() -> &'static PathBuf {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = npm_project("iap-host/tests/apps/clients/express", "clients-test");
        let modules = place.join("node_modules");
        let ours = modules.join("iap-session");
        if !ours.exists() {
            std::os::unix::fs::symlink(client("node"), ours).unwrap();
        }
        place
    })
}

pub(crate) fn start(redis: &RedisServer) -> Host {
    let file = prepared().join("app.mjs");
    gateway(redis, "express", &format!("command: [node, '{}']", file.display()))
}

#[test]
fn node_outlives_a_gateway() {
    contract::outlives_a_gateway("express", |port| {
        let mut node = Command::new("node");
        node.arg(prepared().join("app.mjs")).env("PORT", port.to_string());
        Process(node.spawn().unwrap())
    });
}

#[test]
fn express_has_its_session_in_the_gateway() {
    let redis = RedisServer::start();
    let host = start(&redis);
    contract::holds(&host, "express");

    let mut visitor = Visitor::new(&host, "express");
    let told = visitor.post("bad").json();
    let said = told["said"].as_array().unwrap();
    assert_eq!(told["tried"], said.len(), "{told}");
    for message in said {
        assert!(message.as_str().unwrap().starts_with("TypeError: session attribute \"wrong\""), "{message}");
    }
    assert_eq!(visitor.post("login?user=").json(), json!({"status": 400, "kind": "bad_request"}));
    visitor.post("set?name=other&value=2");
    assert_eq!(visitor.post("replace").json()["attributes"], json!({"only": 1}));
    assert_eq!(visitor.state()["attributes"], json!({"only": 1}));
}

#[test]
fn a_response_of_express_is_held_back_whole_until_the_session_is_saved() {
    let redis = RedisServer::start();
    let host = start(&redis);
    let mut visitor = Visitor::new(&host, "express");
    let streamed = visitor.post("stream");
    assert_eq!((streamed.status, streamed.body.len()), (200, 64 * (32 << 10)));
    assert_eq!(visitor.state()["attributes"], json!({"streamed": true}));

    let late = visitor.post("late");
    assert_eq!((late.status, late.text()), (203, "first SessionClosed".to_owned()));
    for (action, error) in [("bad-inside", "TypeError"), ("large", "SessionError")] {
        let refused = visitor.post(action);
        assert_eq!((refused.status, refused.text()), (500, error.to_owned()));
        assert_eq!((refused.header("x-before"), refused.header("x-app")), (Some("kept"), None));
    }
}

#[test]
fn what_python_writes_at_one_gateway_node_reads_at_another() {
    let redis = RedisServer::start();
    let (one, two) = (python::start(&redis, "flask", "flask_app.py", ""), start(&redis));
    let mut visitor = Visitor::new(&one, "flask");
    visitor.post("set?name=cart&value=[3]");
    visitor.post("login?user=alice");
    let mut visitor = visitor.goes_to(&two, "express");
    assert_eq!(visitor.state(), json!({"user": "alice", "new": false, "attributes": {"cart": [3]}}));
    visitor.post("append?name=cart&value=4");
    let mut visitor = visitor.goes_to(&one, "flask");
    assert_eq!(visitor.state()["attributes"], json!({"cart": [3, 4]}));
}
