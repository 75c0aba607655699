//! Whose transactions the history keeps all of, whatever the budget says.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hooks::ApmTransaction;

/// As many may be followed at a time: each is looked at for every transaction that ends.
pub const MAX_FOLLOWED: usize = 32;

/// Whom or what is followed: somebody with a problem that comes and goes, say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Follow {
    /// An authenticated user.
    User(String),
    /// A session, by its key for operators.
    Session(String),
    /// A client's address.
    Client(IpAddr),
    /// A route.
    Route(String),
}

/// What is followed, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Followed {
    /// What.
    #[serde(flatten)]
    pub what: Follow,
    /// Until when, in Unix microseconds; `None` for as long as the process runs.
    pub until_us: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Follows {
    /// Whether there may be any: mostly there are none.
    any: AtomicBool,
    list: Mutex<Vec<Followed>>,
}

impl Follows {
    /// Follows something, or changes until when; `false` where there are too many.
    pub(crate) fn begin(&self, followed: Followed, now_us: u64) -> bool {
        let mut list = self.list.lock();
        list.retain(|other| other.what != followed.what && !other.is_over(now_us));
        let has_room = list.len() < MAX_FOLLOWED;
        if has_room {
            list.push(followed);
        }
        self.any.store(!list.is_empty(), Ordering::Relaxed);
        has_room
    }

    /// Whether it was followed.
    pub(crate) fn end(&self, what: &Follow) -> bool {
        let mut list = self.list.lock();
        let before = list.len();
        list.retain(|other| other.what != *what);
        self.any.store(!list.is_empty(), Ordering::Relaxed);
        list.len() < before
    }

    pub(crate) fn list(&self, now_us: u64) -> Vec<Followed> {
        self.list.lock().iter().filter(|followed| !followed.is_over(now_us)).cloned().collect()
    }

    /// Whether a transaction that ended just now is to be kept.
    pub(crate) fn wants(&self, transaction: &ApmTransaction, now_us: u64) -> bool {
        self.any.load(Ordering::Relaxed)
            && self
                .list
                .lock()
                .iter()
                .any(|followed| !followed.is_over(now_us) && transaction.is_of(&followed.what))
    }
}

impl Followed {
    fn is_over(&self, now_us: u64) -> bool {
        self.until_us.is_some_and(|until_us| until_us <= now_us)
    }
}
