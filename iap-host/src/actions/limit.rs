//! A limit of the configuration, as an action: a revision in which this one value is another, and comments stay.

use std::sync::Arc;

use iap_ops::actions::{Proposal, Refusal};
use schemars::JsonSchema;
use serde::Serialize;

use super::perform::{Means, bounds};
use crate::revisions::{NoPreview, Origin, Revisions, preview, redact, settings, unified};

/// How the names of limits end that somebody may change who may not change the configuration: numbers of requests, of which
/// none is about who may do what.
const OF_ROUTES: [&str; 1] = ["].limits.in_flight"];
const OF_UPSTREAMS: [&str; 3] = [".limits.total", ".limits.per_server", ".limits.queue"];
const OF_RATES: (&str, &str) = ("].rate_limits[", "].requests");

/// A limit that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Limit {
    /// Where it stands in the configuration.
    pub(crate) setting: String,
    pub(crate) value: u64,
}

/// The limits that are set in what runs.
pub(crate) fn limits(revisions: &Revisions) -> Vec<Limit> {
    let running = revisions.running();
    let all = settings(&running.config, (&running.text, revisions.instance()), revisions.environment());
    let limits = all.into_iter().filter(|setting| is_limit(&setting.path));
    limits.filter_map(|one| Some(Limit { value: one.value.as_u64()?, setting: one.path })).collect()
}

fn is_limit(path: &str) -> bool {
    let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
    match path.starts_with("routes[") {
        true if path.contains("].upstream.limits.") => ends(&OF_UPSTREAMS),
        true => ends(&OF_ROUTES) || (path.contains(OF_RATES.0) && path.ends_with(OF_RATES.1)),
        false => path.starts_with("upstreams") && ends(&OF_UPSTREAMS),
    }
}

impl Means {
    /// What would change, and how; refused where the limit is not set, or is another than was seen.
    pub(super) async fn preview_limit(
        &self,
        setting: &str,
        (from, to): (u64, u64),
    ) -> Result<Vec<String>, Refusal> {
        let Some(revisions) = self.revisions.load_full() else {
            return bounds("revisions are not known yet");
        };
        let (setting, numbers) = (setting.to_owned(), (from, to));
        let looked = tokio::task::spawn_blocking(move || {
            let (running, edited) = edited(&revisions, &setting, numbers)?;
            let diff = unified(("now", &redact(&running)), ("then", &redact(&edited)));
            let mut shown = vec![format!("{setting} would be {to} instead of {from}, as a new revision")];
            shown.extend(diff.lines().map(str::to_owned));
            Ok(shown)
        });
        looked.await.unwrap_or_else(|error| bounds(error.to_string()))
    }

    /// Does it.
    pub(super) async fn set_limit(
        &self,
        setting: &str,
        numbers: (u64, u64),
        proposal: &Proposal,
    ) -> Result<String, String> {
        let revisions = self.revisions.load_full().ok_or("revisions are not known yet")?;
        let seen = revisions.running().etag();
        let name = setting.to_owned();
        let edited = tokio::task::spawn_blocking(move || edited(&revisions, &name, numbers)).await;
        let (_, text) = edited.map_err(|error| error.to_string())?.map_err(|refusal| refusal.to_string())?;
        let revision = self.apply(proposal, (Origin::Api, None), (text.into(), seen)).await?;
        Ok(format!("{setting} is {}, by revision {}", numbers.1, revision.number))
    }
}

/// The text that runs, and the one with the other value.
fn edited(
    revisions: &Revisions,
    setting: &str,
    (from, to): (u64, u64),
) -> Result<(Arc<str>, String), Refusal> {
    let known = limits(revisions);
    let Some(limit) = known.iter().find(|limit| limit.setting == setting) else {
        let names: Vec<String> =
            known.iter().take(20).map(|limit| format!("{} ({})", limit.setting, limit.value)).collect();
        return bounds(format!("no limit `{setting}` is set: {}", names.join(", ")));
    };
    if limit.value != from {
        return bounds(format!("{setting} is {}, not {from}", limit.value));
    }
    if to == 0 || to == from {
        return bounds(format!("{setting}: at least 1, and another value than {from}"));
    }
    let running = revisions.running();
    let parse = |text: &str| revisions.parse_own(text);
    match preview(&running.text, (setting, &to.to_string()), &running.config, parse) {
        Ok((edited, _)) => Ok((running.text.clone(), edited)),
        Err(NoPreview::NotWritten) => {
            bounds(format!("{setting} does not stand in the file as a value of its own: change it there"))
        }
        Err(NoPreview::NotValid(error)) => bounds(format!("{setting}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::is_limit;

    #[test]
    fn limits_are_numbers_of_requests_and_nothing_else() {
        for path in [
            "routes[shop].limits.in_flight",
            "routes[shop].rate_limits[0].requests",
            "routes[shop].upstream.limits.queue",
            "upstreams.shop.limits.total",
            "upstreams[shop.example].limits.per_server",
        ] {
            assert!(is_limit(path), "{path}");
        }
        for path in [
            "routes[shop].limits.body",
            "routes[shop].limits.total",
            "routes[shop].process.limits.memory",
            "routes[shop].rate_limits[0].per",
            "upstreams.shop.limits.queue_timeout",
            "upstreams.shop.retry.budget_percent",
            "server.max_connections",
            "ops.actions.per_hour",
            "admin.access.anonymous",
        ] {
            assert!(!is_limit(path), "{path}");
        }
    }
}
