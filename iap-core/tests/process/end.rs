//! Nothing is left behind.

use std::path::Path;
use std::time::Duration;

use iap_core::process::{InstanceState, ProcessError, ProcessSettings};

use super::app::{App, command, runs, until};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_stop_kills_what_ignores_it", a_stop_kills_what_ignores_it),
    ("a_stop_asks_first", a_stop_asks_first),
    ("a_dropped_process_leaves_nothing", a_dropped_process_leaves_nothing),
    ("a_command_that_ends_takes_all_with_it", a_command_that_ends_takes_all_with_it),
    ("a_killed_guard_takes_the_command_with_it", a_killed_guard_takes_the_command_with_it),
    ("limits_and_user_are_those_of_the_command", limits_and_user_are_those_of_the_command),
    ("limits_of_an_instance_hold_for_all_it_starts", limits_of_an_instance_hold_for_all_it_starts),
    (
        "limits_that_cannot_be_stop_nothing_unless_required",
        limits_that_cannot_be_stop_nothing_unless_required,
    ),
];

/// A shell that listens nowhere; it writes the numbers of its processes into a file each.
fn family(directory: &Path, last: &str) -> ProcessSettings {
    let directory = directory.display();
    // A child in the group, and a daemon with a session of its own whose parent has gone.
    let script = format!(
        "trap '' TERM
         (trap '' TERM; sh -c 'echo $PPID' > {directory}/child; while :; do sleep 1; done) &
         setsid sh -c '(trap \"\" TERM; sh -c \"echo \\$PPID\" > {directory}/daemon; while :; do sleep 1; done) &'
         echo $$ > {directory}/command
         {last}"
    );
    let mut settings = command(&["sh", "-c", &script]);
    settings.stop.timeout = Duration::from_millis(300);
    settings.stop.drain = Duration::ZERO;
    settings
}

const FOR_EVER: &str = "while :; do sleep 1; done";

/// The numbers of all three, once they are known.
fn pids(directory: &Path) -> Vec<u32> {
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).ok()?.trim().parse().ok();
    let names = ["command", "child", "daemon"];
    until("all three run", || names.iter().all(|name| read(name).is_some()));
    names.iter().filter_map(|name| read(name)).collect()
}

fn a_stop_kills_what_ignores_it() {
    let directory = tempfile::tempdir().unwrap();
    let app = App::start(family(directory.path(), FOR_EVER));
    let pids = pids(directory.path());
    assert!(pids.iter().all(|pid| runs(*pid)), "{pids:?}");
    app.stop();
    assert!(pids.iter().all(|pid| !runs(*pid)), "{pids:?}");
}

fn a_stop_asks_first() {
    let directory = tempfile::tempdir().unwrap();
    let (said, up) = (directory.path().join("said"), directory.path().join("up"));
    for signal in ["SIGTERM", "INT"] {
        let name = signal.trim_start_matches("SIG");
        let script = format!(
            "trap 'echo {name} > {}; exit 0' {name}; echo > {}; while :; do sleep 0.05; done",
            said.display(),
            up.display()
        );
        let mut settings = command(&["sh", "-c", &script]);
        settings.stop.signal = signal.into();
        settings.stop.timeout = Duration::from_secs(60);
        let app = App::start(settings);
        until("it runs", || up.exists());
        app.stop();
        assert_eq!(std::fs::read_to_string(&said).unwrap().trim(), name);
        std::fs::remove_file(&up).unwrap();
    }
}

fn a_dropped_process_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = family(directory.path(), FOR_EVER);
    let process = iap_core::Process::start("app", settings, Default::default(), runtime.handle()).unwrap();
    let pids = pids(directory.path());
    drop(process);
    until("all have ended", || pids.iter().all(|pid| !runs(*pid)));
}

fn a_command_that_ends_takes_all_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let wait = format!("while [ ! -e {}/end ]; do sleep 0.02; done; exit 4", directory.path().display());
    let mut settings = family(directory.path(), &wait);
    settings.restart.min = Duration::from_secs(3600);
    settings.restart.max = Duration::from_secs(3600);
    let app = App::start(settings);
    let pids = pids(directory.path());
    std::fs::write(directory.path().join("end"), "").unwrap();
    until("it is seen", || app.state() == InstanceState::Waiting);
    assert_eq!(app.instance().last_exit.as_deref(), Some("code 4"));
    assert!(pids.iter().all(|pid| !runs(*pid)), "{pids:?}");
}

fn a_killed_guard_takes_the_command_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = family(directory.path(), FOR_EVER);
    settings.restart.min = Duration::from_secs(3600);
    settings.restart.max = Duration::from_secs(3600);
    let app = App::start(settings);
    let command = pids(directory.path())[0];
    let stat = std::fs::read_to_string(format!("/proc/{command}/stat")).unwrap();
    let guard = stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().to_owned();
    assert!(std::process::Command::new("kill").args(["-KILL", &guard]).status().unwrap().success());
    until("the command has ended", || !runs(command));
    until("it is seen", || app.state() == InstanceState::Waiting);
    let last_exit = app.instance().last_exit.unwrap();
    assert!(last_exit.contains("guard"), "{last_exit}");
    // Those below it are nobody's: only the command itself is bound to its guard. They are ended here.
    for pid in pids(directory.path()) {
        let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    }
}

fn limits_and_user_are_those_of_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("seen");
    let script = format!(
        "echo $(ulimit -n) $(ulimit -v) $(id -un) $USER ${{IAP_PROCESS_GUARD-none}} ${{CARGO-none}} > {0}.new; mv {0}.new {0}; {FOR_EVER}",
        file.display()
    );
    let mut settings = command(&["sh", "-c", &script]);
    settings.limits.open_files = Some(123);
    settings.limits.address_space = Some(8 << 30);
    let is_root = std::process::Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let user = if is_root { "nobody" } else { "" };
    if is_root {
        settings.user = Some(user.into());
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(directory.path(), everybody).unwrap();
    }
    let _app = App::start(settings);
    until("it has written", || file.exists());
    let seen = std::fs::read_to_string(&file).unwrap();
    let seen: Vec<&str> = seen.split_whitespace().collect();
    assert_eq!(seen[..2], ["123", "8388608"]);
    assert!(!is_root || seen[2..4] == ["nobody", "nobody"], "{seen:?}");
    assert_eq!(seen[4..], ["none", "none"], "only what is meant for it is handed down");
}

/// Bounds of an instance that a shell with its family lives with.
fn bounded(mut settings: ProcessSettings) -> ProcessSettings {
    settings.limits.memory = Some(64 << 20);
    settings.limits.cpu_millis = Some(500);
    settings.limits.pids = Some(30);
    settings
}

/// Why no control group can be made, if none can.
fn no_groups() -> Option<String> {
    let mut settings = bounded(command(&["sleep", "1000"]));
    settings.limits.required = true;
    match App::try_start(settings, Default::default()) {
        Ok(_) => None,
        Err(ProcessError::NoGroup(why)) => Some(why),
        Err(other) => panic!("{other}"),
    }
}

fn group_of(pid: u32) -> String {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned()
}

fn limits_of_an_instance_hold_for_all_it_starts() {
    if let Some(why) = no_groups() {
        return eprintln!("skipped: no control group can be made: {why}");
    }
    let directory = tempfile::tempdir().unwrap();
    let mut settings = bounded(family(directory.path(), FOR_EVER));
    settings.limits.required = true;
    let app = App::start(settings);
    let pids = pids(directory.path());
    let mount = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mount.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    let group = group_of(pids[0]);
    assert!(group.contains("iap-app-1-"), "{group}");
    assert!(pids.iter().all(|pid| group_of(*pid) == group), "the daemon as well");
    let group = format!("{}{group}", mount.split(' ').nth(4).unwrap());
    for (file, value) in [("memory.max", "67108864"), ("cpu.max", "50000 100000"), ("pids.max", "30")] {
        assert_eq!(std::fs::read_to_string(format!("{group}/{file}")).unwrap().trim(), value);
    }
    app.stop();
    assert!(!Path::new(&group).exists(), "it goes with the instance");

    // Ten times as much as it may have.
    let greedy = "x = bytearray(640 << 20); import time; time.sleep(1000)";
    let mut settings = bounded(command(&["python3", "-c", greedy]));
    (settings.restart.min, settings.restart.max) = (Duration::from_secs(3600), Duration::from_secs(3600));
    let app = App::start(settings);
    until("the kernel has killed it", || app.state() == InstanceState::Waiting);
    assert_eq!(app.instance().last_exit.as_deref(), Some("signal 9"));
}

fn limits_that_cannot_be_stop_nothing_unless_required() {
    let Some(why) = no_groups() else {
        return eprintln!("skipped: control groups can be made here");
    };
    assert!(!why.is_empty());
    let directory = tempfile::tempdir().unwrap();
    let app = App::start(bounded(family(directory.path(), FOR_EVER)));
    assert!(pids(directory.path()).iter().all(|pid| runs(*pid)), "it runs without them");
    app.stop();

    // A user of its own is bound instead, all instances together.
    if std::process::Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        return eprintln!("skipped: only root can run it as somebody else");
    }
    let file = directory.path().join("seen");
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(directory.path(), everybody).unwrap();
    let script = format!("ulimit -u > {0}.new; mv {0}.new {0}; {FOR_EVER}", file.display());
    let mut settings = bounded(command(&["bash", "-c", &script]));
    (settings.user, settings.instances) = (Some("nobody".into()), 2);
    let _app = App::start(settings);
    until("it has written", || file.exists());
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), "60");
}
