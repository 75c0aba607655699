//! What a caller asks a store to write, and the rules of expiry and login that go with it.

use std::sync::Arc;
use std::time::Duration;

use crate::id::OpId;
use crate::provenance::Provenance;
use crate::record::{Attributes, Op};

/// A write to an existing session.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The name of this write; a repetition keeps it.
    pub op: OpId,
    /// The changes, in order. Attributes that are not named stay as they are, so that requests
    /// that change different ones both win.
    pub ops: Vec<Op>,
    /// Refuse the write unless the session has this version.
    pub expected: Option<u64>,
    /// Also take the user out of the session, and the session out of the user's set.
    pub logout: bool,
}

/// A session to be created.
#[derive(Clone)]
pub struct NewSession {
    /// The name of this write.
    pub op: OpId,
    /// How long it lives.
    pub expiry: Expiry,
    /// Its first attributes.
    pub attributes: Attributes,
    /// Who logs in with it, if anybody.
    pub login: Option<Login>,
    /// What it is [bound](crate::policy::Binding) to.
    pub binding: Option<Arc<str>>,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl NewSession {
    /// An empty session without a user.
    pub fn new(expiry: Expiry) -> Self {
        Self {
            op: OpId::random(),
            expiry,
            attributes: Attributes::new(),
            login: None,
            binding: None,
            provenance: Provenance::default(),
        }
    }
}

/// A session of another system that is to go on here.
#[derive(Clone)]
pub struct Imported {
    /// The name of this write.
    pub op: OpId,
    /// When it was created there, in Unix milliseconds.
    pub created_ms: u64,
    /// When it was last used there, in Unix milliseconds. It goes on from here: a session that would have ended
    /// there in a minute ends here in a minute.
    pub accessed_ms: u64,
    /// How long it lives without access, and from now on at most.
    pub expiry: Expiry,
    /// Its attributes.
    pub attributes: Attributes,
    /// Who is logged in with it, if that is known.
    pub login: Option<Login>,
    /// How much longer than the session itself it is remembered that it was taken over. Each further attempt
    /// prolongs that to so long from then.
    pub remember: Duration,
}

/// A change of the id, with everything that is written at the same moment.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The name of this write.
    pub op: OpId,
    /// Changes of attributes.
    pub ops: Vec<Op>,
    /// The user who logs in, if that is the occasion.
    pub login: Option<Login>,
    /// How long the old id still leads to the session.
    pub grace: Duration,
    /// Where the login comes from: of it, the address is noted.
    pub provenance: Provenance,
    /// How long the session lives from now on, counted from this moment; `None`: as before.
    pub expiry: Option<Expiry>,
    /// What it is [bound](crate::policy::Binding) to from now on; `None`: as before.
    pub binding: Option<Arc<str>>,
}

impl Rotation {
    /// Another id, and nothing else.
    pub fn new(grace: Duration) -> Self {
        Self {
            op: OpId::random(),
            ops: Vec::new(),
            login: None,
            grace,
            provenance: Provenance::default(),
            expiry: None,
            binding: None,
        }
    }
}

/// A user enters a session.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user's name.
    pub user: Arc<str>,
    /// How many sessions the user may have.
    pub policy: LoginPolicy,
}

/// How many sessions of one user may live at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginPolicy {
    /// The number of sessions; 0 counts as 1.
    pub max: u32,
    /// What happens to one more.
    pub when_full: WhenFull,
}

/// Very many sessions, then the oldest has to go: an index must have a bound.
impl Default for LoginPolicy {
    fn default() -> Self {
        Self { max: 100, when_full: WhenFull::EvictOldest }
    }
}

/// What a login does when the user has all the sessions that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The login is refused.
    RefuseNew,
    /// The session with the oldest login ends.
    EvictOldest,
}

/// How long sessions live. Both limits apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Without access. Accesses are noted every twentieth of it, so an end may come that much early.
    pub idle: Duration,
    /// From creation, whatever happens.
    pub absolute: Duration,
}

/// Half an hour idle, twelve hours at most.
impl Default for Expiry {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30 * 60), absolute: Duration::from_secs(12 * 3600) }
    }
}

/// Why a session was ended before its time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SessionEndedBy")]
pub enum Reason {
    /// The application or the user ended it.
    Destroyed,
    /// An operator ended it.
    Operator,
    /// A newer login of the same user took its place.
    Evicted,
}

impl Reason {
    /// The stable name, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Destroyed => "destroyed",
            Self::Operator => "operator",
            Self::Evicted => "evicted",
        }
    }

    /// Reads a stable name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Destroyed, Self::Operator, Self::Evicted].into_iter().find(|reason| reason.as_str() == name)
    }
}
