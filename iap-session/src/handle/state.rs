//! What a handle remembers between its first use and the commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::error::StoreErrorKind;
use crate::id::SessionId;
use crate::policy::Group;
use crate::record::Record;
use crate::write::Reason;

#[derive(Default)]
pub(super) struct State {
    pub(super) base: Base,
    /// Why a session that the client still had a cookie of was ended.
    pub(super) ended: Option<Reason>,
    /// The id that the client has, if its token is to be written anew.
    pub(super) outdated: Option<SessionId>,
    /// The id for a client that came with one of another system.
    pub(super) given: Option<SessionId>,
    pub(super) changes: Changes,
    pub(super) sealed: bool,
}

/// What the store said.
#[derive(Default)]
pub(super) enum Base {
    #[default]
    NotLoaded,
    Absent,
    Found {
        record: Arc<Record>,
        now_ms: u64,
        /// The client came with an id that was changed before.
        by_old_id: bool,
    },
    /// No answer, and the route goes on without.
    Degraded,
    /// No answer, and the route does not.
    Failed(StoreErrorKind),
}

/// What the request wants to be written.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) attributes: BTreeMap<String, Option<Value>>,
    pub(super) bytes: usize,
    pub(super) login: Option<(Arc<str>, Group)>,
    pub(super) logout: bool,
    pub(super) rotate: bool,
    pub(super) destroy: bool,
}

impl State {
    /// The stored session, unless this request has ended it.
    pub(super) fn record(&self) -> Option<&Arc<Record>> {
        match &self.base {
            Base::Found { record, .. } if !self.changes.destroy => Some(record),
            _ => None,
        }
    }

    pub(super) fn user(&self) -> Option<Arc<str>> {
        if let Some((user, _)) = &self.changes.login {
            return Some(user.clone());
        }
        if self.changes.logout { None } else { self.record()?.user.clone() }
    }
}

impl Changes {
    /// Whether anything was asked for.
    pub(super) fn any(&self) -> bool {
        !self.attributes.is_empty() || self.login.is_some() || self.logout || self.rotate || self.destroy
    }

    /// Whether the user leaves and nothing new begins.
    pub(super) fn leaves(&self) -> bool {
        (self.destroy || self.logout) && self.login.is_none()
    }
}
