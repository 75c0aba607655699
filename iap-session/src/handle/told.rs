//! What a request has done to its session, for those who listen.

use crate::events::Emitter;
use crate::record::{Created, Record};

use super::Session;

impl Session {
    fn emitter(&self) -> Option<&Emitter> {
        self.inner.shared.config.events.as_ref()
    }

    pub(super) fn tell_created(&self, created: &Created) {
        let metrics = &self.inner.shared.metrics;
        metrics.created.increment(1);
        metrics.logins.increment(u64::from(created.record.user.is_some()));
        let Some(emitter) = self.emitter() else { return };
        emitter.created(&created.record);
        if created.record.user.is_some() {
            emitter.login(&created.record, None);
        }
    }

    pub(super) fn tell_rotated(&self, before: &Record, created: &Created, login: bool) {
        self.inner.shared.metrics.logins.increment(u64::from(login));
        let Some(emitter) = self.emitter() else { return };
        if login {
            emitter.login(&created.record, Some(before));
        } else {
            emitter.rotated(&created.record, before);
        }
    }

    pub(super) fn tell_logout(&self, before: &Record) {
        if before.user.is_none() {
            return;
        }
        self.inner.shared.metrics.logouts.increment(1);
        if let Some(emitter) = self.emitter() {
            emitter.logout(before);
        }
    }

    pub(super) fn tell_destroyed(&self, before: &Record) {
        self.inner.shared.metrics.revoked.increment(1);
        if let Some(emitter) = self.emitter() {
            emitter.revoked(before.key, before.user.clone(), crate::Reason::Destroyed, None);
        }
    }

    pub(super) fn tell_refused(&self, before: Option<&Record>, user: &str) {
        self.inner.shared.metrics.refused.increment(1);
        if let Some(emitter) = self.emitter() {
            emitter.refused(before.map(|record| record.key), user);
        }
    }
}
