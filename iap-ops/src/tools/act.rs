//! The tool that proposes an action.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::reply::Rows;
use super::{Refused, Tools, refused};
use crate::actions::{Action, By, Request};

/// Arguments that are about the proposal, and not part of its action.
const ASIDE: [&str; 4] = ["action", "why", "incident", "cursor"];
/// Those that say which sessions.
const SESSIONS: [&str; 4] = ["user", "address", "node", "route"];

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

/// The action that arguments speak of, read as everywhere else: so what there is here is what there is.
pub(super) fn action(given: &Arguments) -> Result<Action, Refused> {
    let kind = given.text("action").unwrap_or_default();
    let (mut action, mut filter) = (Map::new(), Map::new());
    for (name, value) in given.all().filter(|(name, _)| !ASIDE.contains(name)) {
        let is_of_sessions = kind == "end_sessions" && SESSIONS.contains(&name);
        let part = if is_of_sessions { &mut filter } else { &mut action };
        part.insert(name.to_owned(), value.clone());
    }
    if kind == "end_sessions" {
        action.insert("filter".to_owned(), Value::Object(filter));
    }
    action.insert("kind".to_owned(), json!(kind));
    serde_json::from_value(Value::Object(action)).or_else(|error| {
        let text = error.to_string();
        match text.strip_prefix("missing field ") {
            Some(field) => refused(format!("{field}: {kind} needs it")),
            None => refused(format!("{kind}: {text}")),
        }
    })
}

#[cfg(test)]
mod tests;
