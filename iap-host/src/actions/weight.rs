//! The share of a server, as an action.

use iap_core::upstream::{ServerStatus, WEIGHTS};
use iap_ops::actions::Refusal;

use super::perform::{Means, bounds};

impl Means {
    /// What would change; refused where it would change nothing, or something else than was seen.
    pub(super) fn preview_weight(
        &self,
        (upstream, server): (&str, &str),
        (from, to): (u32, u32),
    ) -> Result<Vec<String>, Refusal> {
        let (known, found) = self.server(upstream, server)?;
        let servers = known.status().servers;
        if found.weight != from {
            return bounds(format!("the weight of {server} is {}, not {from}", found.weight));
        }
        if !WEIGHTS.contains(&to) {
            return bounds("a weight is from 1 to 1000; what takes a server out is `drain`");
        }
        if from == to {
            return bounds(format!("the weight of {server} is {to} already"));
        }
        if servers.len() == 1 {
            return bounds(format!("{server} is the only server of {upstream}: it gets all requests"));
        }
        let is_it = |one: &ServerStatus| one.address == found.address;
        let others = servers.iter().filter(|one| one.state.as_str() == "up" && !is_it(one));
        let others: u64 = others.map(|one| u64::from(one.weight)).sum();
        let share = |weight: u32| 100 * u64::from(weight) / (others + u64::from(weight));
        let mut shown = vec![format!(
            "{server} would get about {} % of the requests of {upstream}, instead of {} %",
            share(to),
            share(from)
        )];
        if others == 0 {
            shown.push(format!("no other server of {upstream} gets requests at the moment"));
        }
        if found.state.as_str() != "up" {
            shown.push(format!("at the moment it gets none: it is {}", found.state.as_str()));
        }
        if to == found.configured_weight {
            shown.push("that is its weight by the settings".to_owned());
        }
        Ok(shown)
    }

    /// Does it.
    pub(super) fn set_weight(
        &self,
        (upstream, server): (&str, &str),
        (from, to): (u32, u32),
    ) -> Result<String, String> {
        // Somebody may have changed it since the dry run.
        self.preview_weight((upstream, server), (from, to)).map_err(|refusal| refusal.to_string())?;
        let (known, _) = self.server(upstream, server).map_err(|refusal| refusal.to_string())?;
        match known.set_weight(server, to) {
            Ok(true) => Ok(format!("the weight of {server} of {upstream} is {to}")),
            Ok(false) => Err(format!("{upstream} has no server {server}")),
            Err(error) => Err(error.to_string()),
        }
    }
}
