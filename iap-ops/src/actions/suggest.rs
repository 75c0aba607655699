//! What would help against an incident.

use super::Action;
use crate::cause::CauseKind;
use crate::detect::Incident;
use crate::estate::ServerState;

/// The action that the cause of an incident calls for, and why; none where the cause is not sure, or nothing that can be done
/// here helps.
pub fn suggest(incident: &Incident, servers: &[ServerState], confidence: f64) -> Option<(Action, String)> {
    let cause = &incident.cause;
    if !incident.is_active() || cause.confidence < confidence {
        return None;
    }
    let (upstream, node) = (cause.upstream.as_ref()?, cause.node.as_ref()?);
    let mut own = servers.iter().filter(|server| server.upstream == *upstream);
    let ill = own.clone().find(|server| server.address == *node)?;
    let others = own.any(|server| server.address != *node && server.state == "up");
    if ill.state == "draining" || !others {
        return None;
    }
    let action = Action::Drain { upstream: upstream.clone(), server: node.clone() };
    let why = format!("incident {}: {node} is to blame with {:.0} %", incident.id, cause.confidence * 100.0);
    Some((action, why))
}

/// The configuration that runs, where it has taken the place of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningRevision {
    /// Its number.
    pub number: u64,
    /// The one before it, which was stable.
    pub parent: u64,
    /// When it has taken its place, Unix milliseconds; as the estate's changes have it.
    pub since_ms: u64,
}

/// The way back from a configuration that is the cause of an incident, and why; none where the cause is not sure, or another one.
pub fn suggest_rollback(
    incident: &Incident,
    running: &RunningRevision,
    confidence: f64,
) -> Option<(Action, String)> {
    let cause = &incident.cause;
    let (at_ms, _) = cause.change.as_ref()?;
    let is_it = cause.kind == CauseKind::Change && *at_ms == running.since_ms;
    if !incident.is_active() || cause.confidence < confidence || !is_it {
        return None;
    }
    let action = Action::Rollback { from: running.number, to: running.parent };
    let (number, percent) = (running.number, cause.confidence * 100.0);
    Some((action, format!("incident {}: revision {number} is to blame with {percent:.0} %", incident.id)))
}
