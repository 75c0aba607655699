//! The application, and the gateway before it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iap_core::process::{InstanceState, InstanceStatus, ProcessError, ProcessSettings, Restart};
use iap_core::upstream::UpstreamSettings;
use iap_core::{Process, Route, RouteTable, RunningServer, Server, Target};
use tokio::runtime::Runtime;

/// Answers with its process number; `/slow` does so after a while, `/crash` not at all.
const APP: &str = r#"
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/crash":
            os._exit(3)
        if self.path == "/slow":
            time.sleep(0.3)
        if self.path.startswith("/log"):
            print(self.headers.get("traceparent", self.path), flush=True)
        body = ("%d %s" % (os.getpid(), os.environ["INSTANCE"])).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

/// A process behind a gateway.
pub(crate) struct App {
    pub(crate) process: Arc<Process>,
    gateway: Option<RunningServer>,
    pub(crate) runtime: Runtime,
}

/// The settings of the application, which is back soon after a crash.
pub(crate) fn settings() -> ProcessSettings {
    let mut settings = command(&["python3", "-c", APP, "{port}"]);
    settings.env = vec![("PYENV_VERSION".into(), std::env::var("PYENV_VERSION").unwrap_or_default())];
    settings
}

/// Any command.
pub(crate) fn command(words: &[&str]) -> ProcessSettings {
    let mut settings = ProcessSettings::new(words.iter().copied());
    settings.restart = Restart { min: Duration::from_millis(20), ..Restart::default() };
    settings.stop.timeout = Duration::from_secs(5);
    settings
}

impl App {
    pub(crate) fn try_start(
        settings: ProcessSettings,
        upstream: UpstreamSettings,
    ) -> Result<Self, ProcessError> {
        let runtime = Runtime::new().unwrap();
        let process = Arc::new(Process::start("app", settings, upstream, runtime.handle())?);
        let target = Target::Upstream(process.upstream().clone());
        let routes = RouteTable::new([Route::new("app", "/", target)]).unwrap();
        let server = Server::builder().listen("127.0.0.1:0".parse().unwrap()).workers(1).routes(routes);
        let gateway = Some(server.application(runtime.handle().clone()).start().unwrap());
        Ok(Self { process, gateway, runtime })
    }

    pub(crate) fn start(settings: ProcessSettings) -> Self {
        Self::try_start(settings, UpstreamSettings::default()).unwrap()
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn ready(settings: ProcessSettings) -> Self {
        let app = Self::start(settings);
        app.runtime.block_on(app.process.ready(Duration::from_secs(60))).unwrap();
        app
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.as_ref().unwrap().addresses()[0]
    }

    pub(crate) fn instance(&self) -> InstanceStatus {
        self.process.status().instances[0].clone()
    }

    pub(crate) fn state(&self) -> InstanceState {
        self.instance().state
    }

    /// Status and body of an answer.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.address(), path)
    }

    pub(crate) fn stop(&self) {
        self.runtime.block_on(self.process.stop());
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop();
        if let Some(gateway) = self.gateway.take() {
            self.runtime.block_on(gateway.shutdown(Duration::from_secs(1)));
        }
    }
}

/// Status and body of an answer; 0 where there is none.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
}

/// Waits until something holds; fails where it never does.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs (one that has ended and was not waited for does not).
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
