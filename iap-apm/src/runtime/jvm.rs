//! JVMs on this machine, read from the counters that each of them shows in a file: no agent, no port, no cost to
//! the JVM.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use schemars::JsonSchema;
use serde::Serialize;

use super::hsperf::Counters;
use super::live_set::old_generation;
use super::procfs::{self, Identity};
use super::reading::Readings;
use crate::model::MetricKind;
use crate::text::cut;

/// JVMs that are looked at.
pub(crate) const MAX_JVMS: usize = 32;
/// Directories of users in one temporary directory.
const MAX_USERS: usize = 64;
/// Bytes of a file of counters; it has 32 KiB unless the JVM is told otherwise.
const MAX_FILE: u64 = 1 << 20;
const MAX_NAME: usize = 120;
/// Collectors, generations and spaces of one JVM.
pub(super) const MAX_PARTS: usize = 8;

/// A JVM that runs on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Jvm {
    /// Its number in the system.
    pub pid: u32,
    /// What runs in it: the name of the managed process, that of the upstream whose server it is, or the main class.
    pub name: String,
    /// Which of several: the number of the managed process's instance, the address of the server, or its number in the system.
    pub instance: String,
    /// The version of the JVM.
    pub version: String,
    /// The user that it runs as.
    pub uid: u32,
}

/// A JVM and where its counters are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) pid: u32,
    pub(crate) identity: Identity,
    path: PathBuf,
}

/// Finds the JVMs: those whose files are in our temporary directory, and those that have a root of their own.
pub(crate) fn find(managed: impl Fn(u32) -> bool) -> Vec<Place> {
    let mut found: BTreeMap<u32, Place> = BTreeMap::new();
    for file in files(Path::new("/tmp")) {
        let Some(pid) = file.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
        add(&mut found, pid, |identity| (identity.inner == pid).then(|| file.clone()));
    }
    for pid in procfs::pids() {
        if found.len() >= MAX_JVMS {
            break;
        }
        let is_java =
            || procfs::read(format!("/proc/{pid}/comm")).is_some_and(|name| name.trim_end() == "java");
        if found.contains_key(&pid) || !(managed(pid) || is_java()) {
            continue;
        }
        let root = PathBuf::from(format!("/proc/{pid}/root/tmp"));
        add(&mut found, pid, |identity| {
            let wanted = identity.inner.to_string();
            files(&root).find(|file| file.file_name().is_some_and(|name| *name == *wanted))
        });
    }
    found.into_values().take(MAX_JVMS).collect()
}

fn add(found: &mut BTreeMap<u32, Place>, pid: u32, path: impl FnOnce(&Identity) -> Option<PathBuf>) {
    let Some(identity) = Identity::of(pid).filter(|_| found.len() < MAX_JVMS) else { return };
    if let Some(path) = path(&identity) {
        found.insert(pid, Place { pid, identity, path });
    }
}

/// The files of all users in a temporary directory.
fn files(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let users = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("hsperfdata_")));
    let files =
        users.take(MAX_USERS).flat_map(|user| fs::read_dir(user.path()).into_iter().flatten().flatten());
    files.map(|file| file.path()).take(4 * MAX_USERS)
}

impl Place {
    #[cfg(test)]
    pub(crate) fn for_tests(pid: u32, identity: Identity) -> Self {
        Self { pid, identity, path: PathBuf::new() }
    }

    /// The bytes of the file; `None` when it is not the JVM's own. It is in a directory that others may write to.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::File::from(rustix::fs::open(&self.path, flags, Mode::empty()).ok()?);
        let data = file.metadata().ok()?;
        if !data.is_file() || data.uid() != self.identity.uid {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// Who a JVM is; `known`: the process or the upstream that it is known to be a part of, and which part.
pub(crate) fn describe(place: &Place, counters: &Counters<'_>, known: Option<(&str, String)>) -> Jvm {
    // The arguments may hold secrets, the first word is what runs.
    let command = counters.text("sun.rt.javaCommand").unwrap_or_default();
    let main = command.split_ascii_whitespace().next().unwrap_or("java");
    let main = main.rsplit('/').next().unwrap_or(main);
    let version = counters.text("java.property.java.vm.version").unwrap_or_default();
    let (name, instance) = known.unwrap_or_else(|| (main, place.pid.to_string()));
    Jvm {
        pid: place.pid,
        name: cut(name, MAX_NAME).to_owned(),
        instance,
        version: cut(&version, MAX_NAME).to_owned(),
        uid: place.identity.uid,
    }
}

/// What a JVM says about itself, as readings; `live`: the bytes of its old generation that are known to live.
pub(crate) fn take(readings: &mut Readings, counters: &Counters<'_>, live: Option<u64>) {
    let level = |name: &str| counters.number(name).map(|number| number as f64);
    memory(readings, counters);
    if let Some((pool, _)) = old_generation(counters) {
        let labels = [("jvm.memory.type", "heap"), ("jvm.memory.pool.name", pool.as_str())];
        let bytes = live.map(|bytes| bytes as f64);
        readings.add("jvm.memory.used_after_last_gc", MetricKind::Gauge, "By", bytes, &labels);
    }
    for collector in collectors(counters) {
        let labels = [("jvm.gc.name", collector.name.as_str())];
        let seconds = Some(collector.time_us as f64 / 1e6);
        readings.add(
            "jvm.gc.collections",
            MetricKind::Counter,
            "{collection}",
            Some(collector.count as f64),
            &labels,
        );
        readings.add("jvm.gc.time", MetricKind::Counter, "s", seconds, &labels);
        let last = collector.last.map(|(_, pause_us)| pause_us as f64 / 1e6);
        readings.add("jvm.gc.last_pause", MetricKind::Gauge, "s", last, &labels);
    }
    readings.gauge("jvm.thread.count", "{thread}", level("java.threads.live"));
    readings.gauge("jvm.thread.daemon.count", "{thread}", level("java.threads.daemon"));
    let loaded =
        ["java.cls.loadedClasses", "java.cls.sharedLoadedClasses"].map(|name| level(name).unwrap_or(0.0));
    readings.counter("jvm.class.loaded", "{class}", Some(loaded.iter().sum()));
    let gone =
        ["java.cls.unloadedClasses", "java.cls.sharedUnloadedClasses"].map(|name| level(name).unwrap_or(0.0));
    readings.counter("jvm.class.unloaded", "{class}", Some(gone.iter().sum()));
    readings.counter("jvm.safepoint.count", "{safepoint}", level("sun.rt.safepoints"));
    let ticks = Ticks::of(counters);
    let seconds = |name: &str| counters.number(name).map(|number| ticks.us(number) as f64 / 1e6);
    readings.counter("jvm.safepoint.time", "s", seconds("sun.rt.safepointTime"));
}

fn memory(readings: &mut Readings, counters: &Counters<'_>) {
    let level = |name: String| counters.number(&name).map(|number| number as f64);
    let mut pools = Vec::new();
    for generation in 0..MAX_PARTS {
        for space in 0..MAX_PARTS {
            let place = format!("sun.gc.generation.{generation}.space.{space}");
            let Some(name) = counters.text(&format!("{place}.name")) else { break };
            pools.push(("heap", name, place));
        }
    }
    for name in ["metaspace", "compressedclassspace"] {
        pools.push(("non_heap", name.to_owned(), format!("sun.gc.{name}")));
    }
    for (kind, name, place) in pools {
        let labels = [("jvm.memory.type", kind), ("jvm.memory.pool.name", name.as_str())];
        for (metric, field) in [
            ("jvm.memory.used", "used"),
            ("jvm.memory.committed", "capacity"),
            ("jvm.memory.limit", "maxCapacity"),
        ] {
            // A space without a bound of its own says so with an absurd one.
            let value = level(format!("{place}.{field}")).filter(|bytes| *bytes < 1e15);
            readings.add(metric, MetricKind::Gauge, "By", value, &labels);
        }
    }
}

/// The clock of a JVM.
#[derive(Debug, Clone, Copy)]
struct Ticks(u64);

impl Ticks {
    fn of(counters: &Counters<'_>) -> Self {
        Self(counters.number("sun.os.hrt.frequency").filter(|hertz| *hertz > 0).unwrap_or(1_000_000_000))
    }

    fn us(self, ticks: u64) -> u64 {
        (u128::from(ticks) * 1_000_000 / u128::from(self.0)).min(u128::from(u64::MAX)) as u64
    }
}

/// A collector, and what it has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collector {
    pub(crate) name: String,
    pub(crate) count: u64,
    pub(crate) time_us: u64,
    /// The last pause: when it began, in microseconds of the JVM's clock, and how long it was.
    pub(crate) last: Option<(u64, u64)>,
}

pub(crate) fn collectors(counters: &Counters<'_>) -> Vec<Collector> {
    let ticks = Ticks::of(counters);
    let collector = |at: usize| {
        let field = |name: &str| format!("sun.gc.collector.{at}.{name}");
        let time = |name: &str| counters.number(&field(name)).map(|number| ticks.us(number));
        let last = time("lastEntryTime")
            .zip(time("lastExitTime"))
            .filter(|(entry, exit)| *entry > 0 && exit >= entry);
        Some(Collector {
            name: cut(&counters.text(&field("name"))?, MAX_NAME).to_owned(),
            count: counters.number(&field("invocations"))?,
            time_us: time("time")?,
            last: last.map(|(entry, exit)| (entry, exit - entry)),
        })
    };
    (0..MAX_PARTS).map_while(collector).collect()
}

/// Microseconds on the JVM's clock at about the time of reading.
pub(crate) fn clock_us(counters: &Counters<'_>) -> Option<u64> {
    counters.number("sun.os.hrt.ticks").map(|ticks| Ticks::of(counters).us(ticks))
}

/// Tells a JVM from another one that had the same number before.
pub(crate) fn birth(counters: &Counters<'_>) -> u64 {
    counters.number("sun.rt.createVmBeginTime").unwrap_or(0)
}

/// Why the JVM collected the last time.
pub(crate) fn cause(counters: &Counters<'_>) -> Option<String> {
    counters.text("sun.gc.lastCause").map(|cause| cut(&cause, MAX_NAME).to_owned())
}

#[cfg(test)]
mod tests;
