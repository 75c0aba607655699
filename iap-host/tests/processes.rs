//! Applications that the host starts itself: served, changed, removed, and never left behind.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::http::{get, send, try_get};
use common::{FREE_PORTS, Host, eventually};
use serde_json::Value;

/// A server in Node that answers with a text of its own.
const NODE: &str = r#"
const log = (line) => process.stdout.write(line + "\n");
require("http").createServer((request, response) => {
  log(JSON.stringify({level: "info", trace_id: (request.headers.traceparent || "").split("-")[1], path: request.url}));
  setTimeout(() => response.end(process.env.TEXT + " " + process.pid), request.url === "/slow" ? 200 : 0);
}).listen(process.env.PORT, "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
"#;

fn route(text: &str) -> String {
    format!(
        "{FREE_PORTS}sessions: {{enabled: false}}
routes:
  - name: app
    process:
      command: node app.js
      env: {{TEXT: {text}}}
      ready: {{path: /}}
      start_timeout: 60s
"
    )
}

/// Starts a host whose directory has the application in it.
fn start(config: &str) -> Host {
    Host::start_prepared(config, |directory| std::fs::write(directory.join("app.js"), NODE).unwrap())
}

fn instance(host: &Host) -> Value {
    host.admin("/api/processes")["processes"][0]["instances"][0].clone()
}

fn runs(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Asks without pause; each request has to be answered.
struct Load(Arc<AtomicBool>, Arc<AtomicUsize>, Vec<std::thread::JoinHandle<()>>);

impl Load {
    fn start(host: &Host) -> Self {
        let (stop, count, address) = (Arc::new(AtomicBool::new(false)), Arc::default(), host.http);
        let client = |path: &'static str| {
            let (stop, count): (_, Arc<AtomicUsize>) = (Arc::clone(&stop), Arc::clone(&count));
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let response = get(address, path);
                    assert_eq!(response.status, 200, "{}", response.text());
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let threads = ["/", "/slow", "/slow"].into_iter().map(client).collect();
        Self(stop, count, threads)
    }

    fn finish(self) {
        let seen = self.1.load(Ordering::SeqCst);
        eventually("more answers", || (self.1.load(Ordering::SeqCst) > seen + 20).then_some(()));
        self.0.store(true, Ordering::SeqCst);
        for thread in self.2 {
            thread.join().expect("a request was not answered");
        }
    }
}

#[test]
fn a_process_is_served_restarted_changed_and_removed_without_losing_a_request() {
    let host = start(&route("one"));
    assert!(get(host.http, "/").text().starts_with("one "), "the first request waits");
    let load = Load::start(&host);
    let first = instance(&host);
    assert_eq!((&first["state"], &first["restarts"]), (&"ready".into(), &0.into()), "{first}");

    let restarted = send(host.admin, "POST", "/api/processes/app/restart", &[], &[]).unwrap();
    assert_eq!(restarted.status, 200, "{}", restarted.text());
    let second = instance(&host);
    assert_eq!(second["replaced"], 1);
    assert!(second["pid"] != first["pid"] && !runs(&first["pid"]) && runs(&second["pid"]));

    // Another route comes: the process goes on.
    let other = "  - {name: other, path: /other, respond: {status: 204}}\n";
    host.write("iap.yaml", &format!("{}{other}", route("one")));
    let reload = || send(host.admin, "POST", "/api/config/reload", &[], &[]).unwrap();
    assert_eq!(reload().status, 200);
    assert_eq!(instance(&host)["pid"], second["pid"]);

    // Its settings change: one with the new ones takes over.
    host.write("iap.yaml", &route("two"));
    assert_eq!(reload().status, 200);
    assert!(get(host.http, "/").text().starts_with("two "));
    let third = instance(&host);
    eventually("the one before has ended", || (!runs(&second["pid"])).then_some(()));

    // New settings that do not work change nothing.
    host.write("iap.yaml", &route("two").replace("node app.js", "node --no-such-option"));
    let refused = reload();
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("route `app`: process: "), "{}", refused.text());
    assert_eq!(instance(&host)["pid"], third["pid"]);
    load.finish();

    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace_id}-00f067aa0ba902b7-01");
    send(host.http, "GET", "/traced", &[("traceparent", &parent)], &[]).unwrap();
    eventually("a line of its output in the log", || {
        let lines = host.admin("/api/logs?limit=1000")["lines"].clone();
        let line =
            lines.as_array()?.iter().find(|line| line["message"].to_string().contains("/traced"))?.clone();
        (line["fields"]["trace_id"] == trace_id && line["fields"]["stream"] == "stdout").then_some(())
    });

    host.write("iap.yaml", &format!("{FREE_PORTS}sessions: {{enabled: false}}\nroutes:\n{other}"));
    assert_eq!(reload().status, 200);
    eventually("it has ended", || (!runs(&third["pid"])).then_some(()));
    assert_eq!(host.admin("/api/processes")["processes"], serde_json::json!([]));
    assert_eq!(send(host.admin, "POST", "/api/processes/app/restart", &[], &[]).unwrap().status, 404);
}

/// A shell with a daemon whose parent has gone, both deaf to SIGTERM.
fn stubborn() -> String {
    let script = r#"
trap "" TERM
setsid sh -c '(trap "" TERM; sh -c "echo \$PPID > daemon.new; mv daemon.new daemon"; while :; do sleep 1; done) &'
echo $$ > command.new; mv command.new command
while :; do sleep 1; done
"#;
    let script = serde_json::to_string(script).unwrap();
    format!(
        "{FREE_PORTS}sessions: {{enabled: false}}
routes:
  - name: app
    process: {{command: [sh, -c, {script}], stop: {{timeout: 200ms}}}}
"
    )
}

fn number(directory: &Path, name: &str) -> Value {
    eventually(name, || std::fs::read_to_string(directory.join(name)).ok()?.trim().parse::<u32>().ok()).into()
}

#[test]
fn nothing_is_left_when_the_host_stops_or_is_killed() {
    for signal in ["-TERM", "-KILL"] {
        let host = Host::start_with(&stubborn());
        let pids = ["command", "daemon"].map(|name| number(host.path(), name));
        assert!(pids.iter().all(runs), "{pids:?}");
        let refused = get(host.http, "/");
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "it is not ready");
        host.signal(signal);
        eventually("all have ended", || (!pids.iter().any(runs)).then_some(()));
        eventually("the host has ended", || try_get(host.admin, "/livez").is_none().then_some(()));
    }
}

#[test]
fn tomcat_serves_from_its_own_script() {
    let base = common::tomcat_base(r#"port="${app.port}" address="127.0.0.1""#);
    let config = format!(
        "{FREE_PORTS}sessions: {{enabled: false}}
routes:
  - name: tomcat
    process:
      command: /usr/share/tomcat10/bin/catalina.sh run
      env:
        CATALINA_HOME: /usr/share/tomcat10
        CATALINA_BASE: {}
        JAVA_OPTS: -Dapp.port={{port}} -Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1
      ready: {{path: /examples/servlets/index.html}}
      start_timeout: 60s
",
        base.path().display()
    );
    let host = Host::start_with(&config);
    let page = get(host.http, "/examples/servlets/index.html");
    assert_eq!(page.status, 200);
    let first = instance(&host);
    assert_eq!(send(host.admin, "POST", "/api/processes/tomcat/restart", &[], &[]).unwrap().status, 200);
    assert_eq!(get(host.http, "/examples/servlets/index.html").status, 200);
    assert!(!runs(&first["pid"]) && runs(&instance(&host)["pid"]));
}

#[test]
fn a_new_host_takes_over_with_processes_of_its_own_and_the_old_ones_end_after_the_drain() {
    let [http, admin, otlp] = [(); 3].map(|()| common::free_port());
    let fixed = |text: &str| {
        route(text)
            .replace("server: {listen: 127.0.0.1:0", &format!("server: {{listen: 127.0.0.1:{http}"))
            .replace("admin: {listen: 127.0.0.1:0", &format!("admin: {{listen: 127.0.0.1:{admin}"))
            .replace("otlp: 127.0.0.1:0", &format!("otlp: 127.0.0.1:{otlp}"))
    };
    let mut host = start(&fixed("one"));
    assert!(get(host.http, "/").text().starts_with("one "));
    let load = Load::start(&host);
    let first = instance(&host);
    let pid = |host: &Host| host.admin("/api/status")["facts"]["pid"].clone();
    let before = pid(&host);

    // A new host whose process does not get ready takes nothing over, and leaves nothing.
    host.write(
        "late.js",
        "require('fs').writeFileSync('late.pid', String(process.pid)); setInterval(() => {}, 1000);",
    );
    host.write(
        "iap.yaml",
        &fixed("two").replace("node app.js", "node late.js").replace("path: /}", "path: /, timeout: 1s}"),
    );
    host.signal("-USR2");
    let late = number(host.path(), "late.pid");
    eventually("what the new host has started is gone", || (!runs(&late)).then_some(()));
    assert_eq!((pid(&host), instance(&host)["pid"].clone()), (before.clone(), first["pid"].clone()));

    // A stop while a new host is not ready yet stops both; here the new one is in time.
    host.write("iap.yaml", &fixed("two"));
    host.signal("-USR2");
    eventually("the new host", || try_get(host.http, "/")?.text().starts_with("two ").then_some(()));
    eventually("the old host has ended", || host.process.0.try_wait().unwrap());
    assert!(!runs(&first["pid"]), "and its process before it");
    let second = instance(&host);
    assert!(runs(&second["pid"]));
    load.finish();
    let after = pid(&host);
    assert!(std::process::Command::new("kill").arg(after.to_string()).status().unwrap().success());
    eventually("the new one ends with its process", || {
        (!runs(&second["pid"]) && !runs(&after)).then_some(())
    });
}

#[test]
fn a_stop_during_a_hand_over_stops_both_hosts() {
    let mut host = start(&route("one"));
    assert!(get(host.http, "/").text().starts_with("one "));
    let first = instance(&host);
    host.write(
        "late.js",
        "require('fs').writeFileSync('late.pid', String(process.pid)); setInterval(() => {}, 1000);",
    );
    host.write("iap.yaml", &route("two").replace("node app.js", "node late.js"));
    host.signal("-USR2");
    let late = number(host.path(), "late.pid");
    host.signal("-TERM");
    eventually("the host has ended", || host.process.0.try_wait().unwrap());
    eventually("and all that was started", || (!runs(&late) && !runs(&first["pid"])).then_some(()));
}

/// A shell that says what has stopped it. What was ignored when it began, it cannot trap.
fn talkative(signal: &str) -> String {
    let script = "for name in TERM INT QUIT HUP USR1; do trap \"echo $name > said.new; mv said.new said; exit 0\" $name; done
        grep -E 'Sig(Blk|Ign)' /proc/self/status > signals.new; mv signals.new signals
        while :; do sleep 0.05; done";
    let script = serde_json::to_string(script).unwrap();
    format!(
        "{FREE_PORTS}sessions: {{enabled: false}}
routes:
  - name: app
    process: {{command: [sh, -c, {script}], stop: {{signal: {signal}, timeout: 60s}}}}
"
    )
}

#[test]
fn a_command_hears_its_stop_whatever_the_host_has_inherited() {
    for signal in ["INT", "QUIT", "HUP", "USR1"] {
        // As `nohup` and a shell with jobs in the background do; and a parent that blocks signals.
        let inherit = "import os, signal, sys
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGQUIT, signal.SIGUSR1, signal.SIGCHLD])
os.execv(sys.argv[1], sys.argv[1:])";
        let host = Host::start_below(&["python3", "-c", inherit], &talkative(signal));
        let signals = eventually("it runs", || std::fs::read_to_string(host.path().join("signals")).ok());
        for line in signals.lines() {
            let set = u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap();
            // 32 and 33 are the C library's own.
            assert_eq!(set & !(3 << 31), 0, "{signals}");
        }
        host.signal("-TERM");
        let said = eventually("its stop", || std::fs::read_to_string(host.path().join("said")).ok());
        assert_eq!(said.trim(), signal);
    }
}
