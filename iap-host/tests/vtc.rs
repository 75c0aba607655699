//! Scenarios for `varnishtest`, an HTTP client and server that shares no code with us: a test a file of `vtc/`.
//!
//! A scenario reaches the gate at `${gate}`; its server listens at `${origin}`. The gate runs with `vtc/NAME.yaml`
//! where there is one, with `vtc/gate.yaml` otherwise, and is started for it alone.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::Host;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, scenarios().into_iter().map(trial).collect()).exit();
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vtc")
}

fn scenarios() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "vtc")).collect();
    assert!(!found.is_empty(), "the scenarios are where they were expected");
    found.sort();
    found
}

fn trial(scenario: PathBuf) -> Trial {
    let name = scenario.file_stem().unwrap().to_string_lossy().into_owned();
    Trial::test(name, move || run(&scenario))
}

fn run(scenario: &Path) -> Result<(), Failed> {
    let own = scenario.with_extension("yaml");
    let config = if own.exists() { own } else { directory().join("gate.yaml") };
    // A file: a port that somebody else takes between its choice and its use would fail the scenario.
    let sockets = tempfile::tempdir().unwrap();
    let origin = sockets.path().join("s1").display().to_string();
    let config = std::fs::read_to_string(config).unwrap().replace("ORIGIN", &origin);
    let host = Host::start_with(&config);
    let output = Command::new("varnishtest")
        .env("TMPDIR", sockets.path())
        .args(["-v", "-t", "120", "-D", &format!("origin={origin}")])
        .args(["-D", &format!("gate={} {}", host.http.ip(), host.http.port())])
        .arg(scenario)
        .output()
        .expect("install the package varnish: `make test-tools` does");
    if output.status.success() {
        return Ok(());
    }
    let log = [output.stdout, output.stderr].concat();
    Err(format!("{}\n{}", scenario.display(), String::from_utf8_lossy(&log)).into())
}
