//! A ClickHouse for tests.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use iap_core::SpanId;

use crate::history::ClickHouseSettings;

/// Names a server to use instead of an own one, as `http://host:8123`.
const GIVEN: &str = "IAP_TEST_CLICKHOUSE";

/// ClickHouse's engine behind its HTTP interface, on a free port and with an empty directory. Killed when dropped.
///
/// It needs the Python environment that `make test-tools` prepares. With `IAP_TEST_CLICKHOUSE=http://host:8123` in the
/// environment that server is used as it is.
pub struct ClickHouseServer {
    url: String,
    _process: Option<Process>,
}

struct Process {
    child: Child,
    directory: PathBuf,
}

impl ClickHouseServer {
    /// Starts one; `None`, with a line on standard error, where it cannot be had.
    ///
    /// # Panics
    /// If it is there and does not come up.
    pub fn start() -> Option<Self> {
        if let Ok(url) = std::env::var(GIVEN) {
            return Some(Self { url, _process: None });
        }
        Self::start_with("http", &[])
    }

    /// Starts one that asks for a user and a password, with TLS where a certificate and its key are named, too.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_private(user: &str, password: &str, certificate: Option<(&Path, &Path)>) -> Option<Self> {
        let files =
            certificate.map(|(certificate, key)| [certificate, key].map(|path| path.to_string_lossy()));
        let mut args = vec![user, password];
        args.extend(files.iter().flatten().map(AsRef::as_ref));
        Self::start_with(if files.is_some() { "https" } else { "http" }, &args)
    }

    fn start_with(scheme: &str, args: &[&str]) -> Option<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let python = workspace.join("target/test-venv/bin/python");
        let has = Command::new(&python).args(["-c", "import chdb, zstandard"]).stderr(Stdio::null()).status();
        if !has.is_ok_and(|status| status.success()) {
            // Said by the test, whose output is its own.
            #[expect(clippy::print_stderr)]
            {
                eprintln!("SKIPPED: chdb-core is not installed: run `make test-tools`");
            }
            return None;
        }
        let directory = std::env::temp_dir().join(format!("iap-clickhouse-{}", SpanId::random()));
        std::fs::create_dir(&directory).expect("a directory");
        let mut child = Command::new(python)
            .arg(workspace.join("tests/support/clickhouse.py"))
            .arg(&directory)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut port = String::new();
        let output = child.stdout.take().expect("it is piped");
        let process = Process { child, directory };
        BufReader::new(output).read_line(&mut port).expect("it tells its port");
        let port: u16 = port.trim().parse().expect("it came up and told its port");
        let host = if scheme == "https" { "localhost" } else { "127.0.0.1" };
        Some(Self { url: format!("{scheme}://{host}:{port}"), _process: Some(process) })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Settings with a database of their own, which writes without pauses.
    pub fn settings(&self) -> ClickHouseSettings {
        ClickHouseSettings {
            database: format!("test_{}", SpanId::random()),
            pace: std::time::Duration::ZERO,
            ..ClickHouseSettings::new(&self.url)
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
