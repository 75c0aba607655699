//! The way back to a configuration of before, as an action.

use std::sync::Arc;

use iap_ops::actions::{Proposal, Refusal};
use tokio::sync::oneshot;

use super::perform::{Means, bounds};
use super::who;
use crate::admin::{BUSY, ConfigRequest, STOPPING};
use crate::boot;
use crate::revisions::{self, Change, Origin, Revision, Revisions, State, Wish, redact, unified};

/// Lines of a diff that a dry run shows.
const MAX_LINES: usize = 60;

impl Means {
    /// What would change, and how; refused where it is no way back, or needs more than the right to act.
    pub(super) async fn preview_rollback(&self, from: u64, to: u64) -> Result<Vec<String>, Refusal> {
        let look = self.ready(from, to).map_err(Refusal::Bounds)?;
        let looked = tokio::task::spawn_blocking(move || look.preview()).await;
        looked.unwrap_or_else(|error| bounds(error.to_string()))
    }

    /// Does it.
    pub(super) async fn roll_back(&self, from: u64, to: u64, proposal: &Proposal) -> Result<String, String> {
        // Much may have changed since the dry run.
        self.preview_rollback(from, to).await.map_err(|refusal| refusal.to_string())?;
        let Way { revisions, .. } = self.ready(from, to)?;
        let (reads, seen) = (revisions.clone(), revisions.running().etag());
        let text = tokio::task::spawn_blocking(move || reads.text(to)).await;
        let text = text.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let text = text.ok_or("it is not kept any more")?;
        let revision = self.apply(proposal, (Origin::Rollback, Some(to)), (text, seen)).await?;
        Ok(format!("revision {} runs, as revision {to} did", revision.number))
    }

    /// Has another configuration run, for good, in the place of the one that was seen. The action is watched as a whole; a
    /// trial of the revision would be a second watch over the same.
    pub(super) async fn apply(
        &self,
        proposal: &Proposal,
        (origin, restores): (Origin, Option<u64>),
        (text, seen): (Arc<str>, String),
    ) -> Result<Revision, String> {
        let reason = proposal.why.chars().filter(|c| !c.is_control()).take(revisions::MAX_REASON).collect();
        let wish = Wish { origin, author: who(proposal).to_owned(), reason, restores };
        let change = Change { wish, text, seen, overwrite: false, is_tried: false };
        let (reply, answer) = oneshot::channel();
        if !self.reloads.ask(ConfigRequest::Apply { change, reply }) {
            return Err(BUSY.to_owned());
        }
        let revision = answer.await.map_err(|_| STOPPING)?.map_err(|refused| refused.to_string())?;
        match revision.state {
            State::Stable => Ok(revision),
            _ => Err(revision.error.unwrap_or_else(|| "it did not become stable".to_owned())),
        }
    }

    /// Whether it can be gone.
    fn ready(&self, from: u64, to: u64) -> Result<Way, String> {
        let revisions = self.revisions.load_full().ok_or("revisions are not known yet")?;
        let running = revisions.running();
        // What takes it back begins with the revision that has the text of `from` again.
        let restores = revisions.get(running.number).and_then(|revision| revision.restores);
        if running.number != from && restores != Some(from) {
            return Err(format!("revision {} runs, not {from}", running.number));
        }
        match revisions.get(to) {
            Some(revision) if revision.state == State::Stable => Ok(Way { revisions, to }),
            Some(_) => Err(format!("revision {to} has never been stable")),
            None => Err(format!("there is no revision {to} (any more)")),
        }
    }
}

/// A way back.
struct Way {
    revisions: Arc<Revisions>,
    to: u64,
}

impl Way {
    /// Reads a file.
    fn preview(&self) -> Result<Vec<String>, Refusal> {
        let (running, to) = (self.revisions.running(), self.to);
        let text = self.revisions.text(to).ok().flatten();
        let Some(text) = text else { return bounds(format!("revision {to} cannot be read")) };
        let config = match self.revisions.parse(&text) {
            Ok(config) => config,
            Err(error) => return bounds(format!("revision {to} means nothing any more: {error}")),
        };
        if let Some(setting) = boot::fixed(&running.config, &config) {
            return bounds(format!("{setting} differs: that needs a new process"));
        }
        if running.config.admin != config.admin || running.config.ops != config.ops {
            return bounds(
                "who may do what differs (admin, ops): an admin goes back, in Configuration or over the API",
            );
        }
        let changes = revisions::changes(&running.config, &config);
        let mut shown = vec![format!("{} settings would change", changes.len())];
        let (now, then) = (format!("revision {}", running.number), format!("revision {to}"));
        let diff = unified((&now, &redact(&running.text)), (&then, &redact(&text)));
        shown.extend(diff.lines().take(MAX_LINES).map(str::to_owned));
        let more = diff.lines().count().saturating_sub(MAX_LINES);
        if more > 0 {
            shown.push(format!("and {more} lines more"));
        }
        Ok(shown)
    }
}
