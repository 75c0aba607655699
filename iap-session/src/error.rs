//! The error of this crate, and what it means for a client.

use std::borrow::Cow;
use std::fmt;

use iap_core::{BoxError, Kind, Origin};

use crate::write::Reason;

/// What went wrong. The string form ([`StoreErrorKind::as_str`]) is stable: metrics use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store could not be asked; nothing was changed.
    Unavailable,
    /// A write was sent and no reply came: it may or may not have taken effect. Repeating it with
    /// the same operation id is safe.
    Ambiguous,
    /// A write took effect, but too few replicas have confirmed it: a failover may lose it. Only with
    /// strong consistency. Repeating it with the same operation id asks for confirmation again.
    NotDurable,
    /// The stored form cannot be read.
    Corrupt,
    /// A limit of [`Limits`](crate::Limits) would be exceeded; nothing was changed.
    TooLarge,
    /// The session does not exist (any more); a write never brings it back.
    Gone,
    /// The session was ended on purpose; see [`StoreError::reason`].
    Revoked,
    /// The session has another version than expected, or its id was already changed.
    Conflict,
    /// The login policy refuses another session of this user.
    Refused,
    /// The handle was used after the response head was committed.
    Sealed,
    /// A name, user or value that cannot be stored, or an attribute of another type than asked for.
    Invalid,
}

impl StoreErrorKind {
    /// The stable name, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Ambiguous => "ambiguous",
            Self::NotDurable => "not_durable",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too_large",
            Self::Gone => "gone",
            Self::Revoked => "revoked",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Sealed => "sealed",
            Self::Invalid => "invalid",
        }
    }
}

/// An error of a store or of a session handle.
///
/// Neither the message nor the source holds ids, tokens, attribute values or passwords. "There is
/// no such session" is not an error on reads: it is `Ok(None)`, and only said by a store that
/// has answered.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: Cow<'static, str>,
    reason: Option<Reason>,
    source: Option<BoxError>,
}

impl StoreError {
    /// An error with a text for operators.
    pub fn new(kind: StoreErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), reason: None, source: None }
    }

    /// The session was ended for `reason`.
    pub fn revoked(reason: Reason) -> Self {
        Self {
            reason: Some(reason),
            ..Self::new(StoreErrorKind::Revoked, format!("the session was ended: {}", reason.as_str()))
        }
    }

    /// The session does not exist.
    pub fn gone() -> Self {
        Self::new(StoreErrorKind::Gone, "the session does not exist any more")
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Why the session was ended, for [`StoreErrorKind::Revoked`].
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Whether the same call, with the same operation id, may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            StoreErrorKind::Unavailable | StoreErrorKind::Ambiguous | StoreErrorKind::NotDurable
        )
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What a client is told: an outage is 503 with `Retry-After`, an ended session 401, a conflict or
/// a refused login 409, a limit 413, a wrong value 400, everything else 500.
impl From<StoreError> for iap_core::Error {
    fn from(error: StoreError) -> Self {
        let (kind, origin, message) = match error.kind {
            StoreErrorKind::Unavailable | StoreErrorKind::Ambiguous => {
                (Kind::Unavailable, Origin::Store, "the session store is not available")
            }
            StoreErrorKind::NotDurable => {
                (Kind::Unavailable, Origin::Store, "the session was written, but is not safe yet")
            }
            StoreErrorKind::Corrupt => (Kind::Internal, Origin::Store, "the session cannot be read"),
            StoreErrorKind::TooLarge => (Kind::TooLarge, Origin::App, "a session limit was exceeded"),
            StoreErrorKind::Gone | StoreErrorKind::Revoked => {
                (Kind::Unauthorized, Origin::Client, "the session has ended")
            }
            StoreErrorKind::Conflict => {
                (Kind::Conflict, Origin::Client, "the session was changed by another request")
            }
            StoreErrorKind::Refused => {
                (Kind::Conflict, Origin::Client, "the user has reached the limit of sessions")
            }
            StoreErrorKind::Sealed => {
                (Kind::Internal, Origin::App, "the session was changed after its response was committed")
            }
            StoreErrorKind::Invalid => (Kind::BadRequest, Origin::App, "the session value is not valid"),
        };
        let retryable = error.kind == StoreErrorKind::Unavailable;
        let core = Self::new(kind, origin, message).with_source(error);
        if retryable { core.retryable() } else { core }
    }
}
