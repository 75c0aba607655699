//! The control group of this process (version 2), and what waits for the machine's resources.
//!
//! Source: `Documentation/admin-guide/cgroup-v2.rst` and `Documentation/accounting/psi.rst` of Linux.

use std::path::{Component, Path, PathBuf};

use super::procfs::read;
use super::reading::Readings;
use crate::model::MetricKind;

const MICROS: f64 = 1e6;

/// Where the group of this process is; `None` without version 2.
pub(crate) fn find() -> Option<PathBuf> {
    let path = own(&read("/proc/self/cgroup")?)?;
    // In a container the group is often the root of what is mounted.
    let mounted = [
        Path::new("/sys/fs/cgroup").join(&path),
        PathBuf::from("/sys/fs/cgroup"),
        Path::new("/sys/fs/cgroup/unified").join(&path),
    ];
    mounted.into_iter().find(|place| place.join("cpu.stat").exists() && place.join("cgroup.procs").exists())
}

/// The path of version 2 below the mount.
fn own(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(text.lines().find_map(|line| line.strip_prefix("0::/"))?);
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

/// What the group takes, and what it was refused.
pub(crate) fn group(readings: &mut Readings, place: &Path) {
    let file = |name: &str| read(place.join(name)).unwrap_or_default();
    let number = |name: &str| file(name).trim().parse::<f64>().ok();
    let cpu = file("cpu.stat");
    let seconds = |name: &str| keyed(&cpu, name).map(|micros| micros / MICROS);
    readings.of(&[]).counter("cgroup.cpu.time", "s", seconds("usage_usec"));
    readings.counter("cgroup.cpu.throttled_time", "s", seconds("throttled_usec"));
    readings.counter("cgroup.cpu.throttled_periods", "{period}", keyed(&cpu, "nr_throttled"));
    readings.gauge("cgroup.cpu.limit", "{cpu}", cpu_limit(&file("cpu.max")));
    readings.gauge("cgroup.memory.usage", "By", number("memory.current"));
    readings.gauge("cgroup.memory.limit", "By", number("memory.max"));
    readings.counter("cgroup.memory.oom_kills", "{kill}", keyed(&file("memory.events"), "oom_kill"));
    if is_root(place) {
        // What waits there is what waits on the machine.
        return;
    }
    for resource in RESOURCES {
        pressure(readings, "cgroup", resource, &file(&format!("{resource}.pressure")));
    }
}

/// The root of all groups has no type.
fn is_root(place: &Path) -> bool {
    !place.join("cgroup.type").exists()
}

const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// The same of the whole machine.
pub(crate) fn machine(readings: &mut Readings) {
    readings.of(&[]);
    for resource in RESOURCES {
        pressure(
            readings,
            "machine",
            resource,
            &read(format!("/proc/pressure/{resource}")).unwrap_or_default(),
        );
    }
}

fn pressure(readings: &mut Readings, scope: &str, resource: &str, text: &str) {
    for line in text.lines() {
        let Some((kind @ ("some" | "full"), rest)) = line.split_once(' ') else { continue };
        let value = |name: &str| {
            let found = rest.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.and_then(|text| text.parse::<f64>().ok())
        };
        let labels = [("scope", scope), ("resource", resource), ("kind", kind)];
        let (share, total) = (value("avg10"), value("total"));
        readings.add("pressure.share", MetricKind::Gauge, "1", share.map(|percent| percent / 100.0), &labels);
        readings.add(
            "pressure.stall_time",
            MetricKind::Counter,
            "s",
            total.map(|micros| micros / MICROS),
            &labels,
        );
    }
}

/// A line of a name and a number.
fn keyed(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Quota and period as processors; `None` without a limit.
fn cpu_limit(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok().filter(|period| *period > 0.0)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_of_a_group_become_readings() {
        let place = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "cpu.stat",
                "usage_usec 2500000\nuser_usec 1\nnr_periods 9\nnr_throttled 4\nthrottled_usec 750000\n",
            ),
            ("cpu.max", "150000 100000\n"),
            ("cgroup.type", "domain\n"),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.events", "low 0\noom 2\noom_kill 1\n"),
            (
                "cpu.pressure",
                "some avg10=12.50 avg60=1.00 avg300=0.00 total=3000000\nfull avg10=0.00 total=7\n",
            ),
        ] {
            std::fs::write(place.path().join(name), text).unwrap();
        }
        let mut readings = Readings::default();
        group(&mut readings, place.path());
        let value = |name: &str| {
            readings.list.iter().find(|reading| reading.name == name).map(|reading| reading.value)
        };
        assert_eq!(value("cgroup.cpu.time"), Some(2.5));
        assert_eq!(
            (value("cgroup.cpu.throttled_time"), value("cgroup.cpu.throttled_periods")),
            (Some(0.75), Some(4.0))
        );
        assert_eq!((value("cgroup.cpu.limit"), value("cgroup.memory.usage")), (Some(1.5), Some(4096.0)));
        assert_eq!((value("cgroup.memory.limit"), value("cgroup.memory.oom_kills")), (None, Some(1.0)));
        assert_eq!((value("pressure.share"), value("pressure.stall_time")), (Some(0.125), Some(3.0)));
    }

    #[test]
    fn the_own_path_leads_nowhere_else() {
        assert_eq!(own("1:cpu:/x\n0::/a/b.service\n"), Some("a/b.service".into()));
        assert_eq!(own("0::/\n"), Some("".into()));
        assert_eq!(own("0::/../../etc\n"), None);
        assert_eq!(own("1:cpu:/x\n"), None);
    }

    proptest! {
        #[test]
        fn odd_text_never_panics(text in "\\PC{0,200}") {
            let _ = (own(&text), keyed(&text, "a"), cpu_limit(&text));
            pressure(&mut Readings::default(), "machine", "cpu", &format!("some {text}"));
        }
    }
}
