//! Requests to a process that starts, crashes and is replaced.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use iap_core::Kind;
use iap_core::process::InstanceState;
use iap_core::upstream::UpstreamSettings;

use super::app::{App, command, get, runs, settings, until};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_process_serves_and_a_crash_starts_it_again", a_process_serves_and_a_crash_starts_it_again),
    ("instances_share_the_requests", instances_share_the_requests),
    ("a_process_listens_on_a_socket", a_process_listens_on_a_socket),
    ("one_that_is_not_ready_gets_no_requests", one_that_is_not_ready_gets_no_requests),
    ("a_crash_loop_is_seen_and_does_not_spin", a_crash_loop_is_seen_and_does_not_spin),
    ("a_request_waits_while_it_starts", a_request_waits_while_it_starts),
    ("a_rolling_replace_loses_no_request", a_rolling_replace_loses_no_request),
    ("one_that_does_not_get_ready_leaves_the_old_one", one_that_does_not_get_ready_leaves_the_old_one),
    ("what_cannot_be_started_is_refused", what_cannot_be_started_is_refused),
];

fn a_process_serves_and_a_crash_starts_it_again() {
    let app = App::ready(settings());
    let first = app.instance();
    assert_eq!(app.get("/"), (200, format!("{} 1", first.pid.unwrap())));
    assert_eq!(app.get("/crash").0, 502, "it has died over the request");
    until("it is ready again", || app.state() == InstanceState::Ready && app.instance().restarts == 1);
    let second = app.instance();
    assert_eq!(second.last_exit.as_deref(), Some("code 3"));
    assert_ne!(second.pid, first.pid);
    assert_eq!(app.get("/"), (200, format!("{} 1", second.pid.unwrap())));
    let killed = nix_kill(second.pid.unwrap(), "-KILL");
    assert!(killed);
    until("it is ready once more", || app.state() == InstanceState::Ready && app.instance().restarts == 2);
    assert_eq!(app.instance().last_exit.as_deref(), Some("signal 9"));
    app.stop();
    assert_eq!(app.state(), InstanceState::Stopped);
    assert_eq!(app.get("/").0, 503);
}

fn nix_kill(pid: u32, signal: &str) -> bool {
    std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success()
}

fn instances_share_the_requests() {
    let mut settings = settings();
    settings.instances = 3;
    settings.ready.path = Some("/".parse().unwrap());
    let app = App::ready(settings);
    let seen: BTreeSet<String> = (0..6).map(|_| app.get("/").1).collect();
    let expected = app.process.status().instances;
    let expected = expected.iter().map(|one| format!("{} {}", one.pid.unwrap(), one.number));
    assert_eq!(seen, expected.collect());
}

fn a_process_listens_on_a_socket() {
    let server = r#"
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        self.close_connection = True
    def address_string(self):
        return ""
socketserver.ThreadingUnixStreamServer(sys.argv[1], Handler).serve_forever()
"#;
    let app = App::ready(command(&["python3", "-c", server, "{socket}"]));
    assert_eq!(app.get("/"), (200, "ok".to_owned()));
    let address = app.instance().address.unwrap();
    let socket = std::path::Path::new(address.strip_prefix("unix:").unwrap()).to_owned();
    assert!(socket.exists());
    app.stop();
    assert!(!socket.parent().unwrap().exists(), "its directory goes with it");
}

fn one_that_is_not_ready_gets_no_requests() {
    // It can be connected to, but never answers as it should.
    let mut settings = settings();
    settings.ready.path = Some("/".parse().unwrap());
    settings.ready.expect = 204..=204;
    settings.ready.timeout = Duration::from_millis(1500);
    let app = App::start(settings);
    until("it runs", || app.instance().pid.is_some());
    let pid = app.instance().pid.unwrap();
    assert_eq!(app.get("/").0, 503);
    let late = app.runtime.block_on(app.process.ready(Duration::from_secs(60))).unwrap_err();
    assert_eq!(late.kind(), Kind::Unavailable);
    assert_eq!(app.instance().last_exit.as_deref(), Some("not ready in time"));
    assert!(!runs(pid), "it was stopped");
}

fn a_crash_loop_is_seen_and_does_not_spin() {
    let mut settings = command(&["sh", "-c", "exit 7"]);
    settings.restart.max = Duration::from_secs(3600);
    let app = App::start(settings);
    until("it is seen", || app.state() == InstanceState::CrashLoop);
    let status = app.instance();
    assert_eq!((status.last_exit.as_deref(), status.restarts, status.pid), (Some("code 7"), 5, None));
    assert_eq!(app.get("/").0, 503);
    // Somebody has mended it, and does not want to wait; but it has not been mended.
    assert!(app.runtime.block_on(app.process.replace()).is_err());
}

fn a_request_waits_while_it_starts() {
    let upstream =
        UpstreamSettings { start_wait: Some(Duration::from_secs(60)), ..UpstreamSettings::default() };
    let app = App::try_start(settings(), upstream).unwrap();
    assert_eq!(app.get("/").0, 200, "the first one");
    assert_eq!(app.get("/crash").0, 502);
    assert_eq!(app.get("/").0, 200, "the first one after a crash");
}

fn a_rolling_replace_loses_no_request() {
    let mut settings = settings();
    settings.instances = 2;
    let app = Arc::new(App::ready(settings));
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..6)
        .map(|client| {
            let (address, stop, count) = (app.address(), stop.clone(), count.clone());
            let path = if client % 2 == 0 { "/" } else { "/slow" };
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let (status, body) = get(address, path);
                    assert_eq!(status, 200, "{body}");
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let before: Vec<u32> = app.process.status().instances.iter().filter_map(|one| one.pid).collect();
    for round in 1..=2 {
        app.runtime.block_on(app.process.replace()).unwrap();
        assert!(app.process.status().instances.iter().all(|one| one.replaced == round && one.restarts == 0));
    }
    let seen = count.load(Ordering::SeqCst);
    until("more requests are served", || count.load(Ordering::SeqCst) > seen + 20);
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    assert!(before.iter().all(|pid| !runs(*pid)), "those before have ended");
}

fn one_that_does_not_get_ready_leaves_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken");
    let mut settings = settings();
    let python = settings.command[2].clone();
    settings.command[2] = format!("import os, sys\nif os.path.exists({broken:?}): sys.exit(9)\n{python}");
    let app = App::ready(settings);
    let pid = app.instance().pid;
    std::fs::write(&broken, "").unwrap();
    let error = app.runtime.block_on(app.process.replace()).unwrap_err();
    assert!(error.to_string().contains("code 9"), "{error}");
    let status = app.instance();
    assert_eq!((status.state, status.pid, status.replaced), (InstanceState::Ready, pid, 0));
    assert_eq!(app.get("/").0, 200);
    std::fs::remove_file(&broken).unwrap();
    app.runtime.block_on(app.process.replace()).unwrap();
    assert_ne!(app.instance().pid, pid);
}

fn what_cannot_be_started_is_refused() {
    let error = |settings| App::try_start(settings, UpstreamSettings::default()).err().unwrap().to_string();
    assert!(error(command(&["no-such-program"])).contains("`no-such-program`"));
    let mut somebody = command(&["sh"]);
    somebody.user = Some("no-such-user".into());
    assert!(error(somebody).contains("no user `no-such-user`"));
}
