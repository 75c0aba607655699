//! What was proposed, decided and done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, Mode, Policy};

/// Proposals that are kept.
const MAX_KEPT: usize = 500;
/// Proposals that wait for somebody at a time.
const MAX_OPEN: usize = 50;
/// Bytes of a reason.
const MAX_WHY: usize = 500;
const HOUR_MS: u64 = 3_600_000;

/// Who proposes or decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
#[schemars(rename = "ActionBy")]
pub enum By {
    /// A person or a program with an account.
    Person(String),
    /// An AI assistant: it may propose, and never decides.
    Assistant,
    /// Detection, for an incident.
    Detection,
    /// The policy `automatic`.
    Policy,
}

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ActionRequest")]
pub struct Request {
    /// What.
    pub action: Action,
    /// Why, in a sentence.
    pub why: String,
    /// The incident that it is for.
    #[serde(default)]
    pub incident: Option<u64>,
}

/// How far a proposal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ActionState")]
pub enum State {
    /// It waits for somebody.
    Proposed,
    /// Somebody said no.
    Rejected,
    /// Nobody said anything in time, or the incident is over.
    Expired,
    /// It is being done.
    Running,
    /// It was done, and is watched.
    Watching,
    /// It was done, and things are not worse.
    Done,
    /// It was done, things got worse, and it was taken back.
    Reverted,
    /// It could not be done, or things got worse and it cannot be taken back.
    Failed,
}

impl State {
    /// Whether nothing more becomes of it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Proposed | Self::Running | Self::Watching)
    }
}

/// Who decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// Who.
    pub by: By,
    /// Why.
    pub why: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// A proposal and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// Its number.
    pub id: u64,
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub why: String,
    /// The incident that it is for.
    pub incident: Option<u64>,
    /// Who proposed it.
    pub by: By,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// What the dry run said.
    pub preview: Vec<String>,
    /// How far it is.
    pub state: State,
    /// Who decided.
    pub decision: Option<Decision>,
    /// What came of it.
    pub outcome: Option<String>,
    /// When it was over, Unix milliseconds.
    pub ended_ms: Option<u64>,
}

/// Why something is not taken up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such proposal.
    #[error("there is no such proposal")]
    Unknown,
    /// It was decided already.
    #[error("it is decided already")]
    Decided,
    /// The policy does not let it be done.
    #[error("the policy for this kind of action is `{0}`")]
    Policy(&'static str),
    /// It was proposed by the same person.
    #[error("somebody else has to approve it")]
    SamePerson,
    /// Assistants do not decide.
    #[error("a person has to decide")]
    NoPerson,
    /// So much was done in the last hour.
    #[error("{0} actions in an hour are the limit")]
    TooMany(usize),
    /// The reason is missing or too long.
    #[error("why: 1 to {MAX_WHY} bytes")]
    Why,
    /// The dry run says that it cannot or should not be done.
    #[error("{0}")]
    Bounds(String),
}

/// All proposals, by their numbers.
#[derive(Debug)]
pub struct Book {
    policy: Policy,
    kept: Vec<Proposal>,
    next: u64,
}

impl Book {
    /// Goes on with what was kept. What was being done when the process before ended is not known to be done.
    pub fn new(policy: Policy, mut kept: Vec<Proposal>) -> Self {
        for proposal in &mut kept {
            if matches!(proposal.state, State::Running | State::Watching) {
                proposal.state = State::Failed;
                proposal.outcome = Some("the process ended before it was over: see what runs".to_owned());
                proposal.ended_ms =
                    Some(proposal.decision.as_ref().map_or(proposal.at_ms, |decision| decision.at_ms));
            }
        }
        let next = kept.iter().map(|proposal| proposal.id + 1).max().unwrap_or(1);
        Self { policy, kept, next }
    }

    /// Changes the policy; what was proposed stays.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes a proposal up. One that waits for the same is that one.
    ///
    /// # Errors
    /// When the policy does not want it, the reason is missing, or too many wait.
    pub fn propose(
        &mut self,
        request: Request,
        by: By,
        preview: Vec<String>,
        now_ms: u64,
    ) -> Result<&Proposal, Refusal> {
        if self.policy.mode(request.action.kind()) == Mode::Off {
            return Err(Refusal::Policy("off"));
        }
        check_why(&request.why)?;
        self.expire(now_ms);
        let same = |known: &Proposal| !known.state.is_over() && known.action == request.action;
        if let Some(index) = self.kept.iter().position(same) {
            return Ok(&self.kept[index]);
        }
        if self.kept.iter().filter(|known| known.state == State::Proposed).count() >= MAX_OPEN {
            return Err(Refusal::Bounds(format!(
                "{MAX_OPEN} proposals wait already: decide about those first"
            )));
        }
        if self.kept.len() >= MAX_KEPT
            && let Some(oldest) = self.kept.iter().position(|known| known.state.is_over())
        {
            self.kept.remove(oldest);
        }
        let Request { action, why, incident } = request;
        self.kept.push(Proposal {
            id: self.next,
            action,
            why,
            incident,
            by,
            at_ms: now_ms,
            preview,
            state: State::Proposed,
            decision: None,
            outcome: None,
            ended_ms: None,
        });
        self.next += 1;
        Ok(&self.kept[self.kept.len() - 1])
    }

    /// Approves a proposal: it is to be done now.
    ///
    /// # Errors
    /// When it is not for `by` to decide, it is decided, or so much was done in the last hour.
    pub fn approve(&mut self, id: u64, by: By, why: &str, now_ms: u64) -> Result<&Proposal, Refusal> {
        check_why(why)?;
        self.expire(now_ms);
        let recent = |decision: &Decision| decision.at_ms + HOUR_MS > now_ms;
        let done = self.kept.iter().filter(|known| known.state != State::Rejected);
        let done = done.filter(|known| known.decision.as_ref().is_some_and(recent)).count();
        let (per_hour, four_eyes) = (self.policy.per_hour, self.policy.four_eyes);
        let index = self.waiting(id)?;
        let mode = self.policy.mode(self.kept[index].action.kind());
        match (&by, mode) {
            (By::Assistant | By::Detection, _) => return Err(Refusal::NoPerson),
            (By::Policy, Mode::Automatic) | (By::Person(_), Mode::Approve | Mode::Automatic) => {}
            (_, Mode::Off) => return Err(Refusal::Policy("off")),
            (_, Mode::Propose) => return Err(Refusal::Policy("propose")),
            (By::Policy, Mode::Approve) => return Err(Refusal::NoPerson),
        }
        if four_eyes && self.kept[index].by == by {
            return Err(Refusal::SamePerson);
        }
        if done >= per_hour {
            return Err(Refusal::TooMany(per_hour));
        }
        let proposal = &mut self.kept[index];
        proposal.state = State::Running;
        proposal.decision = Some(Decision { by, why: why.to_owned(), at_ms: now_ms });
        Ok(proposal)
    }

    /// Says no.
    ///
    /// # Errors
    /// When there is no such proposal, or it is decided.
    pub fn reject(&mut self, id: u64, by: By, why: &str, now_ms: u64) -> Result<&Proposal, Refusal> {
        check_why(why)?;
        self.expire(now_ms);
        let index = self.waiting(id)?;
        let proposal = &mut self.kept[index];
        proposal.state = State::Rejected;
        proposal.decision = Some(Decision { by, why: why.to_owned(), at_ms: now_ms });
        proposal.ended_ms = Some(now_ms);
        Ok(proposal)
    }

    /// Notes how far something is that was approved, and what came of it.
    pub fn advance(&mut self, id: u64, state: State, outcome: Option<String>, now_ms: u64) {
        if let Some(proposal) = self.kept.iter_mut().find(|known| known.id == id && !known.state.is_over()) {
            proposal.state = state;
            proposal.outcome = outcome.or(proposal.outcome.take());
            proposal.ended_ms = state.is_over().then_some(now_ms);
        }
    }

    /// Lets go what nobody decided in time, and what was for an incident that is over. Whether there was any.
    pub fn withdraw(&mut self, now_ms: u64, is_over: impl Fn(u64) -> bool) -> bool {
        let mut any = self.expire(now_ms);
        for proposal in &mut self.kept {
            if proposal.state == State::Proposed && proposal.incident.is_some_and(&is_over) {
                close(proposal, "the incident is over", now_ms);
                any = true;
            }
        }
        any
    }

    fn expire(&mut self, now_ms: u64) -> bool {
        let late = |known: &&mut Proposal| {
            known.state == State::Proposed && known.at_ms.saturating_add(self.policy.expires_ms) <= now_ms
        };
        let mut any = false;
        for proposal in self.kept.iter_mut().filter(late) {
            close(proposal, "nobody decided in time", now_ms);
            any = true;
        }
        any
    }

    /// Whether something of the kind was proposed for an incident before: it is not proposed again.
    pub fn was_proposed(&self, action: &Action, incident: u64) -> bool {
        self.kept.iter().any(|known| known.incident == Some(incident) && known.action == *action)
    }

    /// A proposal.
    pub fn get(&self, id: u64) -> Option<&Proposal> {
        self.kept.iter().find(|known| known.id == id)
    }

    /// All, the latest first.
    pub fn list(&self) -> impl DoubleEndedIterator<Item = &Proposal> {
        self.kept.iter().rev()
    }

    fn waiting(&self, id: u64) -> Result<usize, Refusal> {
        let index = self.kept.iter().position(|known| known.id == id).ok_or(Refusal::Unknown)?;
        if self.kept[index].state == State::Proposed { Ok(index) } else { Err(Refusal::Decided) }
    }
}

fn close(proposal: &mut Proposal, outcome: &str, now_ms: u64) {
    proposal.state = State::Expired;
    proposal.outcome = Some(outcome.to_owned());
    proposal.ended_ms = Some(now_ms);
}

fn check_why(why: &str) -> Result<(), Refusal> {
    let is_fine = !why.trim().is_empty() && why.len() <= MAX_WHY && !why.chars().any(char::is_control);
    is_fine.then_some(()).ok_or(Refusal::Why)
}
