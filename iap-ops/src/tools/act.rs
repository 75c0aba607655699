//! The tool that proposes an action.

use serde_json::json;

use super::arguments::Arguments;
use super::reply::Rows;
use super::{Refused, Tools, refused};
use crate::actions::{Action, By, Request, SessionFilter};

impl Tools {
    pub(super) async fn propose(&self, given: &Arguments) -> Result<Rows, Refused> {
        let Some(proposer) = &self.proposer else { return refused("nothing can be proposed here") };
        let request = Request {
            action: action(given)?,
            why: given.text("why").unwrap_or_default().to_owned(),
            incident: given.integer("incident"),
        };
        let proposal = proposer.propose(request, By::Assistant).await;
        let proposal = proposal.map_err(|refusal| Refused::Arguments(refusal.to_string()))?;
        let row = json!({ "id": proposal.id, "state": proposal.state, "action": proposal.action.to_string(),
                          "preview": proposal.preview, "at_ms": proposal.at_ms });
        let next = "a person decides in the console, page Actions";
        Ok(Rows::new(given, None, vec![row]).with("next", next))
    }
}

fn action(given: &Arguments) -> Result<Action, Refused> {
    let need = |name: &str| match given.text(name) {
        Some(text) => Ok(text.to_owned()),
        None => refused(format!("{name}: this action needs it")),
    };
    let text = |name: &str| given.text(name).map(str::to_owned);
    Ok(match given.text("action").unwrap_or_default() {
        "drain" => Action::Drain { upstream: need("upstream")?, server: need("server")? },
        "undrain" => Action::Undrain { upstream: need("upstream")?, server: need("server")? },
        "restart" => Action::Restart { process: need("process")? },
        _ => {
            let (user, address, node, route) = (text("user"), text("address"), text("node"), text("route"));
            Action::EndSessions { filter: SessionFilter { user, address, node, route } }
        }
    })
}
