//! Nothing is left behind.

use std::path::Path;
use std::time::Duration;

use iap_core::process::InstanceState;

use super::app::{App, command, runs, until};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_stop_kills_what_ignores_it", a_stop_kills_what_ignores_it),
    ("a_stop_asks_first", a_stop_asks_first),
    ("a_dropped_process_leaves_nothing", a_dropped_process_leaves_nothing),
    ("a_command_that_ends_takes_all_with_it", a_command_that_ends_takes_all_with_it),
    ("a_killed_guard_takes_the_command_with_it", a_killed_guard_takes_the_command_with_it),
    ("limits_and_user_are_those_of_the_command", limits_and_user_are_those_of_the_command),
];

/// A shell that listens nowhere; it writes the numbers of its processes into a file each.
fn family(directory: &Path, last: &str) -> iap_core::process::ProcessSettings {
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
