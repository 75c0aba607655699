//! The console in a real browser: chromium, driven by `browser/console.mjs`, against the demo and against a host
//! with accounts.

mod common;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{OnceLock, mpsc};

use common::accounts;
use common::{Process, SOON, eventually, host_command, http, workspace};

/// Debian's place, as in the list of packages that `make test-tools` installs.
const CHROMIUM: &str = "/usr/bin/chromium";

#[test]
fn the_console_shows_what_the_platform_does() {
    let directory = tempfile::tempdir().unwrap();
    let (_demo, admin) = start_demo(directory.path());
    assert!(
        http::get(admin, "/").text().contains("/assets/"),
        "the console is not in this build: install the packages nodejs and npm, and build again"
    );
    // What the views are asserted on: a second page, a failure, a slow statement.
    eventually("enough transactions", || {
        let page = http::get(admin, "/api/transactions?limit=200").json();
        (page["items"].as_array()?.len() > 120).then_some(())
    });
    for query in ["errors=true&route=checkout", "min_us=100000&route=search"] {
        eventually(query, || {
            let page = http::get(admin, &format!("/api/transactions?{query}")).json();
            (!page["items"].as_array()?.is_empty()).then_some(())
        });
    }
    drive("demo", admin);
}

#[test]
fn people_sign_in_and_see_what_their_role_may() {
    let host = accounts::host();
    assert_eq!(http::get(host.http, "/").status, 200);
    drive("accounts", host.admin);
}

/// Runs a suite of the driver.
fn drive(suite: &str, admin: SocketAddr) {
    static DRIVER: OnceLock<PathBuf> = OnceLock::new();
    let status = Command::new("node")
        .args(["console.mjs", suite])
        .arg(format!("http://{admin}/"))
        .arg(workspace().join("target/screenshots"))
        .arg(CHROMIUM)
        .current_dir(DRIVER.get_or_init(prepare_driver))
        .status()
        .unwrap();
    assert!(
        status.success(),
        "the console does not behave: see above; screenshots are in target/screenshots"
    );
}

/// The scripts and their driver, in a directory below `target/`.
fn prepare_driver() -> PathBuf {
    assert!(Path::new(CHROMIUM).exists(), "{CHROMIUM} is missing: install the package chromium");
    for (program, package) in [("node", "nodejs"), ("npm", "npm")] {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        assert!(
            found.is_ok_and(|status| status.success()),
            "{program} is missing: install the package {package}"
        );
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let place = workspace().join("target/browser-test");
    std::fs::create_dir_all(&place).unwrap();
    let lock = "package-lock.json";
    let fresh = std::fs::read(place.join(lock)).ok() == std::fs::read(source.join(lock)).ok();
    for entry in std::fs::read_dir(source).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
        }
    }
    if !(fresh && place.join("node_modules/playwright-core").exists()) {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        assert!(npm.current_dir(&place).status().unwrap().success(), "npm ci failed");
    }
    place
}

/// The demo on free ports, and where its console is.
fn start_demo(directory: &Path) -> (Process, SocketAddr) {
    let mut command = host_command(directory);
    command.args(["demo", "--port", "0", "--admin-port", "0", "--session-port", "0", "--otlp-port", "0"]);
    let mut process = Process(command.stdout(Stdio::piped()).spawn().unwrap());
    let stdout = process.0.stdout.take().unwrap();
    let (send, found) = mpsc::channel();
    // Reads on to the end, so that the demo never blocks on a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let mut words = line.split_whitespace();
            if words.next() == Some("console") {
                let address = words.next().and_then(|url| url.strip_prefix("http://"));
                let _ = send.send(address.and_then(|text| text.trim_end_matches('/').parse().ok()));
            }
        }
    });
    let address = found.recv_timeout(SOON).expect("the demo does not come up");
    (process, address.expect("the demo tells its address"))
}
