use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;

const MOUNTS: &str = "\
22 1 0:20 / /proc rw - proc proc rw
31 23 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw
32 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
";

#[test]
fn our_own_group_is_found_below_its_mount() {
    let found = |mounts: &str, own: &str| directory(mounts, own).map(|path| path.display().to_string());
    let own = "4:memory:/elsewhere\n0::/system.slice/iap.service\n";
    assert_eq!(found(MOUNTS, own).as_deref(), Some("/sys/fs/cgroup/unified/system.slice/iap.service"));
    assert_eq!(found(MOUNTS, "0::/\n").as_deref(), Some("/sys/fs/cgroup/unified/"));
    let part = MOUNTS.replace("0:27 / ", "0:27 /system.slice ");
    assert_eq!(found(&part, own).as_deref(), Some("/sys/fs/cgroup/unified/iap.service"));
    assert_eq!(found(&part, "0::/user.slice\n"), None, "not below what is mounted");
    assert_eq!(found(MOUNTS, "0::/../other\n"), None, "outside of what we may see");
    assert_eq!(found(MOUNTS, "4:memory:/elsewhere\n"), None, "version 1 alone");
    assert_eq!(found("22 1 0:20 / /proc rw - proc proc rw\n", own), None);
}

#[test]
fn limits_are_written_as_the_kernel_reads_them() {
    let limits = ResourceLimits {
        memory: Some(64 << 20),
        cpu_millis: Some(1500),
        pids: Some(20),
        ..ResourceLimits::default()
    };
    let written: Vec<_> = settings(&limits).into_iter().map(|(_, file, value)| (file, value)).collect();
    let text = |file, value: &str| (file, value.to_owned());
    assert_eq!(
        written,
        [text("memory.max", "67108864"), text("cpu.max", "150000 100000"), text("pids.max", "20")]
    );
    assert_eq!(settings(&ResourceLimits::default()), []);
}

/// A real group, without limits since those need controllers; and a family in it.
#[test]
fn a_dropped_group_takes_all_with_it() {
    let parent = match Parent::prepare(&ResourceLimits::default()) {
        Ok(parent) => parent,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let group = match parent.create("a/b c", 1, &ResourceLimits::default()) {
        Ok(group) => group,
        Err(why) => {
            return eprintln!("skipped: no group can be made in {}: {why}", parent.directory.display());
        }
    };
    let directory = group.directory().to_owned();
    assert!(directory.file_name().unwrap().to_str().unwrap().starts_with("iap-a_b_c-1-"), "{directory:?}");
    let script =
        format!("echo 0 > {}/cgroup.procs; setsid sleep 1000 & exec sleep 1000", directory.display());
    let mut child = Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).spawn().unwrap();
    let members = || fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default().lines().count();
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(20), "it never happened: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until("both are in it", &|| members() == 2);
    drop(group);
    assert!(!child.wait().unwrap().success(), "killed");
    until("it is gone", &|| !directory.exists());
}
