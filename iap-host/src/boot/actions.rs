//! Guarded actions, from their settings.

use tokio::runtime::Handle;

use crate::actions::Actions;
use crate::admin::AdminState;
use crate::config::Config;

/// Begins to look at incidents, and makes proposals visible; nothing without the APM.
pub(super) fn start_actions(config: &Config, state: &AdminState, runtime: &Handle) -> Option<Actions> {
    let directory = config.apm.history.clone();
    let actions = Actions::start(config.ops.actions.policy(), directory, state.means()?, runtime);
    state.set_actions(Some(actions.clone()));
    Some(actions)
}
