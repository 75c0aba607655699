//! The desk where alerts are judged.

use iap_apm::Apm;
use tokio::runtime::Handle;

use super::sessions::SessionCore;
use super::{BootError, failed};
use crate::alerts::{Desk, RunningDesk, Surroundings};
use crate::config::{Config, Environment};

/// Begins to judge the rules of the alerts, going on with what the desk before knows.
pub(super) fn start_desk(
    config: &Config,
    environment: &Environment,
    apm: Option<&Apm>,
    sessions: Option<&SessionCore>,
    (before, runtime): (Option<&Desk>, &Handle),
) -> Result<Option<RunningDesk>, BootError> {
    let Some(apm) = apm else { return Ok(None) };
    let around = Surroundings {
        history: apm.history().clone(),
        directory: config.apm.history.clone(),
        shared: sessions.and_then(|core| core.redis.clone()),
        runtime: runtime.clone(),
    };
    RunningDesk::start(&config.alerts, environment, before, around).map(Some).map_err(failed("alerts"))
}
