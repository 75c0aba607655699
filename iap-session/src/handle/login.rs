//! Who the session belongs to.

use iap_core::hooks::Field;

use crate::error::{StoreError, StoreErrorKind};
use crate::limits::check_user;
use crate::policy::Mode;
use crate::store::ScanQuery;
use crate::write::WhenFull;

use super::state::Base;
use super::{Session, unavailable};

impl Session {
    /// Logs a user in: with the commit the session gets a new id and the user's name.
    ///
    /// Where the policy refuses further sessions this is checked now, so that the application can
    /// say so, and decided by the commit: of two requests at the same moment the later one ends
    /// with 409.
    ///
    /// # Errors
    ///
    /// `Refused` by the login policy; `Conflict` if the client came with an id that was just
    /// changed; `Invalid` for an impossible name; `Sealed`; errors of the load.
    pub async fn login(&self, user: &str) -> Result<(), StoreError> {
        self.enter(user, None).await
    }

    /// Logs a user in under the rules of a group: [`SessionConfig::groups`](crate::SessionConfig::groups).
    ///
    /// # Errors
    ///
    /// As [`Session::login`]; `Invalid` if there are no rules for such a group.
    pub async fn login_as(&self, user: &str, group: &str) -> Result<(), StoreError> {
        self.enter(user, Some(group)).await
    }

    async fn enter(&self, user: &str, group: Option<&str>) -> Result<(), StoreError> {
        check_user(user)?;
        let group = self.inner.shared.config.group(group)?;
        self.load().await?;
        let (key, by_old_id) = match &self.inner.state.lock().base {
            Base::Degraded => return Err(unavailable()),
            Base::Found { record, by_old_id, .. } => (Some(record.key), *by_old_id),
            _ => (None, false),
        };
        if by_old_id {
            let text = "the session's id was changed by another request";
            return Err(StoreError::new(StoreErrorKind::Conflict, text));
        }
        if key.is_none() && self.inner.visit.policy.mode == Mode::Existing {
            let text = "this route begins no sessions: log in on one that does";
            return Err(StoreError::new(StoreErrorKind::Invalid, text));
        }
        let policy = group.login;
        if policy.when_full == WhenFull::RefuseNew {
            let page = self.inner.shared.store.scan(ScanQuery::of_user(user)).await?;
            let others = page.sessions.iter().filter(|other| Some(other.key) != key).count();
            if others >= policy.max.max(1) as usize {
                self.tell_refused(self.inner.state.lock().record().map(|record| &**record), user);
                let text = format!("the user has as many sessions as allowed: {others}");
                return Err(StoreError::new(StoreErrorKind::Refused, text));
            }
        }
        self.with_changes(|changes| {
            changes.login = Some((user.into(), group));
            changes.logout = false;
        })?;
        if let Some(transaction) = &self.inner.transaction {
            transaction.set(Field::User, user);
        }
        Ok(())
    }

    /// Logs the user out. The session and its attributes stay; [`Session::destroy`] ends them.
    ///
    /// # Errors
    ///
    /// `Sealed`.
    pub fn logout(&self) -> Result<(), StoreError> {
        self.with_changes(|changes| {
            changes.login = None;
            changes.logout = true;
        })
    }
}
