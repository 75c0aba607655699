//! Changes of header fields.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::headers;

/// Fields to remove, to set and to add, in that order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edits {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

/// A field cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// It says where a message ends, whom it is for, or belongs to one hop.
    #[error("`{0}` is not for a rule to change: HTTP itself needs it")]
    Framing(HeaderName),
    /// No field has such a name.
    #[error("`{0}` is no name of a header field")]
    Name(String),
    /// No field has such a value.
    #[error("the value of `{0}` holds characters that no header field may have")]
    Value(HeaderName),
}

impl Edits {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes a field.
    pub fn remove(mut self, name: &str) -> Result<Self, EditError> {
        self.remove.push(checked(name)?);
        Ok(self)
    }

    /// Sets a field, in place of all that were there.
    pub fn set(mut self, name: &str, value: &str) -> Result<Self, EditError> {
        let name = checked(name)?;
        let value = HeaderValue::from_str(value).map_err(|_| EditError::Value(name.clone()))?;
        self.set.push((name, value));
        Ok(self)
    }

    /// Adds a field to those that are there.
    pub fn add(mut self, name: &str, value: &str) -> Result<Self, EditError> {
        let name = checked(name)?;
        let value = HeaderValue::from_str(value).map_err(|_| EditError::Value(name.clone()))?;
        self.add.push((name, value));
        Ok(self)
    }

    pub(super) fn apply(&self, fields: &mut HeaderMap) {
        for name in &self.remove {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            fields.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            fields.append(name.clone(), value.clone());
        }
    }
}

fn checked(name: &str) -> Result<HeaderName, EditError> {
    let name: HeaderName = name.parse().map_err(|_| EditError::Name(name.to_owned()))?;
    if headers::is_hop_by_hop(&name) || headers::frames(&name) {
        Err(EditError::Framing(name))
    } else {
        Ok(name)
    }
}
