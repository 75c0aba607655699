//! Which sessions each user has. Its locks are taken last and never held while others are taken.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{SessionIds, SessionKey};
use crate::record::Record;
use crate::write::{Login, WhenFull};

/// The places of all users, oldest login first.
pub(super) struct Users {
    shards: [Mutex<HashMap<String, Vec<Place>>>; SHARDS],
}

struct Place {
    handle: Arc<str>,
    key: SessionKey,
}

const SHARDS: usize = 16;

impl Default for Users {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Users {
    /// Whether the session may be used: nobody is logged in, or it has its place.
    pub(super) fn admits(&self, ids: &SessionIds, record: &Record) -> bool {
        let Some(user) = &record.user else { return true };
        let user = ids.user_key(user);
        let shard = self.shard(&user).lock();
        shard.get(&user).is_some_and(|places| places.iter().any(|place| place.handle == record.handle))
    }

    /// Gives `record` a place, and returns the keys of the sessions that lost theirs for it.
    pub(super) fn admit(
        &self,
        ids: &SessionIds,
        record: &Record,
        login: &Login,
    ) -> Result<Vec<SessionKey>, StoreError> {
        let user = ids.user_key(&login.user);
        let mut shard = self.shard(&user).lock();
        let places = shard.get(&user).map_or(&[][..], Vec::as_slice);
        if places.iter().any(|place| place.handle == record.handle) {
            return Ok(Vec::new());
        }
        let max = login.policy.max.max(1) as usize;
        let over = (places.len() + 1).saturating_sub(max);
        if over > 0 && login.policy.when_full == WhenFull::RefuseNew {
            let text = format!("the user has {} sessions; the limit is {max}", places.len());
            return Err(StoreError::new(StoreErrorKind::Refused, text));
        }
        let places = shard.entry(user).or_default();
        let evicted = places.drain(..over).map(|place| place.key).collect();
        places.push(Place { handle: record.handle.clone(), key: record.key });
        Ok(evicted)
    }

    /// Notes the new key of a rotated session.
    pub(super) fn repoint(&self, ids: &SessionIds, record: &Record) {
        let Some(user) = &record.user else { return };
        let user = ids.user_key(user);
        let mut shard = self.shard(&user).lock();
        let places = shard.get_mut(&user).into_iter().flatten();
        places.filter(|place| place.handle == record.handle).for_each(|place| place.key = record.key);
    }

    /// Takes the place of a session away.
    pub(super) fn remove(&self, ids: &SessionIds, record: &Record) {
        if let Some(user) = &record.user {
            self.leave(ids, user, &record.handle);
        }
    }

    /// Takes the place of a user's session away.
    pub(super) fn leave(&self, ids: &SessionIds, user: &str, handle: &str) {
        let user = ids.user_key(user);
        let mut shard = self.shard(&user).lock();
        if let Some(places) = shard.get_mut(&user) {
            places.retain(|place| &*place.handle != handle);
            if places.is_empty() {
                shard.remove(&user);
            }
        }
    }

    /// All places, those of a user in the order of the logins: the user's key, the handle, the session.
    pub(super) fn all(&self) -> Vec<(String, Arc<str>, SessionKey)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            for (user, places) in shard.lock().iter() {
                all.extend(places.iter().map(|place| (user.clone(), place.handle.clone(), place.key)));
            }
        }
        all
    }

    /// Adds a place behind the others.
    pub(super) fn put(&self, user: String, handle: Arc<str>, key: SessionKey) {
        self.shard(&user).lock().entry(user).or_default().push(Place { handle, key });
    }

    /// The keys of a user's sessions.
    pub(super) fn keys(&self, ids: &SessionIds, user: &str) -> Vec<SessionKey> {
        let user = ids.user_key(user);
        let shard = self.shard(&user).lock();
        shard.get(&user).map_or_else(Vec::new, |places| places.iter().map(|place| place.key).collect())
    }

    /// All places.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().values().map(Vec::len).sum::<usize>()).sum()
    }

    fn shard(&self, user_key: &str) -> &Mutex<HashMap<String, Vec<Place>>> {
        &self.shards[usize::from(user_key.as_bytes()[0]) % SHARDS]
    }
}
