//! The gateway in front of a Python application that keeps its state in the session, by the
//! session API: no Redis client, no cookie code, no shared secret in Python. It uses the package
//! `iap_session` of `iap-session/clients/python`.
//!
//! `cargo run -p iap-examples --bin gateway_python`, then open <http://127.0.0.1:8080/> and reload.
#![allow(clippy::print_stdout)] // An example talks to its reader.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use iap_core::upstream::UpstreamSettings;
use iap_core::{BoxError, Route, RouteTable, Server, Target, Upstream};
use iap_session::{MemoryStore, SessionApi, SessionIds, SessionLayer, SessionPolicy, TokenRegistry};

/// Counts visits in the session.
const APPLICATION: &str = r#"
import iap_session
from wsgiref.simple_server import make_server

def application(environ, start_response):
    session = environ["iap.session"]
    session["visits"] = session.get("visits", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"visit {session['visits']}\n".encode()]

server = make_server("127.0.0.1", 0, iap_session.Wsgi(application))
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// Where the package `iap_session` lies.
const PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../iap-session/clients/python");

/// The application, which ends with the example.
struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut python = Command::new("python3");
    python.args(["-c", APPLICATION]).env("PYTHONPATH", PACKAGES).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut python = Python(python.stdout(Stdio::piped()).spawn()?);
    let mut port = String::new();
    BufReader::new(python.0.stdout.take().ok_or("no output")?).read_line(&mut port)?;

    // The session API on a loopback port of its own; the layer tells the application where it is.
    let registry = TokenRegistry::new(10_000);
    let api = Target::service("session-api", SessionApi::new(registry.clone()));
    let api = Server::builder()
        .listen(([127, 0, 0, 1], 0).into())
        .workers(1)
        .routes(RouteTable::new([Route::new("session-api", "/", api)])?)
        .start()?;
    let store = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    let sessions =
        SessionLayer::new(store).with_forwarding(registry, &format!("http://{}", api.addresses()[0]))?;

    let application =
        Upstream::new("python", [format!("127.0.0.1:{}", port.trim())], UpstreamSettings::default())?;
    let policy = SessionPolicy { forward: true, ..SessionPolicy::default() };
    let routes = RouteTable::new([
        Route::new("python", "/", Target::Upstream(application.into())).with_policy(policy)
    ])?;
    let port = if iap_examples::is_check() { 0 } else { 8080 };
    let gateway =
        Server::builder().listen(([127, 0, 0, 1], port).into()).routes(routes).layer(sessions).start()?;
    let address = gateway.addresses()[0];
    println!("listening on http://{address}/");

    if iap_examples::is_check() {
        let first = iap_examples::get(address, "/").await;
        assert_eq!(first.text, "visit 1\n");
        let cookie = first.headers["set-cookie"].to_str()?.split(';').next().unwrap_or_default().to_owned();
        let second = iap_examples::send(address, http::Request::get("/").header("cookie", cookie)).await;
        assert_eq!(second.text, "visit 2\n");
        assert_eq!(iap_examples::get(address, "/").await.text, "visit 1\n", "another browser");
    } else {
        iap_examples::until_ctrl_c().await;
    }
    gateway.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
