//! The console in a real browser: chromium, driven by `browser/console.mjs`, against the demo and against a host
//! with accounts.

mod common;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

use common::accounts;
use common::browser::{CHROMIUM, prepare_driver};
use common::instances::Estate;
use common::oidc::{Provider, settings};
use common::{Process, SOON, eventually, free_port, host_command, http, workspace};

/// One browser at a time: each with its host takes both cores of a small machine.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn the_console_shows_what_the_platform_does() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (_directory, _demo, admin) = busy_demo();
    drive("demo", admin);
}

#[test]
fn what_is_below_the_figures_is_shown_and_everything_is_accessible() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (_directory, _demo, admin) = busy_demo();
    drive("drill", admin);
}

#[test]
fn a_day_of_events_leaves_the_console_as_large_as_it_was() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (_directory, _demo, admin) = busy_demo();
    drive("memory", admin);
}

#[test]
fn people_sign_in_and_see_what_their_role_may() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let host = accounts::host_with("  revisions: {watch: 3s}\n");
    assert_eq!(http::get(host.http, "/").status, 200);
    drive("accounts", host.admin);
}

#[test]
fn people_sign_in_at_a_provider() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let port = free_port();
    // To a browser another name is another site, as providers are.
    let host = accounts::host_with(&settings(port).replace("127.0.0.1", "localhost"));
    let _provider = Provider::start_with(port, &host, "key-1", &[("HOST", "localhost")]);
    drive("provider", host.admin);
}

#[test]
fn the_hosts_of_one_file_are_seen_cloned_and_deleted() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut estate = Estate::new("");
    let admins = (estate.blue[1], estate.green[1]);
    estate.start("blue", admins.0);
    estate.start("green", admins.1);
    drive("instances", admins.0);
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

/// The demo, once it has what the suites are asserted on.
fn busy_demo() -> (tempfile::TempDir, Process, SocketAddr) {
    let directory = tempfile::tempdir().unwrap();
    let (demo, admin) = start_demo(directory.path());
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
    (directory, demo, admin)
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
