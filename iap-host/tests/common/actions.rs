//! A host with guarded actions, and application servers behind it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::http::{Response, get, send};
use super::{Host, eventually};

/// An application server that answers, or fails, as it is told, and counts what it is asked.
pub struct App {
    pub address: SocketAddr,
    pub fails: Arc<AtomicBool>,
    pub asked: Arc<AtomicU64>,
}

impl App {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let fails = Arc::new(AtomicBool::new(false));
        let asked = Arc::<AtomicU64>::default();
        let (told, counted) = (fails.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), told, counted) = (stream, told.clone(), counted.clone()) else {
                    continue;
                };
                std::thread::spawn(move || {
                    let mut buffer = [0; 4_096];
                    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let status =
                            if told.load(Ordering::Relaxed) { "503 Service Unavailable" } else { "200 OK" };
                        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nhi");
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, fails, asked }
    }
}

/// A host before these, as the upstream `shop`.
pub fn host(apps: &[&App], actions: &str) -> Host {
    let servers: Vec<String> = apps.iter().map(|app| format!("'{}'", app.address)).collect();
    Host::start(&format!(
        "sessions: {{api: 127.0.0.1:0}}\nops: {{actions: {{{actions}}}}}\n\
         upstreams: {{shop: {{servers: [{}]}}}}\nroutes:\n- {{name: shop, path: /, upstream: shop}}\n",
        servers.join(", ")
    ))
}

/// Sends JSON.
pub fn post(host: &Host, path: &str, body: &Value) -> Response {
    send(host.admin, "POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
        .unwrap()
}

/// Proposes it, and says yes.
pub fn done(host: &Host, body: &Value) -> u64 {
    let proposed = post(host, "/api/actions", body);
    assert_eq!(proposed.status, 201, "{}", proposed.text());
    let id = proposed.json()["id"].as_u64().unwrap();
    let approved = post(host, &format!("/api/actions/{id}/approve"), &json!({ "why": "seen it" }));
    assert_eq!((approved.status, &approved.json()["state"]), (200, &json!("running")), "{}", approved.text());
    id
}

/// An action as it is listed.
pub fn action(host: &Host, id: u64) -> Value {
    let all = host.admin("/api/actions");
    all["actions"].as_array().unwrap().iter().find(|action| action["id"] == id).cloned().unwrap()
}

/// Ends with the state, while requests go on.
pub fn ends(host: &Host, id: u64) -> Value {
    eventually("the action is over", || {
        for _ in 0..5 {
            get(host.http, "/");
        }
        let action = action(host, id);
        (!action["ended_ms"].is_null()).then_some(action)
    })
}
