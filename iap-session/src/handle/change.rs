//! Changes that wait for the commit.

use serde_json::Value;

use crate::error::{StoreError, StoreErrorKind};
use crate::limits::attribute_bytes;
use crate::record::Op;

use super::Session;
use super::state::{Base, Changes, State};

impl Session {
    /// Applies all changes or none.
    pub(crate) fn change(&self, ops: Vec<Op>) -> Result<(), StoreError> {
        self.check_ops(&ops)?;
        let limits = self.inner.shared.store.limits();
        let size = |name: &str, value: &Option<Value>| {
            value.as_ref().map_or(name.len(), |value| attribute_bytes(name, value))
        };
        let changed = |op| match op {
            Op::Set(name, value) => Some((name, Some(value))),
            Op::Remove(name) => Some((name, None)),
            Op::Test(..) => None,
        };
        let changed: Vec<_> = ops.into_iter().filter_map(changed).collect();
        let mut state = self.open()?;
        let changes = &mut state.changes;
        // What waits for the commit is bounded like the session, with room for removals.
        let count = changes.attributes.len() + changed.len();
        let bytes: usize = changed.iter().map(|(name, value)| size(name, value)).sum();
        if count > 2 * limits.attributes || changes.bytes + bytes > 2 * limits.session_bytes {
            return Err(StoreError::new(StoreErrorKind::TooLarge, "too many changes in one request"));
        }
        for (name, value) in changed {
            changes.bytes += size(&name, &value);
            if let Some(before) = changes.attributes.insert(name.clone(), value) {
                changes.bytes -= size(&name, &before);
            }
        }
        Ok(())
    }

    pub(super) fn check_ops(&self, ops: &[Op]) -> Result<(), StoreError> {
        let limits = self.inner.shared.store.limits();
        ops.iter().try_for_each(|op| {
            let value = if let Op::Set(_, value) = op { value } else { &Value::Null };
            limits.check_attribute(op.name(), value).map(|_| ())
        })
    }

    /// From now on nothing can be changed.
    pub(crate) fn seal(&self) {
        self.inner.state.lock().sealed = true;
    }

    /// Seals the handle if nobody has asked it for anything, and says so: there is nothing to commit then.
    pub(crate) fn seal_unused(&self) -> bool {
        let mut state = self.inner.state.lock();
        let unused = matches!(state.base, Base::NotLoaded) && !state.changes.any();
        state.sealed |= unused;
        unused
    }

    pub(super) fn with_changes(&self, change: impl FnOnce(&mut Changes)) -> Result<(), StoreError> {
        change(&mut self.open()?.changes);
        Ok(())
    }

    pub(super) fn open(&self) -> Result<parking_lot::MutexGuard<'_, State>, StoreError> {
        let state = self.inner.state.lock();
        if state.sealed {
            let text = "the response has been committed; the session cannot be changed any more";
            return Err(StoreError::new(StoreErrorKind::Sealed, text));
        }
        Ok(state)
    }
}
