//! What sources in Redis have in common.

use std::future::Future;

use crate::error::{StoreError, StoreErrorKind};
use crate::redis::reader::{Reader, is_another_kind};

use super::{Candidate, Page, Unreadable};

/// The longest prefix of keys.
const MAX_PREFIX: usize = 256;

pub(super) fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    if prefix.len() > MAX_PREFIX || prefix.chars().any(char::is_control) {
        let text = "a prefix of keys has at most 256 bytes and no control characters";
        return Err(StoreError::new(StoreErrorKind::Invalid, text));
    }
    Ok(())
}

/// A page of the sessions under `prefix`. `id` tells the id from what stands after it, `find` reads one.
pub(super) async fn page<'a, F>(
    reader: &'a Reader,
    prefix: &str,
    cursor: Option<String>,
    id: impl Fn(&str) -> Option<String>,
    find: impl Fn(String) -> F,
) -> Result<Page, StoreError>
where
    F: Future<Output = Result<Option<Candidate>, StoreError>> + 'a,
{
    let (keys, next) = reader.keys(prefix, cursor.as_deref()).await?;
    let mut sessions = Vec::new();
    for key in keys {
        if let Some(id) = key.strip_prefix(prefix).and_then(&id) {
            sessions.extend(find(id).await?);
        }
    }
    Ok(Page { sessions, next })
}

/// What is stored under a key, or that it is something else.
pub(super) fn of_kind<T>(read: Result<T, StoreError>) -> Result<Result<T, Unreadable>, StoreError> {
    match read {
        Ok(found) => Ok(Ok(found)),
        Err(error) if is_another_kind(&error) => Ok(Err(Unreadable("another kind of value"))),
        Err(error) => Err(error),
    }
}
