//! Processes, from their settings. Each belongs to a route, and is named like it.

use std::sync::Arc;
use std::time::Duration;

use iap_core::{Process, Upstream};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::secret::read_secret;
use super::{BootError, failed};
use crate::config::{Config, Environment, ProcessConfig};
use crate::handover;

/// How often it is looked whether requests still know a process that is on its way out.
const LOOK: Duration = Duration::from_millis(20);

/// What a hand-over takes beside waiting for processes.
const SLACK: Duration = Duration::from_secs(30);

/// All processes that run, in the order of their start.
#[derive(Default)]
pub(super) struct Processes(Vec<Managed>);

struct Managed {
    config: ProcessConfig,
    process: Arc<Process>,
}

impl Processes {
    /// Starts those that do not run yet with the same settings; the others go on. Does not wait until
    /// they are ready.
    pub(super) fn start(
        config: &Config,
        environment: &Environment,
        before: &Self,
        runtime: &Handle,
    ) -> Result<Self, BootError> {
        let mut all = Vec::new();
        for route in &config.routes {
            let Some(config) = route.process.as_deref() else { continue };
            let running = before.find(&route.name).filter(|managed| managed.config == *config);
            let process = match running {
                Some(managed) => managed.process.clone(),
                None => start(&route.name, config, environment, runtime)
                    .map_err(|error| blame(&route.name, &error))?,
            };
            all.push(Managed { config: config.clone(), process });
        }
        Ok(Self(all))
    }

    /// The servers that a route leads to.
    pub(super) fn of_route(&self, route: &str) -> Result<Arc<Upstream>, BootError> {
        let found = self.find(route).map(|managed| managed.process.upstream().clone());
        found.ok_or_else(|| blame(route, "it was not started"))
    }

    /// Waits until all are ready that do not run in `before`. An error names the first that is not.
    pub(super) async fn ready(&self, before: &Self) -> Result<(), BootError> {
        for Managed { config, process } in self.0.iter().filter(|managed| !before.has(&managed.process)) {
            let name = process.name();
            process.ready(patience(config)).await.map_err(|error| {
                let last = process.status().instances.into_iter().find_map(|instance| instance.last_exit);
                blame(name, &format!("{error}{}", last.map(|how| format!(": {how}")).unwrap_or_default()))
            })?;
        }
        Ok(())
    }

    /// Waits until all are ready. The host before this one still serves: there is time.
    pub(super) async fn take_over(&self) -> Result<(), BootError> {
        handover::ask_for_time(self.patience().saturating_add(SLACK));
        self.ready(&Self::default()).await
    }

    fn patience(&self) -> Duration {
        self.0.iter().map(|managed| patience(&managed.config)).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// All of them, for the admin side.
    pub(super) fn list(&self) -> Vec<Arc<Process>> {
        self.0.iter().map(|managed| managed.process.clone()).collect()
    }

    /// What leads to them.
    pub(super) fn upstreams(&self) -> Vec<Arc<Upstream>> {
        self.0.iter().map(|managed| managed.process.upstream().clone()).collect()
    }

    /// Those that run here and not in `next`.
    pub(super) fn without(self, next: &Self) -> Self {
        Self(self.0.into_iter().filter(|managed| !next.has(&managed.process)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Stops them once no request knows them any more, or after their time-out.
    pub(super) async fn retire(self) {
        for Managed { config, process } in &self.0 {
            let deadline = Instant::now() + config.stop.drain.0;
            // Each request that is on its way holds its route, and so its target.
            while Arc::strong_count(process.upstream()) > 1 && Instant::now() < deadline {
                sleep(LOOK).await;
            }
        }
        self.stop().await;
    }

    /// Stops them, the last one first: it may need those before it.
    pub(super) async fn stop(&self) {
        for Managed { process, .. } in self.0.iter().rev() {
            process.stop().await;
        }
    }

    fn find(&self, name: &str) -> Option<&Managed> {
        self.0.iter().find(|managed| &**managed.process.name() == name)
    }

    fn has(&self, process: &Arc<Process>) -> bool {
        self.0.iter().any(|managed| Arc::ptr_eq(&managed.process, process))
    }
}

/// How long an instance may take, and until that is noticed.
fn patience(config: &ProcessConfig) -> Duration {
    config.ready.timeout.0.saturating_add(Duration::from_secs(1))
}

fn start(
    name: &str,
    config: &ProcessConfig,
    environment: &Environment,
    runtime: &Handle,
) -> Result<Arc<Process>, String> {
    let settings = config.settings(|reference| read_secret(reference, environment))?;
    let process = Process::start(name, settings, config.upstream()?, runtime);
    process.map(Arc::new).map_err(|error| error.to_string())
}

fn blame(route: &str, error: &str) -> BootError {
    failed("routes")(format!("route `{route}`: process: {error}"))
}
