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
    sentinels: Vec<(Child, u16, PathBuf)>,
    password: Option<String>,
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
        let quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
        let mut all: Vec<&str> = quick.to_vec();
        all.extend(args);
        let primary = RedisServer::start_with(&all);
        let port = primary.port().to_string();
        let mut servers = vec![primary];
        for _ in 0..replicas {
            servers.push(RedisServer::start_with(&all));
        }
        for replica in &servers[1..] {
            replica.ask(&["REPLICAOF", "127.0.0.1", &port]).expect("a server becomes a replica");
        }
        let in_step = format!("connected_slaves:{replicas}");
        until("the replicas are in step", || {
            let info = servers[0].ask(&["INFO", "replication"]).unwrap_or_default();
            info.contains(&in_step) && info.matches("state=online").count() == replicas
        });
        let sentinels = (0..3).map(|_| spawn(servers[0].port(), password)).collect();
        let this = Self { servers, sentinels, password: password.map(str::to_owned) };
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
        let mut nodes = self.sentinels.iter().map(|(_, port, _)| format!("127.0.0.1:{port}"));
        let first = nodes.next().unwrap_or_default();
        let others: String = nodes.map(|node| format!("&node={node}")).collect();
        format!("redis-sentinel://{first}?sentinelServiceName={SERVICE}{others}")
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
        let port = answer.lines().nth(1).and_then(|port| port.parse().ok());
        self.servers.iter().position(|server| Some(server.port()) == port).expect("it is one of our servers")
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
        wire::ask(self.sentinels[sentinel].1, login, words)
    }
}

impl Drop for RedisSentinel {
    fn drop(&mut self) {
        for (child, _, dir) in &mut self.sentinels {
            let _ = child.kill();
            let _ = child.wait();
            let _ = fs::remove_dir_all(dir);
        }
    }
}

fn spawn(primary: u16, password: Option<&str>) -> (Child, u16, PathBuf) {
    for _ in 0..5 {
        let port = free_port();
        let dir = temp_dir(port);
        let file = dir.join("sentinel.conf");
        let text = format!(
            "bind 127.0.0.1\nport {port}\nsentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 3000\n{}",
            password.map(|password| format!("requirepass {password}\n")).unwrap_or_default()
        );
        fs::write(&file, text).expect("a file of our own");
        let mut child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .current_dir(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let mut ended = false;
        until("a Sentinel comes up", || {
            ended = matches!(child.try_wait(), Ok(Some(_)));
            let login = password.map(|password| ("default", password));
            ended || wire::ask(port, login, &["SENTINEL", "MASTER", SERVICE]).is_ok()
        });
        if !ended {
            return (child, port, dir);
        }
        let _ = fs::remove_dir_all(&dir);
    }
    panic!("a Sentinel does not come up");
}
