//! The arguments of scripts.

use fred::types::Value;

/// What a script is given.
#[derive(Clone)]
pub(super) struct Args {
    values: Vec<Value>,
    deadline: Option<usize>,
}

impl From<Vec<Value>> for Args {
    fn from(values: Vec<Value>) -> Self {
        Self { values, deadline: None }
    }
}

impl Args {
    /// The arguments of a write that must not take effect after it was given up, since something newer may have been
    /// written by then: a client may send what it has queued long after nobody waits for it any more. At the place
    /// `deadline` the script is told until when, in Unix milliseconds on the server's clock; after that it answers
    /// `late`, and what its clock shows.
    pub(super) fn in_time(values: Vec<Value>, deadline: usize) -> Self {
        Self { values, deadline: Some(deadline) }
    }

    /// The arguments of an attempt that is waited for until then.
    pub(super) fn until(&mut self, deadline_ms: u64) -> &[Value] {
        if let Some(value) = self.deadline.and_then(|at| self.values.get_mut(at)) {
            *value = deadline_ms.to_string().into();
        }
        &self.values
    }
}
