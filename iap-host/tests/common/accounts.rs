//! A host whose admin side has accounts.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::http::{Browser, Response, send};
use super::{FREE_PORTS, Host, host_command};

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery";
/// The token of the program `ci`, an operator.
pub const TOKEN: &str = "a-token-of-a-program-0001";
const ROUTES: &str = "\
sessions: {api: 127.0.0.1:0}
alerts: {rules: [{name: failures, measure: error_percent, above: 5, over: 1m}]}
upstreams: {pool: {servers: ['127.0.0.1:9', '127.0.0.1:10']}}
routes:
- {name: shop, path: /, respond: {status: 200, body: hello}}
";

/// A host with one person for each role, and a program.
pub fn host() -> Host {
    host_with("")
}

/// The same with more settings below `admin.access`, or of anything else.
pub fn host_with(more: &str) -> Host {
    let admin = "admin: {listen: 127.0.0.1:0}\n";
    let access = format!(
        "admin:\n  listen: 127.0.0.1:0\n  access:\n    users: users\n    tokens: {{ci: {{role: operator, token: {{file: token}}}}}}\n{more}"
    );
    let config = format!("{}{ROUTES}", FREE_PORTS.replace(admin, &access));
    Host::start_prepared(&config, |directory| {
        std::fs::write(directory.join("token"), TOKEN).unwrap();
        for (name, role) in [("vera", "viewer"), ("dev", "developer"), ("olga", "operator"), ("ada", "admin")]
        {
            let output =
                user(host_command(directory), &["add", name, "--role", role, "--file", "users"], PASSWORD);
            assert!(output.status.success(), "{output:?}");
        }
    })
}

/// `iap-host user`, with a password on its standard input.
pub fn user(mut command: Command, arguments: &[&str], password: &str) -> Output {
    command.arg("user").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses the name has not waited for it.
    let _ = child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes());
    child.wait_with_output().unwrap()
}

/// Somebody at a console.
pub struct Person {
    pub host: SocketAddr,
    pub browser: Browser,
}

impl Person {
    /// Signs in with the password of everybody.
    pub fn signed_in(host: &Host, name: &str) -> Self {
        let mut person = Self { host: host.admin, browser: Browser::default() };
        let response = person.post("/api/access/sign-in", &json!({ "name": name, "password": PASSWORD }));
        assert_eq!(response.status, 200, "{}", response.text());
        let cookie = response.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        person.browser.keep(&response);
        person
    }

    /// A request of a page of the console.
    pub fn send(&self, method: &str, path: &str, body: &str) -> Response {
        let pairs = self.browser.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookie = pairs.collect::<Vec<_>>().join("; ");
        let origin = format!("http://{}", self.host);
        let fields = [("cookie", cookie.as_str()), ("origin", &origin), ("content-type", "application/json")];
        send(self.host, method, path, &fields, body.as_bytes()).unwrap()
    }

    /// Reads something.
    pub fn get(&self, path: &str) -> Response {
        self.send("GET", path, "")
    }

    /// Sends JSON.
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, &body.to_string())
    }
}
