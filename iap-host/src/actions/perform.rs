//! What each action does, and what it would do.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use iap_core::upstream::ServerStatus;
use iap_core::{Process, Upstream};
use iap_ops::Live;
use iap_ops::actions::{Action, Proposal, Refusal, SessionFilter};
use iap_session::{Budget, Filter, Note, Revocation, Revoked, Sessions};

use crate::access::Access;
use crate::admin::{Journal, Reloads};
use crate::detection::Detection;
use crate::revisions::Revisions;

/// How long one step of ending sessions takes, and how many there are at most.
const STEP: Duration = Duration::from_secs(5);
const MAX_STEPS: usize = 60;

/// What there is to act on, and to look at.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) upstreams: Arc<ArcSwap<Vec<Arc<Upstream>>>>,
    pub(crate) processes: Arc<ArcSwap<Vec<Arc<Process>>>>,
    pub(crate) sessions: Option<Sessions>,
    pub(crate) telemetry: Arc<Live>,
    pub(crate) detection: Arc<ArcSwapOption<Detection>>,
    pub(crate) access: Arc<ArcSwapOption<Access>>,
    pub(crate) journal: Journal,
    pub(crate) reloads: Reloads,
    pub(crate) revisions: Arc<ArcSwapOption<Revisions>>,
}

pub(super) fn bounds<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Bounds(text.into()))
}

impl Means {
    /// A dry run: what would change, in sentences; refused where it cannot be done, or would leave nothing that answers.
    pub(super) async fn preview(&self, action: &Action, max_sessions: u64) -> Result<Vec<String>, Refusal> {
        match action {
            Action::Drain { upstream, server } => self.preview_drain(upstream, server),
            Action::Undrain { upstream, server } => {
                let (_, found) = self.server(upstream, server)?;
                Ok(vec![format!(
                    "{server} of {upstream} is {} and would get requests again",
                    found.state.as_str()
                )])
            }
            Action::Restart { process } => {
                let status = self.process(process)?.status();
                let ready = status.instances.iter().filter(|instance| instance.address.is_some()).count();
                Ok(vec![format!(
                    "{} instances would be replaced, one after the other; {ready} have an address now",
                    status.instances.len()
                )])
            }
            Action::EndSessions { filter } => {
                let found = self.revoke(filter, None, max_sessions).await.map_err(Refusal::Bounds)?;
                match found.matched {
                    0 => bounds("no session matches"),
                    many if many > max_sessions => {
                        bounds(format!("{many} sessions match: {max_sessions} are the limit"))
                    }
                    many => Ok(vec![format!(
                        "{many} sessions would be ended; {} were looked at",
                        found.looked_at
                    )]),
                }
            }
            Action::Weight { upstream, server, from, to } => {
                self.preview_weight((upstream, server), (*from, *to))
            }
            Action::Limit { setting, from, to } => self.preview_limit(setting, (*from, *to)).await,
            Action::Rollback { from, to } => self.preview_rollback(*from, *to).await,
            _ => bounds("this cannot be done here"),
        }
    }

    fn preview_drain(&self, upstream: &str, server: &str) -> Result<Vec<String>, Refusal> {
        let (known, found) = self.server(upstream, server)?;
        if found.state.as_str() == "draining" {
            return bounds(format!("{server} is drained already"));
        }
        let status = known.status();
        let up = status.servers.iter().filter(|other| other.state.as_str() == "up").collect::<Vec<_>>();
        let others = up.iter().filter(|other| other.address != found.address).count();
        if others == 0 {
            return bounds(format!("{server} is the last server of {upstream} that answers"));
        }
        let in_flight = found.in_flight;
        let weight: u64 = up.iter().map(|other| u64::from(other.weight)).sum();
        let share = if up.iter().any(|other| other.address == found.address) {
            100 * u64::from(found.weight) / weight.max(1)
        } else {
            0
        };
        Ok(vec![
            format!(
                "{others} of {} servers of {upstream} stay; they take over about {share} % of its requests",
                status.servers.len()
            ),
            format!("{in_flight} requests run on {server} and would be finished"),
        ])
    }

    /// Does it; says what came of it.
    pub(super) async fn perform(
        &self,
        action: &Action,
        proposal: &Proposal,
        max_sessions: u64,
    ) -> Result<String, String> {
        match action {
            Action::Drain { upstream, server } => {
                // Others may have gone since the dry run.
                self.preview_drain(upstream, server).map_err(|refusal| refusal.to_string())?;
                self.switch(upstream, server, |known| known.drain(server, false))?;
                Ok(format!("{server} of {upstream} gets no new requests"))
            }
            Action::Undrain { upstream, server } => {
                self.switch(upstream, server, |known| known.undrain(server))?;
                Ok(format!("{server} of {upstream} gets requests again"))
            }
            Action::Restart { process } => {
                let process = self.process(process).map_err(|refusal| refusal.to_string())?;
                process.replace().await.map_err(|error| error.message().to_owned())?;
                Ok(format!("the instances of {} were replaced", process.name()))
            }
            Action::EndSessions { filter } => {
                let note = Note::new(&proposal.why).map_err(|error| error.to_string())?;
                let found = self.revoke(filter, Some(note), max_sessions).await?;
                Ok(format!("{} sessions were ended, {} could not be", found.ended, found.failed))
            }
            Action::Weight { upstream, server, from, to } => {
                self.set_weight((upstream, server), (*from, *to))
            }
            Action::Limit { setting, from, to } => self.set_limit(setting, (*from, *to), proposal).await,
            Action::Rollback { from, to } => self.roll_back(*from, *to, proposal).await,
            _ => Err("this cannot be done here".to_owned()),
        }
    }

    fn switch(&self, upstream: &str, server: &str, act: impl Fn(&Upstream) -> bool) -> Result<(), String> {
        let (known, _) = self.server(upstream, server).map_err(|refusal| refusal.to_string())?;
        if act(&known) { Ok(()) } else { Err(format!("{upstream} has no server {server}")) }
    }

    pub(super) fn server(
        &self,
        upstream: &str,
        server: &str,
    ) -> Result<(Arc<Upstream>, ServerStatus), Refusal> {
        let upstreams = self.upstreams.load();
        let Some(known) = upstreams.iter().find(|known| **known.name() == *upstream) else {
            let names: Vec<&str> = upstreams.iter().map(|known| &**known.name()).collect();
            return bounds(format!("there is no upstream `{upstream}`: {}", names.join(", ")));
        };
        let status = known.status();
        let is_it = |one: &ServerStatus| *one.address == *server || one.name.as_deref() == Some(server);
        match status.servers.iter().find(|one| is_it(one)) {
            Some(found) => Ok((known.clone(), found.clone())),
            None => {
                let names: Vec<&str> = status.servers.iter().map(|one| &*one.address).collect();
                bounds(format!("{upstream} has no server `{server}`: {}", names.join(", ")))
            }
        }
    }

    fn process(&self, name: &str) -> Result<Arc<Process>, Refusal> {
        let found = self.processes.load().iter().find(|process| **process.name() == *name).cloned();
        found.ok_or_else(|| Refusal::Bounds(format!("there is no process `{name}`")))
    }

    /// Ends sessions, or without a note only counts them; at most so many.
    async fn revoke(&self, filter: &SessionFilter, note: Option<Note>, most: u64) -> Result<Revoked, String> {
        let Some(sessions) = &self.sessions else { return Err("sessions are switched off".to_owned()) };
        if filter.is_empty() {
            return Err("filter: without a condition it means everybody".to_owned());
        }
        let text = |value: &Option<String>| value.as_deref().map(Arc::from);
        let address = filter.address.as_deref().map(str::parse).transpose();
        let filter = Filter {
            user: text(&filter.user),
            address: address.map_err(|error| format!("address: {error}"))?,
            node: text(&filter.node),
            route: text(&filter.route),
            ..Filter::default()
        };
        let budget = Budget { time: STEP, ..Budget::default() };
        let dry_run = note.is_none();
        let mut wanted = Revocation { filter, note, dry_run, cursor: None, budget };
        let mut all = Revoked::default();
        for _ in 0..MAX_STEPS {
            let step = sessions.revoke_matching(&wanted).await.map_err(|error| error.to_string())?;
            all.looked_at += step.looked_at;
            all.matched += step.matched;
            all.ended += step.ended;
            all.failed += step.failed;
            if step.next.is_none() || all.matched > most {
                return Ok(all);
            }
            wanted.cursor = step.next;
        }
        Ok(all)
    }
}
