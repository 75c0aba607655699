//! Where gateways keep their events together.

use std::sync::Arc;

use crate::error::StoreError;
use crate::id::{OpId, SessionKey};
use crate::store::BoxFuture;

use super::{Event, EventId, Told};

/// A session, and when it is to be looked at whether it has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The session.
    pub key: SessionKey,
    /// Who is logged in.
    pub user: Option<Arc<str>>,
    /// Its deadline, Unix milliseconds on the store's clock.
    pub at_ms: u64,
}

/// Events that are kept in one step.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Names the batch, so that a repetition of it has no second effect.
    pub(crate) op: OpId,
    pub(crate) told: Vec<Told>,
}

/// A log of events and an index of deadlines that all gateways share. `RedisStore` has one.
pub trait EventLog: Send + Sync + 'static {
    /// Keeps a batch, once however often it is repeated, and about `keep` events in all.
    fn append<'a>(&'a self, batch: &'a Batch, keep: usize) -> BoxFuture<'a, Result<(), StoreError>>;

    /// At most `limit` events after one, oldest first.
    fn events_after(
        &self,
        after: EventId,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(EventId, Event)>, StoreError>>;

    /// The last events, oldest first.
    fn last_events(&self, limit: usize) -> BoxFuture<'_, Result<Vec<(EventId, Event)>, StoreError>>;

    /// Looks at some of what is due: tells as expired what is gone, puts the rest back. `expired` makes the event. Answers
    /// how many were looked at.
    fn sweep<'a>(
        &'a self,
        keep: usize,
        expired: &'a (dyn Fn(&Due) -> Event + Sync),
    ) -> BoxFuture<'a, Result<Swept, StoreError>>;
}

/// What a sweep has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that were due.
    pub looked_at: usize,
    /// Those that were told as expired.
    pub expired: usize,
}
