//! Sessions of other systems.

use std::sync::Arc;
use std::time::Duration;

use crate::error::StoreError;
use crate::id::SessionKey;
use crate::limits::check_user;
use crate::record::{Record, millis};
use crate::write::Imported;

use super::MemoryStore;
use super::shard::{Entry, State};

impl MemoryStore {
    pub(super) fn import_now(&self, key: SessionKey, imported: &Imported) -> Result<bool, StoreError> {
        let record = Arc::new(Record::imported(key, imported, &self.limits, self.clock.now_ms())?);
        if let Some(login) = &imported.login {
            check_user(&login.user)?;
            if self.with(&key, |shard, now| shard.get(&key, now).is_none()) {
                // Whoever takes over the same session meanwhile takes the same place.
                self.admit(&record, login)?;
            }
        }
        let keep = self.clock.now_ms().saturating_add(millis(imported.remember));
        Ok(self.with(&key, |shard, now| match shard.get(&key, now).cloned() {
            None => {
                shard.put(key, Entry::live(record.clone()));
                true
            }
            Some(State::Live(mut before)) if before.recent.iter().all(|(op, _)| *op != imported.op) => {
                if let Some(taken) = &mut Arc::make_mut(&mut before).taken {
                    taken.until_ms = taken.until_ms.max(keep);
                }
                shard.put(key, Entry::live(before));
                false
            }
            Some(State::Live(_)) => true,
            Some(State::Rotated(_) | State::Ended(_) | State::Taken) => {
                shard.remember(&key, keep);
                false
            }
        }))
    }

    pub(super) fn settle_now(&self, key: SessionKey, grace: Duration) -> Result<(), StoreError> {
        self.change(key, |record, _, now| {
            if let Some(taken) = &mut record.taken {
                taken.foreign_until_ms.get_or_insert(now.saturating_add(millis(grace)));
            }
            Ok(())
        })
    }
}
