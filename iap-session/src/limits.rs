//! What a session may hold, checked before anything is written.

use std::io;

use serde_json::Value;

use crate::error::{StoreError, StoreErrorKind};
use crate::record::Attributes;

/// What a session may hold. Exceeding a limit is an error of the write, which changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one attribute: its name and its JSON form.
    pub attribute_bytes: usize,
    /// Bytes of all attributes of a session.
    pub session_bytes: usize,
    /// The number of attributes of a session.
    pub attributes: usize,
}

/// 64 KiB an attribute, 256 KiB and 256 attributes a session.
impl Default for Limits {
    fn default() -> Self {
        Self { attribute_bytes: 64 << 10, session_bytes: 256 << 10, attributes: 256 }
    }
}

impl Limits {
    /// The longest attribute name, in bytes.
    pub const NAME_BYTES: usize = 128;
    /// The longest user name, in bytes.
    pub const USER_BYTES: usize = 256;

    /// Checks one attribute.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] for a name that is empty, too long or has control characters;
    /// [`StoreErrorKind::TooLarge`].
    pub fn check_attribute(&self, name: &str, value: &Value) -> Result<usize, StoreError> {
        check_text(name, Self::NAME_BYTES, "an attribute name")?;
        let bytes = attribute_bytes(name, value);
        if bytes > self.attribute_bytes {
            let text =
                format!("the attribute `{name}` has {bytes} bytes; the limit is {}", self.attribute_bytes);
            return Err(StoreError::new(StoreErrorKind::TooLarge, text));
        }
        Ok(bytes)
    }

    /// Checks all attributes of a session.
    ///
    /// # Errors
    ///
    /// As [`Limits::check_attribute`].
    pub fn check(&self, attributes: &Attributes) -> Result<usize, StoreError> {
        let mut total = 0;
        for (name, value) in attributes {
            total += self.check_attribute(name, value)?;
        }
        self.check_sums(attributes.len(), total)?;
        Ok(total)
    }

    /// Checks the number of a session's attributes, and the bytes of all of them.
    pub(crate) fn check_sums(&self, attributes: usize, bytes: usize) -> Result<(), StoreError> {
        if attributes > self.attributes {
            let text = format!("{attributes} attributes; the limit is {}", self.attributes);
            return Err(StoreError::new(StoreErrorKind::TooLarge, text));
        }
        if bytes > self.session_bytes {
            let text = format!("the session has {bytes} bytes; the limit is {}", self.session_bytes);
            return Err(StoreError::new(StoreErrorKind::TooLarge, text));
        }
        Ok(())
    }
}

/// Checks a user's name: 1 to [`Limits::USER_BYTES`] bytes without control characters.
///
/// # Errors
///
/// [`StoreErrorKind::Invalid`].
pub fn check_user(user: &str) -> Result<(), StoreError> {
    check_text(user, Limits::USER_BYTES, "a user name")
}

/// The size of an attribute: its name and its JSON form.
pub fn attribute_bytes(name: &str, value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(name.len());
    // A JSON value has string keys only and the writer never fails.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

pub(crate) fn check_text(text: &str, max: usize, what: &str) -> Result<(), StoreError> {
    if text.is_empty() || text.len() > max || text.chars().any(char::is_control) {
        let text = format!("{what} has 1 to {max} bytes and no control characters");
        return Err(StoreError::new(StoreErrorKind::Invalid, text));
    }
    Ok(())
}
