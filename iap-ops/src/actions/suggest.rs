//! What would help against an incident.

use super::Action;
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
