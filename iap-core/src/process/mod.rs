//! Managed processes: applications that we start, watch, restart and proxy to.
//!
//! A [`Process`] runs a command in one or more instances, each on a port or socket of its own. They are
//! the servers of an ordinary [`Upstream`]: requests go to those that are ready.
//!
//! ```no_run
//! use iap_core::process::{self, Process, ProcessSettings};
//! use iap_core::upstream::UpstreamSettings;
//! use iap_core::{Route, RouteTable, Server, Target};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     process::guard(); // first of all
//!     let runtime = tokio::runtime::Runtime::new()?;
//!     let settings = ProcessSettings::new(["python3", "app.py", "--port={port}"]);
//!     let app = Process::start("app", settings, UpstreamSettings::default(), runtime.handle())?;
//!     let routes = RouteTable::new([Route::new("app", "/", Target::Upstream(app.upstream().clone()))])?;
//!     let server = Server::builder().listen("127.0.0.1:8080".parse()?).routes(routes);
//!     let server = server.application(runtime.handle().clone()).start()?;
//!     runtime.block_on(tokio::signal::ctrl_c())?;
//!     runtime.block_on(server.shutdown(std::time::Duration::from_secs(30)));
//!     runtime.block_on(app.stop());
//!     Ok(())
//! }
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `settings` | what is run, and how |
//! | `supervisor` | the life of one instance after the other: **start reading here** |
//! | `instance` | one running instance: start, stop, end |
//! | `guard` | the process between us and a command, so that nothing outlives us |
//! | `place` | ports and sockets, and where they stand in a command |
//! | `cgroup` | bounds on all processes of an instance |
//! | `ready` | when an instance gets requests |
//! | `backoff` | how long to wait before the next attempt |
//! | `output`, `trace_id` | what a command writes, line by line into the log |
//! | `status` | what operators see |

mod backoff;
mod cgroup;
mod guard;
mod instance;
mod output;
mod place;
mod ready;
mod settings;
mod status;
mod supervisor;
mod trace_id;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use guard::guard;
pub use settings::{ProcessError, ProcessSettings, Ready, ResourceLimits, Restart, Stop};
pub use status::{InstanceState, InstanceStatus, ProcessStatus};

use crate::error::{Error, Kind, Origin};
use crate::upstream::{ServerSettings, Upstream, UpstreamSettings};
use output::Output;
use status::Board;
use supervisor::Slot;

/// How many instances a process may have.
pub const MAX_INSTANCES: usize = 64;

/// A command that runs in instances, with the upstream that leads to them.
///
/// Dropped, it kills all its instances at once; [`Process::stop`] lets them end.
pub struct Process {
    shared: Arc<Shared>,
    replace: Vec<mpsc::Sender<Replace>>,
    /// Held while instances are replaced.
    replacing: tokio::sync::Mutex<()>,
    stopping: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What the instances of a process share.
pub(super) struct Shared {
    name: Arc<str>,
    settings: ProcessSettings,
    orders: guard::Orders,
    upstream: Arc<Upstream>,
    board: Board,
    output: Output,
    /// Where instances get control groups, if they do.
    groups: Option<cgroup::Parent>,
}

/// Asks for a new instance in the place of the one that runs.
type Replace = oneshot::Sender<Result<(), Error>>;

impl Process {
    /// Starts the instances on `runtime`, and returns without waiting for them. `name` stands in logs,
    /// metrics and status; it is the upstream's name too.
    ///
    /// `upstream` says how requests go to the instances. Their names there are their numbers, from `1`.
    ///
    /// Needs [`guard`] to be called first in `main`.
    pub fn start(
        name: impl Into<Arc<str>>,
        settings: ProcessSettings,
        upstream: UpstreamSettings,
        runtime: &Handle,
    ) -> Result<Self, ProcessError> {
        if !guard::is_called() {
            return Err(ProcessError::NoGuard);
        }
        let name = name.into();
        settings.check()?;
        settings.check_system()?;
        let numbers = 1..=settings.instances;
        let servers = numbers.clone().map(|number| {
            let shown = format!("{name}#{number}");
            ServerSettings::placed_later(number.to_string(), shown)
        });
        let upstream = Arc::new(Upstream::with_servers(name.clone(), servers, upstream)?);
        upstream.start(runtime);
        let groups = find_groups(&name, &settings)?;
        let shared = Arc::new(Shared {
            orders: settings.orders(groups.is_some())?,
            groups,
            board: Board::new(settings.instances),
            output: Output::start(name.clone()).map_err(ProcessError::Output)?,
            name,
            settings,
            upstream,
        });
        let (stopping, stop) = watch::channel(false);
        let (mut replace, mut tasks) = (Vec::new(), Vec::new());
        for number in numbers {
            let (sender, requests) = mpsc::channel(1);
            replace.push(sender);
            tasks.push(runtime.spawn(Slot::new(shared.clone(), number, requests, stop.clone()).run()));
        }
        let tasks = Mutex::new(tasks);
        Ok(Self { shared, replace, replacing: tokio::sync::Mutex::default(), stopping, tasks })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.shared.name
    }

    /// What leads to its instances, for a [`Target`](crate::Target).
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.shared.upstream
    }

    /// How it is at the moment.
    pub fn status(&self) -> ProcessStatus {
        ProcessStatus {
            name: self.shared.name.clone(),
            dropped_lines: self.shared.output.dropped(),
            instances: self.shared.board.list(),
        }
    }

    /// Waits until all instances are ready. An error after `patience`, or once one waits for its next
    /// attempt.
    pub async fn ready(&self, patience: Duration) -> Result<(), Error> {
        let late = || Error::new(Kind::Timeout, Origin::App, "the process is not ready in time");
        tokio::time::timeout(patience, self.shared.board.all_ready()).await.unwrap_or_else(|_| Err(late()))
    }

    /// Replaces the instances one after the other, without losing a request: a new one starts, and once
    /// it is ready it gets the requests; the one before finishes those it has, and is stopped. A new one
    /// that does not get ready is stopped, and an error; the one before stays, and so do those that were
    /// not reached yet.
    pub async fn replace(&self) -> Result<(), Error> {
        let Ok(_turn) = self.replacing.try_lock() else {
            return Err(Error::new(
                Kind::Conflict,
                Origin::Client,
                "its instances are being replaced already",
            ));
        };
        let stopped = || Error::new(Kind::Conflict, Origin::Client, "the process is stopping");
        for slot in &self.replace {
            let (reply, done) = oneshot::channel();
            slot.send(reply).await.map_err(|_| stopped())?;
            done.await.map_err(|_| stopped())??;
        }
        Ok(())
    }

    /// Takes all instances out, lets them finish their requests, and stops them. Returns when nothing
    /// of them runs any more.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // A panic in a task has ended its instance as well.
            let _ = task.await;
        }
    }
}

/// Where control groups can be made, if the settings ask for some.
fn find_groups(name: &str, settings: &ProcessSettings) -> Result<Option<cgroup::Parent>, ProcessError> {
    if !settings.limits.need_group() {
        return Ok(None);
    }
    match cgroup::Parent::prepare(&settings.limits) {
        Ok(parent) => Ok(Some(parent)),
        Err(why) if settings.limits.required => Err(ProcessError::NoGroup(why)),
        Err(why) => {
            tracing::warn!(
                process = name,
                why,
                "no control group can be made: it runs without limits of memory, cpu and pids"
            );
            Ok(None)
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for task in self.tasks.get_mut() {
            task.abort();
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
