//! A primary with replicas, and Sentinels that watch it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::server::{RedisServer, free_port, temp_dir};
use super::{until, wire};

/// What Sentinels call the primary.
const SERVICE: &str = "main";

/// One primary, its replicas and three Sentinels with a quorum of two, which take a primary for dead
/// after half a second. Killed when dropped.
pub struct RedisSentinel {
    /// The servers; the first one begins as primary.
    pub servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
    password: Option<String>,
    /// The ports of TLS of the servers, if they use it.
    tls_ports: Vec<u16>,
}

/// One that watches.
struct Sentinel {
    child: Child,
    /// Speaks plain text.
    port: u16,
    tls_port: Option<u16>,
    dir: PathBuf,
}

/// What a Sentinel is started with.
struct Watch<'a> {
    primary: u16,
    password: Option<&'a str>,
    /// Options that name certificates, if it speaks TLS with everybody.
    tls: Option<&'a [&'a str]>,
}

impl RedisSentinel {
    /// Starts all of it and waits until the Sentinels know each other and the replicas are in step.
    ///
    /// # Panics
    ///
    /// If the servers do not come up.
    pub fn start(replicas: usize) -> Self {
        Self::start_with(replicas, &[], None)
    }

    /// Starts it with further command line options for the servers, and perhaps a password for the
    /// Sentinels.
    ///
    /// # Panics
    ///
    /// As [`RedisSentinel::start`].
    pub fn start_with(replicas: usize, args: &[&str], password: Option<&str>) -> Self {
        Self::start_as(replicas, args, password, false)
    }

    /// Starts it for clients over TLS, which the servers and Sentinels use among each other, too. The options
    /// name the certificates.
    ///
    /// # Panics
    ///
    /// As [`RedisSentinel::start`].
    pub fn start_tls(replicas: usize, args: &[&str]) -> Self {
        Self::start_as(replicas, args, None, true)
    }

    fn start_as(replicas: usize, args: &[&str], password: Option<&str>, tls: bool) -> Self {
        let quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
        let (mut servers, mut tls_ports) = (Vec::new(), Vec::new());
        for _ in 0..=replicas {
            let tls_port = free_port();
            let tls_port_text = tls_port.to_string();
            let mut all: Vec<&str> = quick.to_vec();
            if tls {
                all.extend(["--tls-port", &tls_port_text, "--tls-replication", "yes"]);
                tls_ports.push(tls_port);
            }
            all.extend(args);
            servers.push(RedisServer::start_with(&all));
        }
        let primary = *tls_ports.first().unwrap_or(&servers[0].port());
        let port = primary.to_string();
        for replica in &servers[1..] {
            replica.ask(&["REPLICAOF", "127.0.0.1", &port]).expect("a server becomes a replica");
        }
        let in_step = format!("connected_slaves:{replicas}");
        until("the replicas are in step", || {
            let info = servers[0].ask(&["INFO", "replication"]).unwrap_or_default();
            info.contains(&in_step) && info.matches("state=online").count() == replicas
        });
        let watch = Watch { primary, password, tls: tls.then_some(args) };
        let sentinels = (0..3).map(|_| Sentinel::start(&watch)).collect();
        let this = Self { servers, sentinels, password: password.map(str::to_owned), tls_ports };
        until("the Sentinels know each other and the replicas", || {
            (0..this.sentinels.len()).all(|sentinel| {
                let state = this.ask(sentinel, &["SENTINEL", "MASTER", SERVICE]).unwrap_or_default();
                let field = |name: &str| state.lines().skip_while(|line| *line != name).nth(1);
                field("num-other-sentinels") == Some("2")
                    && field("num-slaves") == Some(replicas.to_string().as_str())
            })
        });
        this
    }

    /// The address for a store.
    pub fn url(&self) -> String {
        let port = |sentinel: &Sentinel| sentinel.tls_port.unwrap_or(sentinel.port);
        let mut nodes = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", port(sentinel)));
        let first = nodes.next().unwrap_or_default();
        let others: String = nodes.map(|node| format!("&node={node}")).collect();
        let scheme = if self.tls_ports.is_empty() { "redis-sentinel" } else { "rediss-sentinel" };
        format!("{scheme}://{first}?sentinelServiceName={SERVICE}{others}")
    }

    /// Which of the servers the Sentinels take for the primary.
    ///
    /// # Panics
    ///
    /// If no Sentinel answers.
    pub fn primary(&self) -> usize {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
        let answer = (0..self.sentinels.len()).find_map(|sentinel| self.ask(sentinel, &words).ok());
        let answer = answer.expect("a Sentinel answers");
        let port: Option<u16> = answer.lines().nth(1).and_then(|port| port.parse().ok());
        let mut ports = self.servers.iter().map(RedisServer::port).enumerate();
        let known = ports.find(|(index, plain)| Some(*self.tls_ports.get(*index).unwrap_or(plain)) == port);
        known.map(|(index, _)| index).expect("it is one of our servers")
    }

    /// Tells the Sentinels to put a replica in the primary's place.
    ///
    /// # Panics
    ///
    /// If they refuse.
    pub fn failover(&self) {
        // Right after a failover the next one is refused for a while.
        until("a Sentinel takes the command", || self.ask(0, &["SENTINEL", "FAILOVER", SERVICE]).is_ok());
    }

    fn ask(&self, sentinel: usize, words: &[&str]) -> std::io::Result<String> {
        let login = self.password.as_deref().map(|password| ("default", password));
        wire::ask(self.sentinels[sentinel].port, login, words)
    }
}

impl Drop for RedisSentinel {
    fn drop(&mut self) {
        for sentinel in &mut self.sentinels {
            let _ = sentinel.child.kill();
            let _ = sentinel.child.wait();
            let _ = fs::remove_dir_all(&sentinel.dir);
        }
    }
}

impl Sentinel {
    fn start(watch: &Watch<'_>) -> Self {
        (0..5).find_map(|_| Self::try_start(watch)).expect("a Sentinel comes up")
    }

    /// `None` if another process has taken its port.
    fn try_start(watch: &Watch<'_>) -> Option<Self> {
        let (port, tls_port) = (free_port(), watch.tls.map(|_| free_port()));
        let dir = temp_dir(port);
        let file = dir.join("sentinel.conf");
        let primary = watch.primary;
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\nsentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 3000\n"
        );
        if let Some(password) = watch.password {
            text.push_str(&format!("requirepass {password}\n"));
        }
        if let Some(tls_port) = tls_port {
            text.push_str(&format!("tls-port {tls_port}\ntls-replication yes\n"));
        }
        fs::write(&file, text).expect("a file of our own");
        let mut child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .args(watch.tls.unwrap_or_default())
            .current_dir(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let mut ended = false;
        until("a Sentinel comes up", || {
            ended = matches!(child.try_wait(), Ok(Some(_)));
            let login = watch.password.map(|password| ("default", password));
            ended || wire::ask(port, login, &["SENTINEL", "MASTER", SERVICE]).is_ok()
        });
        if ended {
            let _ = fs::remove_dir_all(&dir);
            return None;
        }
        Some(Self { child, port, tls_port, dir })
    }
}
