//! The steps of a rotation.

use std::sync::Arc;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionKey;
use crate::limits::check_user;
use crate::record::{Created, Record, millis};
use crate::write::Rotation;

use super::codec::{self, Stored, corrupt};
use super::connection::Reads;
use super::{RedisStore, Replicas, scripts};

const ATTEMPTS: usize = 8;

impl RedisStore {
    pub(super) async fn rotate_now(
        &self,
        key: SessionKey,
        rotation: Rotation,
    ) -> Result<Created, StoreError> {
        if let Some(login) = &rotation.login {
            check_user(&login.user)?;
        }
        for _ in 0..ATTEMPTS {
            let old = match self.read(&Reads::plain(), key).await? {
                None | Some(Stored::Taken) => return Err(StoreError::gone()),
                Some(Stored::Ended(reason)) => return Err(StoreError::revoked(reason)),
                Some(Stored::Rotated(_)) => return Err(rotated_before()),
                Some(Stored::Live(record)) => *record,
            };
            self.check_place(&Reads::plain(), old.user.as_deref(), &old.handle).await?;
            let (id, new_key) = self.ids.generate();
            let mut next = old.rotated(new_key, &rotation, &self.limits, self.connection.now_ms())?;
            if next.recent.last().is_none_or(|(op, _)| *op != rotation.op) {
                return Err(rotated_before());
            }
            next.accessed_ms = next.accessed_ms.max(self.connection.now_ms());
            let mut written = self.write_new(&next, None).await;
            if let (Ok(()), Some(login)) = (&written, &rotation.login) {
                written = self.admit(&next, login).await;
            }
            if let Err(error) = written {
                self.undo(&old, &next).await;
                return Err(error);
            }
            match self.swap(&old, &next, &rotation).await {
                Ok(true) => {
                    self.settle(&old, &next).await?;
                    return Ok(Created { id, record: Arc::new(next) });
                }
                Ok(false) => self.undo(&old, &next).await,
                Err(error) => {
                    // The old id may lead to the new session already.
                    if !matches!(error.kind(), StoreErrorKind::Ambiguous | StoreErrorKind::NotDurable) {
                        self.undo(&old, &next).await;
                    }
                    return Err(error);
                }
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict, "the session is changed by too many requests"))
    }

    /// Puts the pointer in place; `false` if the session was changed meanwhile.
    async fn swap(&self, old: &Record, next: &Record, rotation: &Rotation) -> Result<bool, StoreError> {
        let args = vec![
            old.version.to_string().into(),
            next.key.to_string().into(),
            millis(rotation.grace).to_string().into(),
        ];
        let key = self.session_key(&old.key);
        let reply = self.connection.script(&scripts::ROTATE_SCRIPT, &key, args).await?;
        match reply[0].as_str() {
            "ok" => Ok(true),
            "conflict" => Ok(false),
            "gone" => Err(StoreError::gone()),
            "corrupt" => Err(corrupt("the session's fields are not complete")),
            state => match codec::decode_state(state)? {
                Stored::Ended(reason) => Err(StoreError::revoked(reason)),
                _ => Err(rotated_before()),
            },
        }
    }

    /// Gives the new session its full life, and the index its key.
    async fn settle(&self, old: &Record, next: &Record) -> Result<(), StoreError> {
        self.on_session(&scripts::TOUCH_SCRIPT, next.key, vec![], Replicas::Confirm).await?;
        if old.handle != next.handle {
            if let Some(user) = &old.user {
                let _ = self.release(user, &old.handle).await;
            }
        } else if let Some(user) = &next.user {
            let args = self.place("repoint", next, 1);
            self.connection.script(&scripts::ADMIT_SCRIPT, &self.user_key(user), args).await?;
        }
        Ok(())
    }

    /// Takes back what was prepared for a swap that did not happen.
    async fn undo(&self, old: &Record, next: &Record) {
        if old.handle != next.handle
            && let Some(user) = &next.user
        {
            let _ = self.release(user, &next.handle).await;
        }
        self.forget(next).await;
    }
}

fn rotated_before() -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, "the session's id was already changed")
}
