//! Changes that do not wait for the response: decided by the store, at once, between requests that run at the
//! same time.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{OpId, SessionKey};
use crate::record::{Loaded, Op, Record};
use crate::write::Commit;

use super::state::Base;
use super::{Session, unavailable};

/// How often an increment is tried while other requests change the attribute.
const ATTEMPTS: usize = 32;

/// Where an attribute is decided.
enum Place {
    /// The session is new, or this request has changed the attribute: nobody else knows.
    Here,
    Store(SessionKey),
}

impl Session {
    /// Sets or removes an attribute if it has the expected value (`None`: is absent), and says whether it did.
    ///
    /// This is written at once, not with the response, and is not undone when the request fails. An attribute
    /// that this request has changed already is compared with that change; it, and a session that does not
    /// exist yet, is written with the response as always.
    ///
    /// # Errors
    ///
    /// As [`Session::insert`]; errors of the load and of [`SessionStore::commit`](crate::SessionStore::commit).
    pub async fn compare_and_set(
        &self,
        name: &str,
        expected: Option<Value>,
        value: Option<impl Serialize>,
    ) -> Result<bool, StoreError> {
        let value = value.map(serde_json::to_value).transpose();
        let value =
            value.map_err(|_| StoreError::new(StoreErrorKind::Invalid, "the value has no JSON form"))?;
        let op = match value {
            Some(value) => Op::Set(name.to_owned(), value),
            None => Op::Remove(name.to_owned()),
        };
        self.update(vec![(name.to_owned(), expected)], vec![op]).await
    }

    /// Adds to a whole number and returns the sum; an absent attribute counts as 0. No two requests get the same
    /// sum. It is written at once, as [`Session::compare_and_set`] is.
    ///
    /// # Errors
    ///
    /// `Invalid` if the attribute is not a whole number, or the sum is beyond 64 bits; `Conflict` if
    /// others change it all the time; as [`Session::compare_and_set`].
    pub async fn increment(&self, name: &str, by: i64) -> Result<i64, StoreError> {
        for _ in 0..ATTEMPTS {
            let before = self.value(name).await?;
            let number = before.as_ref().map_or(Some(0), Value::as_i64);
            let sum = number.and_then(|number| number.checked_add(by)).ok_or_else(|| {
                let text =
                    format!("the attribute `{name}` is not a whole number, or the sum has over 64 bits");
                StoreError::new(StoreErrorKind::Invalid, text)
            })?;
            if self.compare_and_set(name, before, Some(sum)).await? {
                return Ok(sum);
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict, "the attribute is changed by too many requests"))
    }

    /// Applies all changes at once if all conditions hold, and says whether they did. After a `false` the
    /// session is as the store has it now.
    pub(crate) async fn update(
        &self,
        conditions: Vec<(String, Option<Value>)>,
        ops: Vec<Op>,
    ) -> Result<bool, StoreError> {
        self.load().await?;
        let names = conditions.iter().map(|(name, _)| name).chain(ops.iter().map(Op::name));
        let Place::Store(key) = self.place(names)? else {
            for (name, expected) in &conditions {
                if self.value(name).await? != *expected {
                    return Ok(false);
                }
            }
            return self.change(ops).map(|()| true);
        };
        self.check_ops(&ops)?;
        let tests = conditions.into_iter().map(|(name, value)| Op::Test(name, value));
        let commit = Commit {
            op: OpId::random(),
            ops: tests.chain(ops.iter().cloned()).collect(),
            expected: None,
            logout: false,
        };
        let write = self.inner.shared.store.commit(key, commit);
        // That another request was first is an answer, not a failure.
        let written = self.observed(async {
            match write.await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(None),
                other => other.map(Some),
            }
        });
        match written.await? {
            Some(version) => {
                self.rebase(|record| {
                    record.version = version;
                    for op in ops {
                        match op {
                            Op::Set(name, value) => record.attributes.insert(name, value),
                            Op::Remove(name) => record.attributes.remove(&name),
                            Op::Test(..) => None,
                        };
                    }
                });
                Ok(true)
            }
            None => {
                self.reload(key).await?;
                Ok(false)
            }
        }
    }

    fn place<'a>(&self, mut names: impl Iterator<Item = &'a String>) -> Result<Place, StoreError> {
        let state = self.open()?;
        if matches!(state.base, Base::Degraded) {
            return Err(unavailable());
        }
        let changed = names.any(|name| state.changes.attributes.contains_key(name));
        match state.record() {
            Some(record) if !changed => Ok(Place::Store(record.key)),
            _ => Ok(Place::Here),
        }
    }

    /// Reads what others have written meanwhile.
    async fn reload(&self, key: SessionKey) -> Result<(), StoreError> {
        match self.inner.shared.store.load(key, None).await? {
            Some(Loaded::Found { record, .. }) => {
                self.rebase(|base| *base = Arc::unwrap_or_clone(record));
                Ok(())
            }
            _ => Err(StoreError::gone()),
        }
    }

    fn rebase(&self, change: impl FnOnce(&mut Record)) {
        if let Base::Found { record, .. } = &mut self.inner.state.lock().base {
            change(Arc::make_mut(record));
        }
    }
}
