//! The search for incidents, from its settings.

use iap_apm::Apm;
use tokio::runtime::Handle;

use super::{BootError, failed};
use crate::admin::AdminState;
use crate::config::ApmConfig;
use crate::detection::Detection;

/// Begins to watch, where that is wanted and there is something to read.
pub(super) async fn start_detection(
    config: &ApmConfig,
    apm: Option<&Apm>,
    state: &AdminState,
    runtime: &Handle,
) -> Result<Option<Detection>, BootError> {
    let (Some(apm), Some(telemetry)) = (apm, state.telemetry()) else { return Ok(None) };
    if !config.detection.enabled {
        return Ok(None);
    }
    let directory = config.history.as_deref();
    let started = Detection::start(&config.detection, directory, apm, telemetry, runtime).await;
    let detection = started.map_err(failed("apm.detection"))?;
    state.set_detection(Some(detection.clone()));
    Ok(Some(detection))
}
