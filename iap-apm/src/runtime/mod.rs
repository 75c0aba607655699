//! What the process, its event loops, the machine and the JVMs on it are doing: sampled, shown, kept.
//!
//! One task takes a sample every few seconds. The last one is shown at once and in `/metrics`; several together
//! become points of metrics in the history. Pauses of JVMs and stalls of event loops become events of the time line.
//! Requests take no part in any of it.

mod attach;
mod cgroup;
mod hsperf;
mod jvm;
mod live_set;
mod pauses;
mod probe;
mod procfs;
mod reading;
mod sample;
mod serving;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

pub use self::attach::{AttachError, JvmAnswer, JvmCommand, MAX_ANSWER};
pub use self::jvm::Jvm;
use self::jvm::Place;
pub(crate) use self::reading::prometheus;
pub use self::reading::{Reading, instance_name};
use self::sample::Sampler;
pub use self::serving::WatchedServer;
use crate::history::{Batch, History};
use crate::shared::Shared;

/// Looks for pauses of JVMs between two samples.
const LOOKS: u32 = 8;

/// What is sampled, and how often.
#[derive(Debug, Clone)]
pub struct RuntimeSettings {
    /// How often a sample is taken. Default: 2 s.
    pub interval: Duration,
    /// How often samples are written to the history, of levels the highest. Default: 10 s.
    pub store: Duration,
    /// From which delay on a stall of an event loop is an event. Default: 100 ms.
    pub stall: Duration,
    /// Whether JVMs are looked for. Default: yes.
    pub jvms: bool,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            store: Duration::from_secs(10),
            stall: Duration::from_millis(100),
            jvms: true,
        }
    }
}

/// What there is to be sampled beside this process; asked for before each sample.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Event loops by name.
    pub runtimes: Vec<(String, Handle)>,
    /// Listeners whose queues are looked at.
    pub listeners: Vec<SocketAddr>,
    /// Processes that are managed.
    pub processes: Vec<WatchedProcess>,
    /// Servers of upstreams: a JVM that listens where one of them is goes by the name of its upstream.
    pub servers: Vec<WatchedServer>,
    /// Numbers of whoever asks for the sample, which become a part of it.
    pub readings: Vec<Reading>,
}

/// An instance of a managed process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedProcess {
    /// The name of the process.
    pub name: Arc<str>,
    /// Which of its instances.
    pub instance: usize,
    /// Its number in the system.
    pub pid: u32,
}

/// The last sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct RuntimeView {
    /// When it was taken; 0 before the first.
    pub time_us: u64,
    /// The node.
    pub node: String,
    /// How often samples are taken, in milliseconds.
    pub interval_ms: u64,
    /// The numbers.
    pub readings: Vec<Reading>,
    /// The JVMs on this machine that we may read.
    pub jvms: Vec<Jvm>,
}

/// The last sample, for those who read it.
#[derive(Default)]
pub(crate) struct Board(Mutex<Arc<Sampled>>);

/// A view, and the way to its JVMs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sampled {
    pub(crate) view: RuntimeView,
    places: Vec<Place>,
}

impl Board {
    pub(crate) fn last(&self) -> Arc<Sampled> {
        self.0.lock().clone()
    }

    fn show(&self, sampled: Sampled) {
        *self.0.lock() = Arc::new(sampled);
    }

    /// Asks one of the JVMs that are shown.
    pub(crate) async fn ask(&self, pid: u32, command: JvmCommand) -> Result<JvmAnswer, AttachError> {
        let sampled = self.last();
        let place = sampled.places.iter().find(|place| place.pid == pid).ok_or(AttachError::Unknown)?;
        attach::ask(place, command).await
    }
}

/// The sampler. Ends when it is dropped.
#[derive(Debug)]
pub struct RuntimeSampler(JoinHandle<()>);

impl Drop for RuntimeSampler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl RuntimeSampler {
    pub(crate) fn start(
        shared: Arc<Shared>,
        history: Arc<dyn History>,
        settings: RuntimeSettings,
        watched: impl Fn() -> Watched + Send + 'static,
        runtime: &Handle,
    ) -> Self {
        let sampler = Sampler::new(shared.clone(), settings.clone());
        Self(runtime.spawn(run(shared, history, settings, watched, sampler)))
    }
}

async fn run(
    shared: Arc<Shared>,
    history: Arc<dyn History>,
    settings: RuntimeSettings,
    watched: impl Fn() -> Watched + Send + 'static,
    mut sampler: Sampler,
) {
    let looks = if settings.jvms { LOOKS } else { 1 };
    let mut tick = interval(settings.interval.max(Duration::from_millis(100)) / looks);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0u64.. {
        tick.tick().await;
        let is_sample = turn % u64::from(looks) == 0;
        let wanted = is_sample.then(&watched);
        // Files of `/proc` are read at once, but an event loop must not even wait for that.
        let work = move || {
            match wanted {
                Some(watched) => sampler.sample(watched),
                None => sampler.look(),
            }
            sampler
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(back) => sampler = back,
            // It panicked, which is a bug, or the runtime ends.
            Err(error) => {
                tracing::error!(%error, "the runtime is sampled no more");
                return;
            }
        }
        // What is due is taken out: only where it is written, too.
        let due = if is_sample { sampler.due() } else { None };
        if let Some(metrics) = due {
            let batch = Arc::new(Batch { metrics, ..Batch::default() });
            // At a hand-over the history is not ours yet: what was accepted is written later.
            if let Ok(Err(error)) = timeout(settings.interval, history.append(batch)).await {
                crate::record::count(&shared.rings.dropped.history, 1);
                tracing::debug!(%error, "a sample was not written to the history");
            }
        }
    }
}
