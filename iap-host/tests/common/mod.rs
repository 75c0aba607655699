//! Starts the real things: the host's binary, Tomcat, a Flask application. Each is killed on drop.
#![allow(dead_code, unreachable_pub)] // Each test binary uses its own part.

pub mod accounts;
pub mod actions;
pub mod browser;
pub mod http;
pub mod instances;
pub mod npm;
pub mod oidc;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use iap_session::testing::RedisServer;
use serde_json::Value;

/// How long something may take to come up or to happen.
pub const SOON: Duration = Duration::from_secs(60);

/// A process that does not outlive the test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running host.
pub struct Host {
    pub process: Process,
    pub http: SocketAddr,
    pub admin: SocketAddr,
    pub otlp: Option<SocketAddr>,
    directory: tempfile::TempDir,
}

/// Listeners on free ports, the history in the host's own directory, a log that a test can read.
pub const FREE_PORTS: &str = "\
server: {listen: 127.0.0.1:0, drain: 5s}
admin: {listen: 127.0.0.1:0}
apm: {otlp: 127.0.0.1:0}
log: {format: json}
";

/// The settings of sessions in a Redis server.
pub fn redis_sessions(redis: &RedisServer) -> String {
    redis_sessions_with(&format!("url: '{}'", redis.url()))
}

/// The same with other settings of Redis.
pub fn redis_sessions_with(settings: &str) -> String {
    format!(
        "sessions: {{api: 127.0.0.1:0, store: redis, redis: {{{settings}}}, secret: {{env: IAP_SESSION_SECRET}}}}\n"
    )
}

impl Host {
    /// Starts the host with [`FREE_PORTS`] and `config` below it, and waits until it is ready.
    pub fn start(config: &str) -> Self {
        Self::start_with(&format!("{FREE_PORTS}{config}"))
    }

    /// Starts the host with a whole configuration, which must log JSON.
    pub fn start_with(config: &str) -> Self {
        Self::start_prepared(config, |_| {})
    }

    /// The same, after `prepare` has put files into its directory.
    pub fn start_prepared(config: &str, prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let process = spawn(host_command(directory.path()), directory.path(), config);
        Self::watch(process, directory)
    }

    /// The same as [`start_with`](Self::start_with), by a program that becomes the host: its command line
    /// is `starter`, and then that of the host.
    pub fn start_below(starter: &[&str], config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(starter[0]);
        command.args(&starter[1..]).arg(env!("CARGO_BIN_EXE_iap-host"));
        let process = spawn(prepared(command, directory.path()), directory.path(), config);
        Self::watch(process, directory)
    }

    fn watch(mut process: Process, directory: tempfile::TempDir) -> Self {
        let stderr = process.0.stderr.take().unwrap();
        let (send, ready) = std::sync::mpsc::channel();
        // Reads on to the end, so that the host never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let parsed: Value = serde_json::from_str(&line).unwrap_or_default();
                // Of a process that is managed the same is said, without addresses.
                if parsed["fields"]["message"] == "ready" && parsed["fields"]["http"].is_string() {
                    let _ = send.send(parsed["fields"].clone());
                } else {
                    eprintln!("host: {line}");
                }
            }
        });
        let fields = ready.recv_timeout(SOON).expect("the host does not come up");
        let address = |name: &str| fields[name].as_str().unwrap().parse().unwrap();
        let (http, admin) = (address("http"), address("admin"));
        let status = http::get(admin, "/api/status").json();
        let otlp = status["facts"]["addresses"]["otlp"].as_str().map(|text| text.parse().unwrap());
        Self { process, http, admin, otlp, directory }
    }

    pub fn admin(&self, path: &str) -> Value {
        http::get(self.admin, path).json()
    }

    /// Waits until so many transactions, and no others, are listed.
    pub fn lists(&self, count: usize) {
        eventually("all transactions are listed", || {
            let page = self.admin("/api/transactions?limit=1000");
            (page["items"].as_array()?.len() == count).then_some(())
        });
    }

    /// Writes a file into the host's directory.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// The host's directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What is in the host's directory.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.process.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

fn spawn(mut command: Command, directory: &Path, config: &str) -> Process {
    let file = directory.join("iap.yaml");
    std::fs::write(&file, config).unwrap();
    Process(command.args(["run", "-c"]).arg(&file).stderr(Stdio::piped()).spawn().unwrap())
}

/// The host's binary, in a directory of its own and without the caller's settings.
pub fn host_command(directory: &Path) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_iap-host")), directory)
}

fn prepared(mut command: Command, directory: &Path) -> Command {
    // What a killed host leaves behind goes with the directory.
    command
        .current_dir(directory)
        .env("TMPDIR", directory)
        .env("IAP_SESSION_SECRET", "a secret of the tests, long enough")
        .env("IAP_TEST_OIDC_SECRET", oidc::SECRET);
    command
}

/// A port that was free a moment ago, for servers that cannot choose one themselves.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks again until `check` answers, or fails.
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(started.elapsed() < SOON, "{what} did not happen in {SOON:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program of `apps`, by a Python that has Flask and OpenTelemetry; `make test` prepares it.
pub fn python(program: &str) -> Command {
    let python = workspace().join("target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make test-tools`", python.display());
    let mut command = Command::new(python);
    command.arg(apps().join(program));
    command
}

/// The Flask application of `apps/flask_app.py`.
pub struct Flask {
    _process: Process,
    pub port: u16,
    _directory: tempfile::TempDir,
}

impl Flask {
    pub fn start(port: u16, otlp: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let child = python("flask_app.py")
            .env("PORT", port.to_string())
            .env("OTLP", format!("http://{otlp}"))
            .env("DATABASE", directory.path().join("items.db"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process(child);
        wait_for(port, "/flask/ready");
        Self { _process: process, port, _directory: directory }
    }
}

/// Debian's Tomcat 10 with its examples, and `iap.jsp`.
pub struct Tomcat {
    _process: Process,
    pub port: u16,
    _base: tempfile::TempDir,
}

impl Tomcat {
    pub fn start() -> Self {
        let (home, port) = (Path::new(TOMCAT), free_port());
        let base = tomcat_base(&format!(r#"port="{port}" address="127.0.0.1""#));
        let child = Command::new(home.join("bin/catalina.sh"))
            .arg("run")
            .env("CATALINA_HOME", home)
            .env("CATALINA_BASE", base.path())
            .env("JAVA_OPTS", "-Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process(child);
        wait_for(port, "/examples/servlets/index.html");
        Self { _process: process, port, _base: base }
    }
}

/// Where Debian's Tomcat lies.
const TOMCAT: &str = "/usr/share/tomcat10";

/// A base of its own for a Tomcat whose connector has these attributes.
pub fn tomcat_base(connector: &str) -> tempfile::TempDir {
    let home = Path::new(TOMCAT);
    let examples = Path::new("/usr/share/tomcat10-examples/examples");
    assert!(home.exists() && examples.exists(), "install the packages tomcat10 and tomcat10-examples");
    let base = tempfile::tempdir().unwrap();
    for name in ["conf", "logs", "temp", "webapps", "work"] {
        std::fs::create_dir(base.path().join(name)).unwrap();
    }
    std::fs::create_dir(base.path().join("webapps/app")).unwrap();
    for page in ["iap.jsp", "gc.jsp"] {
        std::fs::copy(apps().join("tomcat").join(page), base.path().join("webapps/app").join(page)).unwrap();
    }
    std::fs::copy(home.join("etc/web.xml"), base.path().join("conf/web.xml")).unwrap();
    let server = format!(
        r#"<Server port="-1"><Service name="Catalina">
             <Connector {connector} protocol="HTTP/1.1"/>
             <Engine name="Catalina" defaultHost="localhost">
               <Host name="localhost" appBase="webapps">
                 <Context path="/examples" docBase="{}"/>
               </Host>
             </Engine>
           </Service></Server>"#,
        examples.display()
    );
    std::fs::write(base.path().join("conf/server.xml"), server).unwrap();
    base
}

fn wait_for(port: u16, path: &str) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    eventually(path, || http::try_get(address, path).filter(|response| response.status == 200));
}

fn apps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps")
}

pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
