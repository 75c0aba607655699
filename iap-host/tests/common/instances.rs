//! Several hosts of one file.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::http::{Response, get, send};
use super::{Process, eventually, free_port, host_command};

pub const BLUE: &str = "6f1c2f0e-8f43-4c0b-9d5e-2a7b1c3d4e5f";
pub const GREEN: &str = "0b9d5e2a-7b1c-4d4e-8f6f-1c2f0e8f434c";
pub const TOKEN: &str = "a-token-of-the-operators-0001";

/// Blue and green in one file, and what runs of it.
pub struct Estate {
    directory: tempfile::TempDir,
    running: Vec<(&'static str, Process)>,
    /// Where it serves, and where its admin API is.
    pub blue: [SocketAddr; 2],
    pub green: [SocketAddr; 2],
}

/// One that was free a moment ago.
pub fn address() -> SocketAddr {
    ([127, 0, 0, 1], free_port()).into()
}

impl Estate {
    pub fn new(more: &str) -> Self {
        let (blue, green) = ([address(), address()], [address(), address()]);
        let instance = |name: &str, id: &str, [http, admin]: [SocketAddr; 2]| {
            format!(
                "  # The {name} one.\n  {name}:\n    id: {id}\n    settings:\n      server: {{listen: '{http}'}}\n      admin: {{listen: '{admin}'}}\n"
            )
        };
        let file = format!(
            "# Ours.\nprofiles:\n  plain:\n    log: {{format: json}}\n    sessions: {{enabled: false}}\n    apm: {{enabled: false}}\nuse: [plain]\n{more}routes:\n  - {{name: word, respond: {{status: 200, body: first}}}}\ninstances:\n{}{}",
            instance("blue", BLUE, blue),
            instance("green", GREEN, green),
        );
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("iap.yaml"), file).unwrap();
        Self { directory, running: Vec::new(), blue, green }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self) -> String {
        std::fs::read_to_string(self.path().join("iap.yaml")).unwrap()
    }

    pub fn start(&mut self, name: &'static str, admin: SocketAddr) {
        let mut command = host_command(self.path());
        command.args(["run", "--instance", name]).env("OPS", TOKEN).stderr(Stdio::null());
        self.running.push((name, Process(command.spawn().unwrap())));
        eventually("it is ready", || {
            let answer = send(admin, "GET", "/readyz", &[], b"").ok()?;
            (answer.status == 200).then_some(())
        });
    }

    pub fn stop(&mut self, name: &str) {
        self.running.retain(|(one, _)| *one != name);
    }

    pub fn listed(&self) -> Value {
        get(self.blue[1], "/api/instances").json()
    }

    pub fn one(&self, name: &str) -> Value {
        let listed = self.listed();
        let all = listed["instances"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}: {listed}")).clone()
    }

    /// Sends a change to blue, having seen what runs there.
    pub fn change(&self, method: &str, path: &str, body: &Value) -> Response {
        let seen = get(self.blue[1], "/api/config").header("etag").unwrap().to_owned();
        let fields = [("content-type", "application/json"), ("if-match", seen.as_str())];
        send(self.blue[1], method, path, &fields, body.to_string().as_bytes()).unwrap()
    }

    /// `iap-host`, asking blue.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let url = format!("http://{}", self.blue[1]);
        let mut command = host_command(self.path());
        command.args(arguments).args(["--url", &url]).output().unwrap()
    }
}
