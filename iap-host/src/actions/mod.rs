//! Guarded actions of this process: proposed by people, assistants and detection; done when they are approved; watched, and
//! taken back when things get worse. What is decided is [`iap_ops::actions`].

mod limit;
mod perform;
mod rollback;
mod weight;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::history::BoxFuture;
use iap_apm::{SeriesQuery, Window};
use iap_core::{Clock, SystemClock};
use iap_ops::Telemetry;
use iap_ops::actions::{
    Action, Book, By, Gate, Health, Mode, Policy, Proposal, Proposer, Refusal, Request, State, Verdict,
    suggest, suggest_rollback,
};
use iap_ops::detect::Incident;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

pub(crate) use self::limit::{Limit, limits};
pub(crate) use self::perform::Means;
use crate::access::audit::Record;
use crate::kept;

/// How often incidents are looked at, and what is watched.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Proposals that are listed.
const MAX_LISTED: usize = 200;

/// Cheap to clone. Ends with [`Actions::stop`].
#[derive(Clone)]
pub(crate) struct Actions(Arc<Inner>);

struct Inner {
    book: Mutex<Book>,
    means: Means,
    /// Where proposals are kept; nowhere where the history is in memory.
    place: Option<PathBuf>,
    /// One writes at a time.
    writing: tokio::sync::Mutex<()>,
    runtime: Handle,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Actions {
    /// Takes up what was kept, and begins to look.
    pub(crate) fn start(policy: Policy, directory: Option<PathBuf>, means: Means, runtime: &Handle) -> Self {
        let place = directory.map(|directory| directory.join("actions.json"));
        let before = place.as_ref().map(|place| kept::read(place, "proposals")).unwrap_or_default();
        let inner = Inner {
            book: Mutex::new(Book::new(policy, before)),
            means,
            place,
            writing: tokio::sync::Mutex::default(),
            runtime: runtime.clone(),
            task: Mutex::default(),
        };
        let actions = Self(Arc::new(inner));
        let looks = actions.clone();
        *actions.0.task.lock() = Some(runtime.spawn(async move {
            let mut every = tokio::time::interval(LOOK_EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                looks.round().await;
            }
        }));
        actions
    }

    /// Another process looks from now on, or none.
    pub(crate) fn stop(&self) {
        if let Some(task) = self.0.task.lock().take() {
            task.abort();
        }
    }

    /// Changes the policy.
    pub(crate) fn set_policy(&self, policy: Policy) {
        self.0.book.lock().set_policy(policy);
    }

    /// The latest proposals, the latest first.
    pub(crate) fn list(&self, incident: Option<u64>) -> Vec<Proposal> {
        let book = self.0.book.lock();
        let wanted = book.list().filter(|known| incident.is_none() || known.incident == incident);
        wanted.take(MAX_LISTED).cloned().collect()
    }

    /// The limits that can be changed.
    pub(crate) fn limits(&self) -> Vec<Limit> {
        self.0.means.revisions.load_full().map(|revisions| limits(&revisions)).unwrap_or_default()
    }

    /// Somebody says yes. It is done from here on, whoever waits for it.
    pub(crate) async fn approve(&self, id: u64, by: By, why: &str) -> Result<Proposal, Refusal> {
        let approved = self.0.book.lock().approve(id, by, why, now_ms())?.clone();
        self.keep().await;
        let (actions, done) = (self.clone(), approved.clone());
        self.0.runtime.spawn(async move { actions.carry_out(&done).await });
        Ok(approved)
    }

    /// Somebody says no.
    pub(crate) async fn reject(&self, id: u64, by: By, why: &str) -> Result<Proposal, Refusal> {
        let rejected = self.0.book.lock().reject(id, by, why, now_ms())?.clone();
        self.keep().await;
        Ok(rejected)
    }

    /// Does it, watches what becomes of it, and takes it back where that is worse.
    async fn carry_out(&self, proposal: &Proposal) {
        let (gate, most) = {
            let book = self.0.book.lock();
            (book.policy().gate, book.policy().max_sessions)
        };
        let action = &proposal.action;
        let began_ms = now_ms();
        let before = self.health(began_ms.saturating_sub(gate.watch_ms), began_ms).await;
        let outcome = match self.0.means.perform(action, proposal, most).await {
            Ok(outcome) => outcome,
            Err(error) => return self.end(proposal, State::Failed, error).await,
        };
        self.0.means.journal.acted(&action.to_string());
        self.advance(proposal.id, State::Watching, Some(outcome.clone())).await;
        let verdict = self.watch(&gate, before, now_ms()).await;
        let worse = match verdict {
            Verdict::Fine => {
                return self.end(proposal, State::Done, format!("{outcome}; not worse than before")).await;
            }
            Verdict::TooFew => {
                return self
                    .end(proposal, State::Done, format!("{outcome}; too few requests to compare"))
                    .await;
            }
            Verdict::MoreFail(was, is) => format!("failed requests: {was:.1} % before, {is:.1} % after"),
            Verdict::Slower(was, is) => format!("p95: {} ms before, {} ms after", was / 1_000, is / 1_000),
        };
        let Some(back) = action.inverse() else {
            let text = format!("{outcome}; {worse}; it cannot be taken back");
            return self.end(proposal, State::Failed, text).await;
        };
        match self.0.means.perform(&back, proposal, most).await {
            Ok(taken) => {
                self.0.means.journal.acted(&back.to_string());
                self.end(proposal, State::Reverted, format!("{worse}: {taken}")).await;
            }
            Err(error) => {
                self.end(proposal, State::Failed, format!("{worse}; it could not be taken back: {error}"))
                    .await
            }
        }
    }

    /// Compares again and again until the time is over, or things are worse.
    async fn watch(&self, gate: &Gate, before: Health, done_ms: u64) -> Verdict {
        let watch = Duration::from_millis(gate.watch_ms);
        let mut every = tokio::time::interval(LOOK_EVERY.min(watch / 4).max(Duration::from_millis(100)));
        let until = tokio::time::Instant::now() + watch;
        loop {
            every.tick().await;
            let verdict = gate.judge(&before, &self.health(done_ms, now_ms()).await);
            let is_over = tokio::time::Instant::now() >= until;
            if is_over || matches!(verdict, Verdict::MoreFail(..) | Verdict::Slower(..)) {
                return verdict;
            }
        }
    }

    /// How requests went. What cannot be read says nothing.
    async fn health(&self, from_ms: u64, to_ms: u64) -> Health {
        let window = Window::new(from_ms * 1_000, (to_ms * 1_000).max(from_ms * 1_000 + 1));
        let query = SeriesQuery { window, step_us: window.length_us(), route: None };
        match self.0.means.telemetry.series(&query).await {
            Ok(steps) => Health::of(&steps),
            Err(error) => {
                tracing::warn!(%error, "whether an action has helped could not be read");
                Health::default()
            }
        }
    }

    async fn end(&self, proposal: &Proposal, state: State, outcome: String) {
        tracing::warn!(target: "iap_host::actions", action = %proposal.action, ?state, outcome, "an action is over");
        let who = who(proposal).to_owned();
        let what = format!("action {} {}: {}", proposal.id, proposal.action, outcome);
        self.audit(who, what, if state == State::Done { 200 } else { 500 }).await;
        self.advance(proposal.id, state, Some(outcome)).await;
    }

    async fn advance(&self, id: u64, state: State, outcome: Option<String>) {
        self.0.book.lock().advance(id, state, outcome, now_ms());
        self.keep().await;
    }

    async fn audit(&self, who: String, what: String, status: u16) {
        if let Some(access) = self.0.means.access.load_full() {
            let record = Record { at_ms: 0, who, role: None, from: None, what, with: Value::Null, status };
            let _ = tokio::task::spawn_blocking(move || access.audit.note(record)).await;
        }
    }

    /// Writes all of it; the latest state is on the disk when this returns.
    async fn keep(&self) {
        let Some(place) = self.0.place.clone() else { return };
        let _turn = self.0.writing.lock().await;
        let mut all: Vec<Proposal> = self.0.book.lock().list().cloned().collect();
        all.reverse();
        let written = tokio::task::spawn_blocking(move || kept::write(&place, &all)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::error!(%error, "proposals could not be kept");
        }
    }

    /// Proposes what would help against incidents, and lets go what is for those that are over.
    async fn round(&self) {
        let Some(detection) = self.0.means.detection.load_full() else { return };
        let active = detection.active();
        let is_over = |id: u64| !active.iter().any(|incident| incident.id == id);
        let (withdrawn, confidence) = {
            let mut book = self.0.book.lock();
            (book.withdraw(now_ms(), is_over), book.policy().confidence)
        };
        if withdrawn {
            self.keep().await;
        }
        let servers = self.0.means.telemetry.estate().map(|estate| estate.servers()).unwrap_or_default();
        let replaced = self.0.means.revisions.load_full().and_then(|revisions| revisions.replaced());
        let wanted = |incident: &Incident| {
            let back = || suggest_rollback(incident, replaced.as_ref()?, confidence);
            Some((incident.id, suggest(incident, &servers, confidence).or_else(back)?))
        };
        for (incident, (action, why)) in active.iter().filter_map(wanted) {
            self.suggested(incident, action, why).await;
        }
    }

    /// Takes up what detection proposes; does it where the policy says so.
    async fn suggested(&self, incident: u64, action: Action, why: String) {
        let mode = {
            let book = self.0.book.lock();
            if book.was_proposed(&action, incident) {
                return;
            }
            book.policy().mode(action.kind())
        };
        let request = Request { action, why, incident: Some(incident) };
        let Ok(proposal) = self.propose(request, By::Detection).await else { return };
        tracing::warn!(target: "iap_host::actions", action = %proposal.action, incident, "an action is proposed");
        if mode == Mode::Automatic
            && let Err(refusal) = self.approve(proposal.id, By::Policy, "ops.actions: automatic").await
        {
            tracing::warn!(target: "iap_host::actions", action = %proposal.action, %refusal, "it is not done by itself");
        }
    }
}

impl Proposer for Actions {
    fn propose(&self, request: Request, by: By) -> BoxFuture<'_, Result<Proposal, Refusal>> {
        Box::pin(async move {
            let most = self.0.book.lock().policy().max_sessions;
            let preview = self.0.means.preview(&request.action, most).await?;
            let proposal = self.0.book.lock().propose(request, by, preview, now_ms())?.clone();
            self.keep().await;
            Ok(proposal)
        })
    }
}

/// Who answers for it.
fn who(proposal: &Proposal) -> &str {
    match proposal.decision.as_ref().map(|decision| &decision.by) {
        Some(By::Person(name)) => name,
        _ => "policy",
    }
}

fn now_ms() -> u64 {
    SystemClock.now_ms()
}
