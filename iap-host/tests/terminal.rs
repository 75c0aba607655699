//! What a running host knows, in the terminal: `tx`, `sessions`, `incidents` and `top`, and what shells and `man` know of
//! the command line.

mod common;
#[path = "common/pty.rs"]
mod pty;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::Host;
use common::accounts::{self, TOKEN};
use common::http::{Browser, get};
use pty::Pty;
use serde_json::Value;

const CONFIG: &str = "
sessions: {api: 127.0.0.1:0}
upstreams: {pool: {servers: ['127.0.0.1:9', {url: '127.0.0.1:10', name: second}]}}
routes:
  - {name: shop, path: /, service: demo-shop}
  - {name: 결제, path: /broken, respond: {status: 500, body: 'no'}}
  - {name: away, path: /away, upstream: pool}
";

/// A host that has answered some requests, all of them in the history.
fn busy_host() -> Host {
    let host = Host::start(CONFIG);
    let mut browser = Browser::default();
    browser.post(host.http, "/login", "user=alice");
    browser.post(host.http, "/cart", "product=2");
    for path in ["/broken", "/broken", "/away"] {
        assert!(get(host.http, path).status >= 500);
    }
    host.lists(5);
    host
}

fn command(host: &Host) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iap-host"));
    command.env_remove("IAP_TOKEN").env_remove("NO_COLOR").env_remove("COLUMNS").env_remove("LINES");
    command.current_dir(host.path());
    command
}

fn run(host: &Host, arguments: &[&str]) -> Output {
    let url = format!("http://{}", host.admin);
    command(host).args(arguments).args(["--url", &url]).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command prints that goes well.
fn said(host: &Host, arguments: &[&str]) -> String {
    let output = run(host, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    text(&output)
}

#[test]
fn transactions_are_listed_and_told_as_trees() {
    let host = busy_host();
    let all = said(&host, &["tx"]);
    assert_eq!(all.lines().count(), 6, "a heading and five:\n{all}");
    assert!(!all.contains('\u{1b}'), "no colours where there is no terminal");
    let listed = |arguments: &[&str]| said(&host, &[&["tx"], arguments].concat()).lines().count() - 1;
    assert_eq!(listed(&["--failed"]), 3);
    assert_eq!(listed(&["--route", "결제", "--status", "500", "--last", "1h"]), 2);
    assert_eq!(listed(&["--user", "alice"]), 2);
    assert_eq!(said(&host, &["tx", "--slower", "10m"]).trim(), "no transactions");
    let page = said(&host, &["tx", "--limit", "2", "--slowest"]);
    let cursor = page.lines().last().unwrap().strip_prefix("more: --cursor ").unwrap().to_owned();
    assert_eq!(said(&host, &["tx", "--slowest", "--limit", "1000", "--cursor", &cursor]).lines().count(), 4);
    // For machines: as the API has it.
    let json: Value = serde_json::from_str(&said(&host, &["tx", "--json", "--slowest"])).unwrap();
    assert_eq!(json, host.admin("/api/transactions?order=slowest&limit=20&last_s=900"));

    let cart = json["items"].as_array().unwrap().iter().find(|tx| tx["path"] == "/cart").unwrap();
    let trace = cart["trace_id"].as_str().unwrap();
    let tree = said(&host, &["tx", trace]);
    for part in [
        "POST /cart → 303",
        "user      alice",
        "└─ ",
        "├─ ",
        "session.load",
        "SELECT name FROM product WHERE id = ?",
        "CRITICAL",
    ] {
        assert!(tree.contains(part), "{part}\n{tree}");
    }
    let lines = tree.lines().skip_while(|line| !line.starts_with("SPAN")).skip(1);
    let critical = lines.filter(|line| line.ends_with(" *")).count();
    assert!(critical >= 2, "the root and what it waited for are marked:\n{tree}");
    let login = json["items"].as_array().unwrap().iter().find(|tx| tx["path"] == "/login").unwrap();
    let login = login["trace_id"].as_str().unwrap();
    let quiet = said(&host, &["tx", login]);
    assert!(!quiet.contains("signed in"), "log lines if they are wanted:\n{quiet}");
    assert!(said(&host, &["tx", login, "--logs"]).contains("[info] signed in"));
}

#[test]
fn what_is_not_there_or_wrong_has_a_status_of_its_own() {
    let host = busy_host();
    for (arguments, status, part) in [
        (&["tx", "0123456789abcdef0123456789abcdef"][..], 1, "no such transaction"),
        (&["tx", "nothing"], 1, "not a trace id"),
        (&["sessions", "show", &"0".repeat(64)], 1, "no such session"),
        (&["sessions", "--address", "here"], 1, "address"),
        (&["incidents", "show", "7"], 1, "no such incident"),
        (&["incidents", "ack", "7"], 1, "no such incident"),
    ] {
        let output = run(&host, arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {output:?}");
        assert!(text(&output).contains(part), "{arguments:?}: {}", text(&output));
    }
    for arguments in [
        &["tx", "--last", "soon"][..],
        &["tx", "abc", "--failed"],
        &["sessions", "end"],
        &["incidents", "--state", "x"],
    ] {
        assert_eq!(run(&host, arguments).status.code(), Some(2), "{arguments:?}");
    }
    let nobody = format!("http://127.0.0.1:{}", common::free_port());
    for arguments in [&["tx"][..], &["sessions"], &["incidents"], &["top", "--once"]] {
        let output = command(&host).args(arguments).args(["--url", &nobody]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("is the host running?"), "{output:?}");
    }
}

#[test]
fn sessions_are_found_shown_and_ended() {
    let host = busy_host();
    let list = said(&host, &["sessions", "--user", "alice", "--sort", "newest", "--idle", "0"]);
    assert!(list.contains("alice") && list.contains("1 listed, 1 alive"), "{list}");
    assert!(said(&host, &["sessions", "list", "--login", "false"]).starts_with("no such sessions"));
    let json: Value = serde_json::from_str(&said(&host, &["sessions", "--json"])).unwrap();
    let key = json["sessions"][0]["key"].as_str().unwrap();
    let shown = said(&host, &["sessions", "show", key]);
    assert!(shown.contains("ATTRIBUTE") && shown.contains("cart"), "{shown}");
    let gone = "0".repeat(64);
    let output = run(&host, &["sessions", "end", key, &gone, "--reason", "a test"]);
    assert_eq!((output.status.code(), text(&output).trim()), (Some(1), "1 ended, 1 not there (any more)"));
    let events = host.admin("/api/sessions/events");
    let last = events["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["kind"], &last["reason"]), (&"revoked".into(), &"a test".into()));
    assert!(said(&host, &["sessions"]).starts_with("no such sessions"));
    // As it was called before there were others.
    assert!(command(&host).args(["session", "import", "--help"]).output().unwrap().status.success());
}

#[test]
fn whoever_has_no_right_is_told_so() {
    let host = accounts::host();
    let url = format!("http://{}", host.admin);
    let with = |token: &str, arguments: &[&str]| {
        command(&host).env("IAP_TOKEN", token).args(arguments).args(["--url", &url]).output().unwrap()
    };
    let output = with("", &["tx"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("IAP_TOKEN"), "{output:?}");
    assert!(with(TOKEN, &["tx"]).status.success());
    assert!(text(&with(TOKEN, &["top", "--once", "--view", "servers"])).contains("127.0.0.1:10"));
    assert_eq!(with("a-token-that-is-wrong-0001", &["top", "--once"]).status.code(), Some(2));
}

#[test]
fn a_picture_has_what_the_host_says_in_every_size() {
    let host = busy_host();
    let url = format!("http://{}", host.admin);
    let picture = |view: &str, columns: &str, lines: &str| {
        let output = command(&host)
            .env("COLUMNS", columns)
            .env("LINES", lines)
            .args(["top", "--once", "--view", view, "--url", &url])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        text(&output)
    };
    let narrow = command(&host).env("COLUMNS", "80").args(["tx", "--url", &url]).output().unwrap();
    assert!(text(&narrow).lines().all(|line| line.chars().count() <= 80), "{}", text(&narrow));
    let routes = picture("routes", "100", "30");
    let line = routes.lines().find(|line| line.starts_with("결제")).unwrap_or_else(|| panic!("{routes}"));
    for part in ["2", "100 %", "0.00"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(routes.contains("sessions 1") && routes.contains("errors, 1 min"), "{routes}");
    assert!(routes.contains("routes 3") && routes.contains("servers 2"), "{routes}");
    let servers = picture("servers", "140", "24");
    assert!(servers.contains("second (") && servers.contains("unreachable"), "{servers}");
    assert!(picture("incidents", "80", "24").contains("no open incidents"));
    assert!(picture("requests", "80", "24").contains("nothing runs"));
    for (columns, lines) in [("80", "24"), ("40", "10"), ("12", "4"), ("1", "1"), ("300", "80")] {
        let shown = picture("routes", columns, lines);
        assert!(shown.lines().count() <= lines.parse().unwrap(), "{columns}x{lines}\n{shown}");
    }
    let piped = command(&host).args(["top", "--url", &url]).stdin(Stdio::null()).output().unwrap();
    assert!(
        !piped.status.success() && String::from_utf8_lossy(&piped.stderr).contains("--once"),
        "{piped:?}"
    );
}

#[test]
fn the_live_view_hears_keys_and_gives_the_terminal_back() {
    let host = busy_host();
    let program = env!("CARGO_BIN_EXE_iap-host");
    let url = format!("http://{}", host.admin);
    let mut pty = Pty::start(host.path(), &format!("{program} top --url {url}"));
    pty.shows("nothing runs");
    pty.press("\t");
    pty.shows("결제");
    pty.press("?");
    pty.shows("another view");
    pty.press("?3");
    pty.shows("second (");
    pty.press("p");
    pty.shows("paused");
    pty.press("q");
    pty.ends();

    // Ctrl-C is a key, too.
    let mut pty = Pty::start(host.path(), &format!("{program} top --url {url}"));
    pty.shows("nothing runs");
    pty.press("\u{3}");
    pty.ends();

    // Somebody ends the process.
    let mut pty = Pty::start(host.path(), &format!("sh -c 'echo $$ > pid; exec {program} top --url {url}'"));
    pty.shows("nothing runs");
    let pid = std::fs::read_to_string(host.path().join("pid")).unwrap();
    assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success());
    pty.ends();
}

#[test]
fn the_live_view_outlives_the_host() {
    let mut host = busy_host();
    let program = env!("CARGO_BIN_EXE_iap-host");
    let mut pty =
        Pty::start(host.path(), &format!("{program} top --view routes --url http://{}", host.admin));
    pty.shows("결제");
    let admin = host.admin;
    host.process.0.kill().unwrap();
    host.process.0.wait().unwrap();
    pty.shows("no answer for");
    assert!(pty.text().contains("결제"), "what it said last stays");
    // Another one comes up in its place.
    let config = format!(
        "server: {{listen: 127.0.0.1:0}}\nadmin: {{listen: '{admin}'}}\napm: {{otlp: 127.0.0.1:0}}\nlog: {{format: json}}\n\
         sessions: {{enabled: false}}\nroutes: [{{name: fresh, path: /, respond: {{status: 200, body: ok}}}}]\n"
    );
    let fresh = Host::start_with(&config);
    assert_eq!(get(fresh.http, "/").status, 200);
    pty.shows("fresh");
    pty.press("q");
    pty.ends();
}

#[test]
fn colours_come_on_terminals_that_want_them() {
    let host = busy_host();
    let shown = |before: &str| {
        let program = env!("CARGO_BIN_EXE_iap-host");
        let line = format!("stty cols 80; {before} {program} tx --url http://{}", host.admin);
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]).env_remove("NO_COLOR").env_remove("COLUMNS");
        text(&command.stdin(Stdio::null()).output().unwrap())
    };
    let (coloured, plain) = (shown(""), shown("NO_COLOR=1"));
    assert!(coloured.contains("\u{1b}[31m500"), "{coloured:?}");
    assert!(plain.contains("500") && !plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.lines().all(|line| line.trim_end().chars().count() <= 80), "it fits:\n{plain}");
}

#[test]
fn shells_complete_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = common::host_command(directory.path()).args(["completion", shell]).output().unwrap();
        assert!(output.status.success() && text(&output).contains("incidents"), "{shell}");
        std::fs::write(directory.path().join(shell), output.stdout).unwrap();
    }
    // What bash offers after a line.
    let offers = |words: &[&str]| {
        let line = format!(
            "source ./bash; COMP_WORDS=({}); COMP_CWORD={}; $(complete -p iap-host | sed 's/.*-F \\([^ ]*\\) .*/\\1/') iap-host '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let output = Command::new("bash").args(["-c", &line]).current_dir(directory.path()).output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        text(&output).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offers(&["iap-host", "inc"]), ["incidents"]);
    assert_eq!(offers(&["iap-host", "tx", "--sl"]), ["--slower", "--slowest"]);
    assert_eq!(offers(&["iap-host", "sessions", "e"]), ["end"]);
    assert_eq!(offers(&["iap-host", "config", "apply", "--over"]), ["--overwrite"]);
    assert_eq!(offers(&["iap-host", "top", "--view", ""]), ["requests", "routes", "servers", "incidents"]);
}

#[test]
fn manual_pages_are_without_faults() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| common::host_command(directory.path()).args(arguments).output().unwrap();
    let page = text(&run(&["man"]));
    assert!(page.contains(".TH iap-host") && page.contains(".SH EXAMPLES\n.nf\n"), "{page}");
    assert!(run(&["man", "pages/man1"]).status.success());
    let pages: Vec<_> = std::fs::read_dir(directory.path().join("pages/man1"))
        .unwrap()
        .map(|page| page.unwrap().path())
        .collect();
    let names: Vec<_> = pages.iter().filter_map(|page| page.file_name()?.to_str()).collect();
    for name in ["iap-host.1", "iap-host-tx.1", "iap-host-incidents-ack.1", "iap-host-config-apply.1"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(Path::new("/usr/bin/groff").exists(), "install the package groff-base");
    for page in pages {
        let output = Command::new("groff")
            .args(["-Kutf8", "-man", "-ww", "-z", "-Tutf8"])
            .arg(&page)
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}: {output:?}", page.display());
    }
}
