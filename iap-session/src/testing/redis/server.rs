//! A Redis server of its own for a test.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::wire;

/// A `redis-server` process on a free port of 127.0.0.1, in a directory of its own, that saves no
/// data; killed when dropped.
///
/// ```no_run
/// let server = iap_session::testing::RedisServer::start();
/// println!("{}", server.url());
/// ```
pub struct RedisServer {
    child: Child,
    port: u16,
    args: Vec<String>,
    dir: PathBuf,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// If `redis-server` is not installed, or does not come up.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further command line options, such as `--requirepass`.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub fn start_with(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        // Another process may take the port between the look and the start.
        for _ in 0..5 {
            let port = free_port();
            let dir = temp_dir(port);
            let mut server = Self { child: spawn(port, &args, &dir), port, args: args.clone(), dir };
            if server.wait_until_up() {
                return server;
            }
        }
        panic!("redis-server does not come up");
    }

    /// The address as a Redis URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's directory, which goes with it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sends a command past any store, as the user `default` with the password of `--requirepass`. The
    /// reply is text: the items of lists a line each, nothing for nil.
    ///
    /// # Errors
    ///
    /// No connection, no reply within ten seconds, or the server's own error.
    pub fn ask(&self, words: &[&str]) -> io::Result<String> {
        let password = self.args.iter().skip_while(|arg| *arg != "--requirepass").nth(1);
        wire::ask(self.port, password.map(|password| ("default", password.as_str())), words)
    }

    /// Sends a command as another user.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::ask`].
    pub fn ask_as(&self, user: &str, password: &str, words: &[&str]) -> io::Result<String> {
        wire::ask(self.port, Some((user, password)), words)
    }

    /// Kills the server at once, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts the server again on the same port, empty.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.args, &self.dir);
        assert!(self.wait_until_up(), "redis-server does not come up again");
    }

    /// Stops the process where it is: connections stand, nothing answers.
    ///
    /// # Panics
    ///
    /// Where there is no `kill` command.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a paused process go on.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::pause`].
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {signal} works on our own process");
    }

    /// Whether this very process answers, and not one that took the port before it.
    fn answers(&self, address: SocketAddr) -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"INFO server\r\nQUIT\r\n")?;
        let mut reply = Vec::new();
        stream.take(1 << 16).read_to_end(&mut reply)?;
        let reply = String::from_utf8_lossy(&reply);
        Ok(reply.starts_with("-NOAUTH") || reply.contains(&format!("process_id:{}\r\n", self.child.id())))
    }

    fn wait_until_up(&mut self) -> bool {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let give_up = Instant::now() + Duration::from_secs(20);
        while Instant::now() < give_up {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return false;
            }
            if self.answers(address).unwrap_or(false) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub(super) fn temp_dir(port: u16) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("redis-{}-{port}", std::process::id()));
    fs::create_dir_all(&dir).expect("the directory for temporary files takes another one");
    dir
}

pub(super) fn free_port() -> u16 {
    let probe = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on 127.0.0.1");
    probe.local_addr().expect("a bound socket has an address").port()
}

fn spawn(port: u16, args: &[String], dir: &Path) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
        .arg(port.to_string())
        .args(args)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server must be installed for these tests: the package is `redis-server` (Debian, Ubuntu) or `redis` (Fedora, Alpine, Homebrew)")
}
