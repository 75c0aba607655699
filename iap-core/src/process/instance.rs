//! One running instance: its guard, its place, its end.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::User;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::Shared;
use super::cgroup::Group;
use super::guard::{GROUP, MARKER, STOP, Stage};
use super::place::Place;
use crate::error::BoxError;

/// Variables of ours that are handed down.
const HANDED_DOWN: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"];
/// How long a guard may take until it has started the command.
const GUARD_STARTS: Duration = Duration::from_secs(10);
/// How long a guard may take beyond the time-out of a stop.
const GUARD_ENDS: Duration = Duration::from_secs(15);

/// A command that runs. Dropped, it is killed with all that it has started.
#[derive(Debug)]
pub(super) struct Instance {
    /// Where it listens.
    pub(super) place: Place,
    /// The command's number in the system.
    pub(super) pid: u32,
    /// When this ends, the guard kills everything.
    control: OwnedWriteHalf,
    stage: watch::Receiver<Stages>,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stages {
    Launching,
    Running(u32),
    /// The command has ended; what it has left behind may still run.
    Ended(String),
    /// Nothing of it runs any more.
    Gone(String),
}

impl Instance {
    pub(super) async fn start(shared: &Shared, number: usize) -> Result<Self, BoxError> {
        let place = Place::choose(&shared.settings, shared.orders.user)?;
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (read, control) = UnixStream::from_std(ours)?.into_split();
        let group = make_group(shared, number)?;
        let mut command = command(shared, number, &place, theirs);
        if let Some(group) = &group {
            command.env(GROUP, group.directory());
        }
        let mut child = command.spawn()?;
        if let Some(stdout) = child.stdout.take() {
            shared.output.follow(stdout, number, "stdout");
        }
        if let Some(stderr) = child.stderr.take() {
            shared.output.follow(stderr, number, "stderr");
        }
        let (stages, mut stage) = watch::channel(Stages::Launching);
        tokio::spawn(watch_over(child, read, stages, group));
        let is_launched = stage.wait_for(|stage| *stage != Stages::Launching);
        let launched = tokio::time::timeout(GUARD_STARTS, is_launched).await;
        let launched = launched.map_err(|_| "the guard does not start the command")??.clone();
        match launched {
            Stages::Running(pid) => Ok(Self { place, pid, control, stage }),
            // It has ended already: that is noticed in its turn.
            Stages::Ended(_) => Ok(Self { place, pid: 0, control, stage }),
            Stages::Gone(how) => Err(how.into()),
            Stages::Launching => Err("the guard does not start the command".into()),
        }
    }

    /// Waits until the command has ended, and says how.
    pub(super) async fn ended(&self) -> String {
        self.when(|stage| matches!(stage, Stages::Ended(_) | Stages::Gone(_))).await
    }

    /// Waits until nothing of it runs any more. What it has left behind is being stopped by its guard.
    pub(super) async fn gone(&self) -> String {
        self.when(|stage| matches!(stage, Stages::Gone(_))).await
    }

    async fn when(&self, reached: impl FnMut(&Stages) -> bool) -> String {
        match self.stage.clone().wait_for(reached).await.as_deref() {
            Ok(Stages::Ended(how) | Stages::Gone(how)) => how.clone(),
            _ => "it is not known how it ended".to_owned(),
        }
    }

    /// Signals all of its processes to end, and kills those that do not within `patience`.
    pub(super) async fn stop(mut self, patience: Duration) {
        // Where the guard has gone, so has the command.
        let _ = self.control.write_all(&[STOP]).await;
        let _ = tokio::time::timeout(patience + GUARD_ENDS, self.gone()).await;
    }
}

/// The control group, where it is to have one. One that cannot be made is no error, unless it is required.
fn make_group(shared: &Shared, number: usize) -> Result<Option<Group>, BoxError> {
    let Some(parent) = &shared.groups else { return Ok(None) };
    let limits = &shared.settings.limits;
    match parent.create(&shared.name, number, limits) {
        Ok(group) => Ok(Some(group)),
        Err(error) if limits.required => Err(format!("limits: no control group: {error}").into()),
        Err(error) => {
            let (process, instance) = (&*shared.name, number);
            tracing::warn!(process, instance, %error, "no control group: it runs without its limits");
            Ok(None)
        }
    }
}

/// The guard, which starts the command.
fn command(shared: &Shared, number: usize, place: &Place, control: StdUnixStream) -> Command {
    let settings = &shared.settings;
    // The program that runs, even if another one lies in its place by now.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("iap-guard").args(settings.command.iter().map(|word| place.fill(word, number)));
    command.env_clear();
    command.envs(HANDED_DOWN.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    if let Some(user) = settings.user.as_deref().and_then(|name| User::from_name(name).ok().flatten()) {
        command.env("USER", &user.name).env("LOGNAME", &user.name);
        command.env("HOME", user.dir).env("SHELL", user.shell);
    }
    let (variable, value) = place.variable();
    command.env(variable, value).env("INSTANCE", number.to_string());
    command.envs(settings.env.iter().map(|(name, value)| (name, place.fill(value, number))));
    command.env(MARKER, shared.orders.to_text(Stage::Guard));
    if let Some(directory) = &settings.directory {
        command.current_dir(directory);
    }
    // A group of its own: Ctrl-C is for us.
    command.process_group(0);
    command.stdin(OwnedFd::from(control)).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Hears what the guard says, to its end.
async fn watch_over(
    mut child: Child,
    reports: OwnedReadHalf,
    stages: watch::Sender<Stages>,
    group: Option<Group>,
) {
    let mut lines = BufReader::new(reports).lines();
    let mut how = None;
    while let Ok(Some(line)) = lines.next_line().await {
        match line.split_once(' ') {
            Some(("started", pid)) => {
                stages.send_replace(Stages::Running(pid.parse().unwrap_or_default()));
            }
            Some(("exited", end)) => {
                how = Some(end.to_owned());
                stages.send_replace(Stages::Ended(end.to_owned()));
            }
            _ => {}
        }
    }
    let status = child.wait().await;
    // Whatever a guard that was killed has left in it goes, too.
    drop(group);
    let how = how.unwrap_or_else(|| match status {
        Ok(status) => format!("its guard has ended: {status}"),
        Err(error) => format!("its guard is lost: {error}"),
    });
    stages.send_replace(Stages::Gone(how));
}
