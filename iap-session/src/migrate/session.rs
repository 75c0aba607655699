//! A session of another system as plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::record::Attributes;

/// A session as another system has it.
#[derive(Clone, PartialEq)]
pub struct ForeignSession {
    /// When it was created, in Unix milliseconds.
    pub created_ms: u64,
    /// When it was last used, in Unix milliseconds.
    pub accessed_ms: u64,
    /// How long it lives without access; `None` for one that does not end.
    pub idle: Option<Duration>,
    /// Who is logged in, where that can be told.
    pub user: Option<String>,
    /// Its attributes.
    pub attributes: Attributes,
    /// How many of them have no JSON form, by their type.
    pub opaque: BTreeMap<String, u64>,
}

/// Without values and names.
impl fmt::Debug for ForeignSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignSession")
            .field("attributes", &self.attributes.len())
            .field("opaque", &self.opaque)
            .finish_non_exhaustive()
    }
}

/// Why a session cannot be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub(super) &'static str);

impl Unreadable {
    /// The reason, for a report.
    pub fn reason(&self) -> &'static str {
        self.0
    }
}
