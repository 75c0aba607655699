//! An OpenID provider: `oidc-provider` of npm, with the people of `apps/oidc_provider/provider.mjs`'s caller.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::json;

use super::http::{Browser, Response, send};
use super::npm::npm_project;
use super::{Host, Process, SOON, eventually};

/// The client's secret at the provider.
pub const SECRET: &str = "a-secret-of-the-client-0123456789";

/// Settings below `admin.access` for a provider on this port.
pub fn settings(port: u16) -> String {
    format!(
        "    oidc:
      issuer: http://127.0.0.1:{port}
      client_id: iap
      client_secret: {{env: IAP_TEST_OIDC_SECRET}}
      roles: {{platform: admin, support: operator}}
      end_session: true
"
    )
}

/// A running provider.
pub struct Provider {
    _process: Process,
    pub address: SocketAddr,
}

impl Provider {
    /// Starts one that leads browsers back to the console of `host`, with a new key of this id.
    pub fn start(port: u16, host: &Host, key: &str) -> Self {
        Self::start_with(port, host, key, &[])
    }

    /// The same with more variables of its environment.
    pub fn start_with(port: u16, host: &Host, key: &str, more: &[(&str, &str)]) -> Self {
        let admin = host.admin;
        let accounts = json!({
            "kim-0001": { "preferred_username": "kim", "groups": ["everybody", "platform"] },
            "lee-0002": { "preferred_username": "lee", "groups": ["support"] },
            "lee-0003": { "preferred_username": "lee", "groups": ["support"] },
            "park-0004": { "preferred_username": "park", "groups": ["everybody"] },
            "olga-0005": { "preferred_username": "olga", "groups": ["support"] },
            "none-0006": { "groups": ["support"] },
        });
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = || npm_project("iap-host/tests/apps/oidc_provider", "oidc-provider-test");
        let child = Command::new("node")
            .arg("provider.mjs")
            .current_dir(PROGRAM.get_or_init(program))
            .env("PORT", port.to_string())
            .env("REDIRECT", format!("http://{admin}/api/access/oidc/callback"))
            .env("SIGNED_OUT", format!("http://{admin}/"))
            .env("CLIENT", "iap")
            .env("SECRET", SECRET)
            .env("KEY", key)
            .env("ACCOUNTS", accounts.to_string())
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = Process(child.unwrap());
        let lines = BufReader::new(process.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (send, ready) = std::sync::mpsc::channel();
        // Reads on to the end, so that it never blocks on a full pipe.
        std::thread::spawn(move || {
            for _ in lines.filter(|line| line == "ready") {
                let _ = send.send(());
            }
        });
        ready.recv_timeout(SOON).expect("the provider does not come up");
        Self { _process: process, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// Breaks ID tokens from now on, in a way that `provider.mjs` has.
    pub fn break_tokens(&self, how: &str) {
        assert_eq!(send(self.address, "POST", &format!("/break?how={how}"), &[], b"").unwrap().status, 200);
    }
}

/// Asks the console where to sign in.
pub fn leave(host: &Host, browser: &mut Browser, return_to: &str) -> Response {
    let body = json!({ "return_to": return_to }).to_string();
    let origin = format!("http://{}", host.admin);
    let fields = [("origin", origin.as_str()), ("content-type", "application/json")];
    let response = send(host.admin, "POST", "/api/access/oidc", &fields, body.as_bytes()).unwrap();
    browser.keep(&response);
    response
}

/// Where the console leads, once the provider can be asked.
pub fn way(host: &Host, browser: &mut Browser, return_to: &str) -> String {
    let response = eventually("the way to the provider", || {
        Some(leave(host, browser, return_to)).filter(|response| response.status == 200)
    });
    response.json()["location"].as_str().unwrap().to_owned()
}

/// Signs in at the provider, and comes to where that leads back: the path of the callback.
pub fn at_provider(browser: &mut Browser, location: &str, account: &str) -> String {
    let (mut address, mut path) = place(location).unwrap();
    for _ in 0..8 {
        let mut response = browser.get(address, &path);
        if response.status == 200 {
            response = browser.post(address, &path, &format!("account={account}"));
        }
        let next = response.header("location").unwrap_or_else(|| panic!("{response:?}")).to_owned();
        (address, path) = place(&next).unwrap_or((address, next));
        if path.starts_with("/api/access/oidc/callback") {
            return path;
        }
    }
    panic!("the provider leads nowhere: {path}");
}

/// Host and path of a whole URL.
fn place(url: &str) -> Option<(SocketAddr, String)> {
    let (authority, path) = url.strip_prefix("http://")?.split_once('/')?;
    Some((authority.parse().ok()?, format!("/{path}")))
}
