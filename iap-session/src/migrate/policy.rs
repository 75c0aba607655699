//! How a foreign session becomes one of ours.

use std::time::Duration;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{OpId, SessionKey};
use crate::store::SessionStore;
use crate::write::{Expiry, Imported, Login, LoginPolicy};

use super::{Candidate, ForeignSession};

/// A hundred years: a time that nobody means, and that every store can count.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// The rules of a takeover.
#[derive(Debug, Clone, Copy)]
pub struct Takeover {
    /// How long sessions of ours live. Of a session that is taken over, the idle time is its own, and it ends at the
    /// latest after `absolute` from the takeover, or when it would have ended there, whichever comes later.
    pub expiry: Expiry,
    /// How many sessions a user may have.
    pub login: LoginPolicy,
    /// How much longer than the session it is remembered that it was taken over: longer than the other system has it.
    /// Default 30 days; each further sight of it counts anew.
    pub remember: Duration,
}

impl Default for Takeover {
    fn default() -> Self {
        Self {
            expiry: Expiry::default(),
            login: LoginPolicy::default(),
            remember: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// What became of one foreign session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is one of ours now.
    Taken,
    /// It was taken over before.
    Before,
    /// Its time is over.
    Expired,
    /// It exceeds a limit.
    TooLarge,
    /// Its user has as many sessions as allowed.
    Refused,
    /// It has an attribute or a user whose name is not allowed here.
    Invalid,
    /// Nothing of it can be read.
    Unreadable,
}

impl Outcome {
    /// The stable name, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Before => "before",
            Self::Expired => "expired",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Takeover {
    /// What the store is asked to take over at `now_ms`; `None` if the session's time is over.
    pub fn imported(&self, session: &ForeignSession, now_ms: u64) -> Option<Imported> {
        // One that never ends ends by our rules, counted from now on.
        let (idle, accessed_ms) = match session.idle {
            Some(idle) => (idle.min(LONGEST), session.accessed_ms.min(now_ms)),
            None => (self.expiry.absolute, now_ms),
        };
        let left = Duration::from_millis(accessed_ms).saturating_add(idle);
        let left = left.saturating_sub(Duration::from_millis(now_ms));
        if left.is_zero() {
            return None;
        }
        let login = session.user.as_deref().map(|user| Login { user: user.into(), policy: self.login });
        Some(Imported {
            op: OpId::random(),
            created_ms: session.created_ms.min(accessed_ms),
            accessed_ms,
            expiry: Expiry { idle, absolute: self.expiry.absolute.max(left) },
            attributes: session.attributes.clone(),
            login,
            remember: self.remember,
        })
    }

    /// Takes a session over, or says why not.
    ///
    /// # Errors
    ///
    /// Those of the store that say nothing about the session.
    pub async fn take(
        &self,
        store: &dyn SessionStore,
        system: &str,
        candidate: &Candidate,
        now_ms: u64,
    ) -> Result<Outcome, StoreError> {
        let (key, imported) = match self.prepare(store, system, candidate, now_ms) {
            Ok(prepared) => prepared,
            Err(outcome) => return Ok(outcome),
        };
        match store.import(key, imported).await {
            Ok(true) => Ok(Outcome::Taken),
            Ok(false) => Ok(Outcome::Before),
            Err(error) => outcome_of(error),
        }
    }

    /// What the store is asked to take over, and under which key; or why nothing.
    pub(super) fn prepare(
        &self,
        store: &dyn SessionStore,
        system: &str,
        candidate: &Candidate,
        now_ms: u64,
    ) -> Result<(SessionKey, Imported), Outcome> {
        let session = candidate.session.as_ref().map_err(|_| Outcome::Unreadable)?;
        let imported = self.imported(session, now_ms).ok_or(Outcome::Expired)?;
        Ok((store.ids().foreign(system, &candidate.id).key(), imported))
    }
}

/// What an error says about the session itself.
pub(super) fn outcome_of(error: StoreError) -> Result<Outcome, StoreError> {
    match error.kind() {
        StoreErrorKind::Gone => Ok(Outcome::Expired),
        StoreErrorKind::TooLarge => Ok(Outcome::TooLarge),
        StoreErrorKind::Refused => Ok(Outcome::Refused),
        StoreErrorKind::Invalid => Ok(Outcome::Invalid),
        _ => Err(error),
    }
}
