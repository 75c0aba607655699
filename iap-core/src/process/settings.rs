//! What is run, and how.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use super::MAX_INSTANCES;
use super::guard::{GROUP, MARKER, Orders};
use super::place::{PORT, SOCKET};
use crate::upstream::UpstreamError;

/// A command and how its instances are run. What is `None` is off.
///
/// In the command and in values of the environment `{port}`, `{socket}` and `{instance}` stand for the
/// port, the path of the socket and the number of an instance. The environment also has `PORT` (or
/// `SOCKET`) and `INSTANCE`. Where `{socket}` stands somewhere, the instance listens there; else on
/// `127.0.0.1` and the port.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProcessSettings {
    /// The program and its arguments. It has to stay in the foreground: when it ends, so does all that
    /// it has started.
    pub command: Vec<String>,
    /// Variables besides `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LC_ALL`, `TZ` and
    /// `TMPDIR`, the only ones that are handed down: ours may hold secrets. Values may be secrets;
    /// they are not shown.
    pub env: Vec<(String, String)>,
    /// Where it runs. Default: where we do.
    pub directory: Option<PathBuf>,
    /// The user it runs as, by name; needs root. Default: ours.
    pub user: Option<String>,
    /// How many run at a time: 1 to [`MAX_INSTANCES`]. Default: 1.
    pub instances: usize,
    /// When an instance gets requests.
    pub ready: Ready,
    /// What happens when an instance ends by itself.
    pub restart: Restart,
    /// How an instance is stopped.
    pub stop: Stop,
    /// Bounds on each process of an instance, and on all of them.
    pub limits: ResourceLimits,
}

/// When an instance gets requests: once it can be connected to, and answers where a path is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// What is asked for by `GET`; `None` is content with a connection. Default: `None`.
    pub path: Option<Uri>,
    /// The status codes of one that is ready. Default: 200 to 399.
    pub expect: RangeInclusive<u16>,
    /// How long it may take; then it is stopped, and tried again later. Default: 60 s.
    pub timeout: Duration,
}

/// How long to wait before an instance that has ended is started again. It doubles each time, with up
/// to a fifth more or less at random, so that not all start at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The first time. Default: 500 ms.
    pub min: Duration,
    /// At most. Default: 30 s.
    pub max: Duration,
    /// An instance that was ready for so long starts anew with the shortest wait. Default: 60 s.
    pub reset_after: Duration,
}

/// How an instance is stopped: no more requests, those it has are finished, a signal to all of its
/// processes, and in the end SIGKILL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The signal's name, like `SIGTERM` or `QUIT`. Default: `SIGTERM`.
    pub signal: String,
    /// How long its processes may take after the signal. Default: 10 s.
    pub timeout: Duration,
    /// How long its requests may take before the signal. Default: 30 s.
    pub drain: Duration,
}

/// Bounds on each process of an instance (setrlimit(2)), where one beyond what is allowed to us is an error of
/// the start; and on all processes of an instance together, by a control group (cgroups(7), version 2). Where
/// no group can be made the latter are left out with a warning, unless they are `required`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Open files.
    pub open_files: Option<u64>,
    /// Bytes of address space. A JVM reserves far more than it uses.
    pub address_space: Option<u64>,
    /// Processes and threads of the user, all together.
    pub processes: Option<u64>,
    /// Bytes of memory of an instance (`memory.max`). One that needs more is killed.
    pub memory: Option<u64>,
    /// Thousandths of a core that an instance may use, 10 at least (`cpu.max`): 1500 is one and a half.
    pub cpu_millis: Option<u32>,
    /// Processes and threads of an instance (`pids.max`). Where there are no groups and the process has a
    /// user of its own, that user is bound to as many for each instance instead.
    pub pids: Option<u64>,
    /// Whether it is an error if no group can be made.
    pub required: bool,
}

impl ResourceLimits {
    /// Whether a control group is needed.
    pub(super) fn need_group(&self) -> bool {
        self.memory.is_some() || self.cpu_millis.is_some() || self.pids.is_some()
    }

    fn check(&self) -> Result<(), ProcessError> {
        for (is_bad, message) in [
            (self.memory == Some(0), "limits.memory: nothing runs without memory"),
            (self.pids == Some(0), "limits.pids: nothing runs without a process"),
            (self.cpu_millis.is_some_and(|millis| millis < 10), "limits.cpu: at least 0.01 of a core"),
            (
                self.required && !self.need_group(),
                "limits.required is about memory, cpu and pids: set one of them",
            ),
        ] {
            if is_bad {
                return Err(ProcessError::BadLimit(message));
            }
        }
        Ok(())
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self { path: None, expect: 200..=399, timeout: Duration::from_secs(60) }
    }
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(500),
            max: Duration::from_secs(30),
            reset_after: Duration::from_secs(60),
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: "SIGTERM".into(), timeout: Duration::from_secs(10), drain: Duration::from_secs(30) }
    }
}

/// Why a process was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// `main` has not called [`guard`](super::guard()).
    #[error("a program with managed processes calls `iap_core::process::guard` first in `main`")]
    NoGuard,
    /// The command is empty.
    #[error("command: write a program and its arguments, like `[node, server.js]`")]
    NoCommand,
    /// There is no such program.
    #[error("command: `{0}` is no program that can be run: neither a path nor found in PATH")]
    NoProgram(String),
    /// A text holds a zero byte.
    #[error("{0}: a zero byte cannot be passed on")]
    ZeroByte(&'static str),
    /// A variable's name is none.
    #[error("env: `{0}` is no name of a variable")]
    BadVariable(String),
    /// Port and socket exclude each other.
    #[error("an instance listens on a `{{port}}` or on a `{{socket}}`, not on both")]
    PortAndSocket,
    /// The number of instances is out of range.
    #[error("instances: {0} is not from 1 to {max}", max = MAX_INSTANCES)]
    BadInstances(usize),
    /// A time is zero, or two contradict each other.
    #[error("{0}")]
    BadTime(&'static str),
    /// A limit lets nothing run, or contradicts another.
    #[error("{0}")]
    BadLimit(&'static str),
    /// Limits are required that need a control group, and none can be made.
    #[error("limits: they are required, and no control group can be made: {0}")]
    NoGroup(String),
    /// There is no such signal.
    #[error("stop.signal: `{0}` is no signal: write a name like SIGTERM, INT or QUIT")]
    BadSignal(String),
    /// The directory is none.
    #[error("directory: {0} is not a directory")]
    NoDirectory(PathBuf),
    /// There is no such user.
    #[error("user: there is no user `{0}`")]
    NoUser(String),
    /// Only root may run a process as somebody else.
    #[error("user: only root can run it as `{0}`: remove `user`, or run as root")]
    NotRoot(String),
    /// The thread that writes its output could not be started.
    #[error("its output: {0}")]
    Output(std::io::Error),
    /// The settings of its upstream are not valid.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl ProcessSettings {
    /// A command with all defaults.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            directory: None,
            user: None,
            instances: 1,
            ready: Ready::default(),
            restart: Restart::default(),
            stop: Stop::default(),
            limits: ResourceLimits::default(),
        }
    }

    /// Checks what can be without looking at the system.
    pub fn check(&self) -> Result<(), ProcessError> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err(ProcessError::NoCommand);
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return Err(ProcessError::ZeroByte("command"));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || [MARKER, GROUP].contains(&name.as_str()) {
                return Err(ProcessError::BadVariable(name.clone()));
            }
            if value.contains('\0') {
                return Err(ProcessError::ZeroByte("env"));
            }
        }
        if !(1..=MAX_INSTANCES).contains(&self.instances) {
            return Err(ProcessError::BadInstances(self.instances));
        }
        if self.mentions(SOCKET) && self.mentions(PORT) {
            return Err(ProcessError::PortAndSocket);
        }
        for (is_zero, message) in [
            (self.ready.timeout.is_zero(), "ready.timeout must be longer than zero, like `60s`"),
            (self.restart.min.is_zero(), "restart.min must be longer than zero, like `500ms`"),
            (self.restart.min > self.restart.max, "restart.min is longer than restart.max"),
        ] {
            if is_zero {
                return Err(ProcessError::BadTime(message));
            }
        }
        self.limits.check()?;
        signal(&self.stop.signal).map(drop)
    }

    /// Checks what the system must have.
    pub(super) fn check_system(&self) -> Result<(), ProcessError> {
        if let Some(directory) = self.directory.as_ref().filter(|directory| !directory.is_dir()) {
            return Err(ProcessError::NoDirectory(directory.clone()));
        }
        let program = &self.command[0];
        let base = self.directory.as_deref().unwrap_or(Path::new(""));
        let is_found = if program.contains('/') {
            base.join(program).is_file()
        } else {
            let given = self.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.into());
            let path = given.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
            std::env::split_paths(&path).any(|directory| base.join(directory).join(program).is_file())
        };
        if is_found || program.contains('{') { Ok(()) } else { Err(ProcessError::NoProgram(program.clone())) }
    }

    /// Whether a placeholder stands somewhere.
    pub(super) fn mentions(&self, placeholder: &str) -> bool {
        let values = self.env.iter().map(|(_, value)| value);
        self.command.iter().chain(values).any(|text| text.contains(placeholder))
    }

    /// What the guard is told; `has_groups`: whether instances get control groups.
    pub(super) fn orders(&self, has_groups: bool) -> Result<Orders, ProcessError> {
        // Of a user that is nobody else's, what runs are the instances.
        let pids = self.limits.pids.filter(|_| !has_groups && self.user.is_some());
        let pids = pids.map(|pids| pids.saturating_mul(self.instances as u64));
        Ok(Orders {
            signal: signal(&self.stop.signal)? as i32,
            patience: self.stop.timeout,
            user: self.user.as_deref().map(find_user).transpose()?,
            open_files: self.limits.open_files,
            address_space: self.limits.address_space,
            processes: self.limits.processes.or(pids),
            needs_group: self.limits.required,
        })
    }
}

fn signal(name: &str) -> Result<Signal, ProcessError> {
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    full.parse().map_err(|_| ProcessError::BadSignal(name.to_owned()))
}

fn find_user(name: &str) -> Result<(u32, u32), ProcessError> {
    let unknown = || ProcessError::NoUser(name.to_owned());
    let user = User::from_name(name).ok().flatten().ok_or_else(unknown)?;
    if !geteuid().is_root() && geteuid() != user.uid {
        return Err(ProcessError::NotRoot(name.to_owned()));
    }
    Ok((user.uid.as_raw(), user.gid.as_raw()))
}

impl fmt::Debug for ProcessSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither arguments nor values: they may hold secrets.
        f.debug_struct("ProcessSettings").field("program", &self.command.first()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
