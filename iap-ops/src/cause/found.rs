//! What was found to be the cause, in types.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parameters::Parameter;
use crate::blame::{Blame, BlameKind};

/// What kind of thing is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CauseKind {
    /// A statement.
    Sql,
    /// A server that is called, or all of an upstream.
    Upstream,
    /// Waiting for a place in a pool.
    Pool,
    /// The store of the sessions.
    SessionStore,
    /// What lies between a caller and the one it calls.
    Network,
    /// Something that was changed just before.
    Change,
    /// More requests than usual.
    Load,
    /// Pauses in which a JVM collects garbage.
    Gc,
    /// Memory that a process does not give back.
    Memory,
    /// Something that does not let go of an event loop.
    EventLoop,
    /// The service's own code.
    Code,
    /// A line that was never logged before.
    Log,
    /// A metric that is otherwise than usual, without more being known.
    Metric,
}

impl CauseKind {
    /// The name in answers of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Upstream => "upstream",
            Self::Pool => "pool",
            Self::SessionStore => "session_store",
            Self::Network => "network",
            Self::Change => "change",
            Self::Load => "load",
            Self::Gc => "gc",
            Self::Memory => "memory",
            Self::EventLoop => "event_loop",
            Self::Code => "code",
            Self::Log => "log",
            Self::Metric => "metric",
        }
    }
}

/// What can be looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Evidence {
    /// A trace, as 32 hexadecimal digits.
    Trace(String),
    /// A series that is watched.
    Series(String),
    /// A server: its upstream and address.
    Server(String),
    /// A change: when (Unix milliseconds) and what.
    Change(String),
    /// A template of log lines. Untrusted text.
    Log(String),
}

/// How much of what users do is concerned, from the change point on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Impact {
    /// Transactions of all routes.
    pub transactions: u64,
    /// Those that failed, or were slow, by this cause's route.
    pub affected: u64,
    /// Their share of all, in percent.
    pub share_percent: f64,
    /// Different users among them that were looked at.
    pub users: usize,
    /// Different sessions among them that were looked at.
    pub sessions: usize,
}

/// A cause that is less likely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// What it is.
    pub kind: CauseKind,
    /// Its name. Untrusted text.
    pub name: String,
    /// 0 to 1.
    pub confidence: f64,
}

/// What an incident is due to. All texts are untrusted and hold no control characters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RootCause {
    /// What kind of thing is to blame.
    pub kind: CauseKind,
    /// The thing: a statement without its literals, an upstream, a span, a metric.
    pub name: String,
    /// The transaction group.
    pub route: Option<String>,
    /// The service that reported it.
    pub service: Option<String>,
    /// The span.
    pub span: Option<String>,
    /// The statement without its literals.
    pub sql: Option<String>,
    /// With which kind of values the statement is to blame, where its bad calls clearly differ from its usual ones.
    #[serde(default)]
    pub parameter: Option<Parameter>,
    /// The upstream.
    pub upstream: Option<String>,
    /// The one server or instance, where it is one.
    pub node: Option<String>,
    /// What was changed just before: when (Unix milliseconds) and what.
    pub change: Option<(u64, String)>,
    /// What it failed with.
    pub error: Option<String>,
    /// Its own time in the examined transactions, on average, and the same before.
    pub self_us: Option<(u64, u64)>,
    /// When a memory will be full at the pace of late, Unix seconds.
    #[serde(default)]
    pub full_s: Option<u64>,
    /// How much is concerned.
    pub impact: Impact,
    /// From 0 to 1: how much of what was examined shows it, times how little of what was well does.
    pub confidence: f64,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// What else it may be, the likeliest first.
    pub others: Vec<Candidate>,
}

/// Spans by whose names a pool is known.
const POOL: [&str; 5] = ["pool", "acquire", "get_connection", "getconnection", "checkout_connection"];

impl RootCause {
    /// Knows what is to blame, and nothing else yet.
    pub fn new(kind: CauseKind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            route: None,
            service: None,
            span: None,
            sql: None,
            parameter: None,
            upstream: None,
            node: None,
            change: None,
            error: None,
            self_us: None,
            full_s: None,
            impact: Impact::default(),
            confidence: 0.0,
            evidence: Vec::new(),
            others: Vec::new(),
        }
    }

    /// Blames what a span stands for.
    pub(super) fn blaming(blame: &Blame) -> Self {
        let kind = kind_of(blame);
        let mut cause = Self::new(kind, blame.name.clone());
        cause.service = Some(blame.service.clone());
        match blame.kind {
            BlameKind::Sql => cause.sql = Some(blame.name.clone()),
            BlameKind::Upstream => cause.node = Some(blame.name.clone()),
            BlameKind::Code => cause.span = Some(blame.name.clone()),
        }
        if kind == CauseKind::SessionStore {
            cause.name = "session store".to_owned();
        }
        cause
    }

    /// What incidents are grouped by: the same cause, whatever it shows in.
    pub fn key(&self) -> String {
        match self.kind {
            CauseKind::SessionStore | CauseKind::Load => format!("{:?}", self.kind),
            CauseKind::Change => format!("Change {:?}", self.change.as_ref().map(|(at_ms, _)| at_ms)),
            CauseKind::Upstream => format!("Upstream {}", self.upstream.as_deref().unwrap_or(&self.name)),
            CauseKind::Gc | CauseKind::Memory | CauseKind::EventLoop => {
                format!("{:?} {}", self.kind, self.name)
            }
            // The name of a span says little without its service, and next to nothing without its route.
            CauseKind::Code => format!("Code {:?} {:?} {}", self.service, self.route, self.name),
            kind => format!("{kind:?} {:?} {}", self.service, self.name),
        }
    }

    /// Another cause was found, deeper or likelier; what was blamed before is what it may be else.
    pub(super) fn give_way(&mut self, kind: CauseKind, name: String, left: f64) {
        let (kind, name) = (std::mem::replace(&mut self.kind, kind), std::mem::replace(&mut self.name, name));
        self.others.insert(0, Candidate { kind, name, confidence: left });
        self.others.truncate(MAX_OTHERS);
    }

    pub(super) fn show(&mut self, evidence: Evidence) {
        if self.evidence.len() < MAX_EVIDENCE && !self.evidence.contains(&evidence) {
            self.evidence.push(evidence);
        }
    }
}

/// Causes that are less likely.
pub(super) const MAX_OTHERS: usize = 3;
/// What is kept of evidence.
const MAX_EVIDENCE: usize = 12;

/// What kind of cause a thing to blame is.
pub(super) fn kind_of(blame: &Blame) -> CauseKind {
    match blame.kind {
        BlameKind::Sql => CauseKind::Sql,
        BlameKind::Upstream => CauseKind::Upstream,
        BlameKind::Code => {
            let name = blame.name.to_lowercase();
            if name.starts_with("session.") {
                CauseKind::SessionStore
            } else if POOL.iter().any(|word| name.contains(word)) {
                CauseKind::Pool
            } else {
                CauseKind::Code
            }
        }
    }
}
