//! A cluster of masters and replicas.

use super::server::{RedisServer, free_port};
use super::until;

/// How long a node may be silent before others take it for dead, in milliseconds.
const NODE_TIMEOUT: &str = "1000";
const SLOTS: usize = 16384;

/// Some masters, which share the slots evenly, and a replica for each. Killed when dropped.
pub struct RedisCluster {
    /// The servers: first the masters in the order of their slots, then their replicas.
    pub servers: Vec<RedisServer>,
    /// The ports that clients use: those of TLS, if they use it.
    ports: Vec<u16>,
    masters: usize,
    tls: bool,
}

impl RedisCluster {
    /// Starts the servers, makes a cluster of them and waits until all agree.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn start(masters: usize) -> Self {
        Self::start_with(masters, &[])
    }

    /// Starts it with further command line options.
    ///
    /// # Panics
    ///
    /// As [`RedisCluster::start`].
    pub fn start_with(masters: usize, args: &[&str]) -> Self {
        Self::start_as(masters, args, false)
    }

    /// Starts it for clients over TLS. The options name the certificates.
    ///
    /// # Panics
    ///
    /// As [`RedisCluster::start`].
    pub fn start_tls(masters: usize, args: &[&str]) -> Self {
        Self::start_as(masters, args, true)
    }

    fn start_as(masters: usize, args: &[&str], tls: bool) -> Self {
        let (mut servers, mut buses, mut ports) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..masters * 2 {
            let (bus, tls_port) = (free_port().to_string(), free_port());
            let tls_port_text = tls_port.to_string();
            let mut all = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
            if tls {
                // Nodes tell clients the ports of TLS only when they talk that way themselves.
                all.extend(["--tls-port", &tls_port_text, "--tls-cluster", "yes"]);
                all.extend(["--tls-replication", "yes"]);
            }
            all.extend(["--cluster-node-timeout", NODE_TIMEOUT, "--repl-diskless-sync-delay", "0"]);
            all.extend(["--cluster-replica-validity-factor", "0", "--repl-ping-replica-period", "1"]);
            all.extend(args);
            servers.push(RedisServer::start_with(&all));
            let server_port = servers.last().map_or(0, RedisServer::port);
            ports.push(if tls { tls_port } else { server_port });
            buses.push(bus);
        }
        let this = Self { servers, ports, masters, tls };
        this.introduce(&buses);
        this.divide();
        this
    }

    /// Makes the nodes known to each other.
    fn introduce(&self, buses: &[String]) {
        for (index, server) in self.servers.iter().enumerate() {
            let epoch = (index + 1).to_string();
            server.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).expect("a new node takes an epoch");
            let port = self.ports[index].to_string();
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &buses[index]];
            self.servers[0].ask(&meet).expect("nodes meet");
        }
        let known = format!("cluster_known_nodes:{}", self.servers.len());
        self.all("the nodes know each other", &["CLUSTER", "INFO"], &known);
    }

    /// Gives the masters slots and replicas.
    fn divide(&self) {
        let masters = self.masters;
        for master in 0..masters {
            let (from, to) = (SLOTS * master / masters, SLOTS * (master + 1) / masters - 1);
            let words = ["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()];
            self.servers[master].ask(&words).expect("a master takes slots");
        }
        for master in 0..masters {
            let id = self.id(master);
            let replica = &self.servers[self.replica_of(master)];
            until("a replica takes its master", || replica.ask(&["CLUSTER", "REPLICATE", &id]).is_ok());
        }
        self.all("the cluster is up", &["CLUSTER", "INFO"], "cluster_state:ok");
        until("the replicas are in step, and all nodes know it", || {
            let in_step = |server: &RedisServer| {
                server.ask(&["INFO", "replication"]).unwrap_or_default().contains("state=online")
            };
            let known = |server: &RedisServer| {
                let nodes = server.ask(&["CLUSTER", "NODES"]).unwrap_or_default();
                nodes.lines().filter(|line| line.contains("slave")).count() == masters
            };
            self.servers[..masters].iter().all(in_step) && self.servers.iter().all(known)
        });
    }

    /// The address for a store.
    pub fn url(&self) -> String {
        let node = |index: usize| format!("127.0.0.1:{}", self.ports[index]);
        let others: Vec<String> =
            (1..self.ports.len()).map(|index| format!("node={}", node(index))).collect();
        let scheme = if self.tls { "rediss-cluster" } else { "redis-cluster" };
        format!("{scheme}://{}?{}", node(0), others.join("&"))
    }

    /// The id of a server in the cluster.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    pub fn id(&self, server: usize) -> String {
        self.servers[server].ask(&["CLUSTER", "MYID"]).expect("a node knows its id")
    }

    /// The replica that a master has at the start.
    pub fn replica_of(&self, master: usize) -> usize {
        self.masters + master
    }

    /// Moves a slot with all its keys from one master to another, as `redis-cli --cluster reshard` does.
    ///
    /// # Panics
    ///
    /// If a node refuses.
    pub fn migrate(&self, slot: usize, from: usize, to: usize) {
        self.begin_migration(slot, from, to);
        let target = self.id(to);
        self.set_slot(to, slot, &["NODE", &target]);
        self.set_slot(from, slot, &["NODE", &target]);
    }

    /// Moves the keys of a slot, but leaves the slot where it was: what clients ask the old master for is
    /// to be found at the new one.
    ///
    /// # Panics
    ///
    /// As [`RedisCluster::migrate`].
    pub fn begin_migration(&self, slot: usize, from: usize, to: usize) {
        let (source, target) = (self.id(from), self.id(to));
        self.set_slot(to, slot, &["IMPORTING", &source]);
        self.set_slot(from, slot, &["MIGRATING", &target]);
        let (number, port) = (slot.to_string(), self.servers[to].port().to_string());
        loop {
            let keys = self.servers[from].ask(&["CLUSTER", "GETKEYSINSLOT", &number, "10"]);
            let keys = keys.expect("a master lists its keys");
            if keys.is_empty() {
                break;
            }
            let mut all = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            all.extend(keys.lines());
            self.servers[from].ask(&all).expect("keys move");
        }
    }

    fn set_slot(&self, server: usize, slot: usize, words: &[&str]) {
        let number = slot.to_string();
        let mut all = vec!["CLUSTER", "SETSLOT", &number];
        all.extend(words);
        self.servers[server].ask(&all).expect("a node takes the state of a slot");
    }

    fn all(&self, what: &str, words: &[&str], wanted: &str) {
        until(what, || {
            let says = |server: &RedisServer| server.ask(words).is_ok_and(|reply| reply.contains(wanted));
            self.servers.iter().all(says)
        });
    }
}
