//! What sources in Redis have in common.

use std::future::{Future, poll_fn};
use std::task::Poll;

use crate::error::{StoreError, StoreErrorKind};
use crate::redis::reader::{Reader, is_another_kind};

use super::{Candidate, Page, Unreadable};

/// How many sessions are read at once.
const AT_ONCE: usize = 16;
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
    let mut ids = keys.iter().filter_map(|key| key.strip_prefix(prefix).and_then(&id));
    let mut sessions = Vec::new();
    loop {
        let batch: Vec<_> = ids.by_ref().take(AT_ONCE).map(&find).collect();
        if batch.is_empty() {
            return Ok(Page { sessions, next });
        }
        for found in all(batch).await {
            sessions.extend(found?);
        }
    }
}

/// Awaits some futures at once; few, since each is polled when any of them is ready.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|cx| {
        let mut pending = false;
        for (future, done) in running.iter_mut().filter(|(_, done)| done.is_none()) {
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => *done = Some(output),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, done)| done).collect()
}

/// What is stored under a key, or that it is something else.
pub(super) fn of_kind<T>(read: Result<T, StoreError>) -> Result<Result<T, Unreadable>, StoreError> {
    match read {
        Ok(found) => Ok(Ok(found)),
        Err(error) if is_another_kind(&error) => Ok(Err(Unreadable("another kind of value"))),
        Err(error) => Err(error),
    }
}
