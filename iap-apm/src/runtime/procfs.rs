//! What `/proc` says of processes and listeners. All of it is parsed with doubt: a process may end at any moment.
//!
//! Source: proc(5), and `Documentation/networking/proc_net_tcp.rst` of Linux.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::reading::Readings;
use crate::model::MetricKind;

/// Bytes that are read of a file; listings of sockets may be longer than that is worth.
const MAX_FILE: u64 = 1 << 20;
/// Descriptors of a process that are looked at.
const MAX_DESCRIPTORS: usize = 1 << 16;
/// Ticks a second in `/proc/PID/stat`: fixed in the interface of Linux.
const TICKS: f64 = 100.0;

/// The beginning of a file; `None` when it cannot be read.
pub(crate) fn read(path: impl AsRef<Path>) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a process takes.
pub(crate) fn process(readings: &mut Readings, pid: Option<u32>) {
    let place = pid.map_or_else(|| PathBuf::from("/proc/self"), |pid| PathBuf::from(format!("/proc/{pid}")));
    let Some(stat) = read(place.join("stat")).and_then(|text| Stat::parse(&text)) else { return };
    for (mode, ticks) in [("user", stat.user), ("system", stat.system)] {
        let seconds = Some(ticks as f64 / TICKS);
        readings.add("process.cpu.time", MetricKind::Counter, "s", seconds, &[("cpu.mode", mode)]);
    }
    readings.gauge("process.thread.count", "{thread}", Some(stat.threads as f64));
    let status = read(place.join("status")).unwrap_or_default();
    readings.gauge("process.memory.usage", "By", size(&status, "VmRSS:"));
    readings.gauge("process.memory.anonymous", "By", size(&status, "RssAnon:"));
    readings.gauge("process.unix.file_descriptor.count", "{descriptor}", descriptors(&place.join("fd")));
    let limit = read(place.join("limits")).and_then(|text| descriptor_limit(&text));
    readings.gauge("process.unix.file_descriptor.limit", "{descriptor}", limit);
}

/// The length of the directory is their number since Linux 6.2; before that they have to be counted.
fn descriptors(place: &Path) -> Option<f64> {
    match fs::metadata(place).ok()?.len() {
        0 => Some(fs::read_dir(place).ok()?.take(MAX_DESCRIPTORS).count() as f64),
        count => Some(count as f64),
    }
}

/// A line of `status`, in bytes.
fn size(status: &str, name: &str) -> Option<f64> {
    let size = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"))?;
    Some(size.parse::<f64>().ok()? * 1_024.0)
}

fn descriptor_limit(text: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix("Max open files")?.split_ascii_whitespace().next()?.parse().ok())
}

/// Of `/proc/PID/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    user: u64,
    system: u64,
    threads: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name of the program stands in parentheses, and may hold anything.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        Some(Self { user: number(11)?, system: number(12)?, threads: number(17)? })
    }
}

/// Who a process is, as `/proc/PID/status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The effective user.
    pub(crate) uid: u32,
    /// Its number in its own namespace.
    pub(crate) inner: u32,
    /// Whether it handles `SIGQUIT`, which ends a process that does not.
    pub(crate) handles_quit: bool,
}

impl Identity {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(pid, &read(format!("/proc/{pid}/status"))?)
    }

    fn parse(pid: u32, text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let uid = field("Uid")?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        let inner = field("NSpid").and_then(|text| text.split_ascii_whitespace().last()?.parse().ok());
        let caught = u64::from_str_radix(field("SigCgt")?.trim(), 16).ok()?;
        // SIGQUIT is signal 3.
        Some(Self { uid, inner: inner.unwrap_or(pid), handles_quit: caught & 0b100 != 0 })
    }
}

/// The processes that run, by number.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(1 << 15)
}

/// A socket that listens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    /// Connections that wait there.
    queue: u64,
    /// What names it among the descriptors of its process.
    pub(super) inode: u64,
}

/// The sockets that listen for TCP in our namespace, by their tables, `tcp` and `tcp6`: each costs the kernel a walk over all
/// connections.
pub(super) fn listening_sockets(tables: impl IntoIterator<Item = &'static str>) -> Vec<Listening> {
    let texts = tables.into_iter().filter_map(|table| read(format!("/proc/self/net/{table}")));
    texts.flat_map(|text| text.lines().filter_map(listening).collect::<Vec<_>>()).collect()
}

/// What names the sockets of a process; none where we may not look.
pub(super) fn sockets_of(pid: u32) -> HashSet<u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let socket = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    descriptors.take(MAX_DESCRIPTORS).filter_map(socket).collect()
}

/// Connections that wait to be accepted, by listener; and how often there was no room for one.
pub(super) fn listeners(readings: &mut Readings, ours: &[SocketAddr], sockets: &[Listening]) {
    let mut waiting: Vec<(SocketAddr, u64)> = ours.iter().map(|address| (*address, 0)).collect();
    let mut found = false;
    for socket in sockets {
        // A listener has a socket for each worker.
        if let Some((_, sum)) = waiting.iter_mut().find(|(known, _)| *known == socket.address) {
            *sum += socket.queue;
            found = true;
        }
    }
    for (address, queue) in waiting.into_iter().filter(|_| found) {
        let address = address.to_string();
        readings.of(&[("address", &address)]).gauge(
            "listener.accept_queue.length",
            "{connection}",
            Some(queue as f64),
        );
    }
    let netstat = read("/proc/self/net/netstat").unwrap_or_default();
    let count = |name: &str| tcp_ext(&netstat, name);
    readings.of(&[]).counter("tcp.listen.overflows", "{connection}", count("ListenOverflows"));
    readings.counter("tcp.listen.drops", "{connection}", count("ListenDrops"));
}

/// A line of a listening socket.
fn listening(line: &str) -> Option<Listening> {
    let mut fields = line.split_ascii_whitespace();
    let (address, state, queues) = (fields.nth(1)?, fields.nth(1)?, fields.next()?);
    let inode = fields.nth(4)?.parse().ok()?;
    (state == "0A").then_some(())?;
    let (ip, port) = address.split_once(':')?;
    // Words of four bytes, each in the machine's order.
    let words =
        ip.as_bytes().chunks(8).map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    let queue = u64::from_str_radix(queues.split_once(':')?.1, 16).ok()?;
    let address = SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?);
    Some(Listening { address, queue, inode })
}

/// A number of the group `TcpExt`: a line of names, and one of numbers.
fn tcp_ext(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let at = lines.next()?.split_ascii_whitespace().position(|known| known == name)?;
    lines.next()?.split_ascii_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests;
