//! Reading events, and waiting for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

use crate::error::StoreError;

use super::{Emitter, Event, EventId, EventLog, Item, Queue, run};

/// What happens to sessions, for those who listen. Cheap to clone; when the last clone goes, listening ends.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

struct Inner {
    emitter: Emitter,
    shared: Arc<Shared>,
    log: Option<Arc<dyn EventLog>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What the tasks have in common with those who listen.
pub(super) struct Shared {
    recent: Mutex<Recent>,
    latest: watch::Sender<EventId>,
    /// Somebody has put something into the log.
    pub(super) appended: Notify,
}

/// The last events, oldest first.
struct Recent {
    events: VecDeque<(EventId, Arc<Event>)>,
    most: usize,
    /// All after this one are here.
    floor: EventId,
}

/// Events, oldest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "SessionEventPage")]
pub struct EventPage {
    /// The events.
    pub events: Vec<Entry>,
    /// Where to go on: the last event that was looked at.
    #[schemars(with = "String")]
    pub next: EventId,
    /// Whether all since the event that was asked after is known. `false`: some may have been dropped, as the oldest are.
    pub complete: bool,
}

/// An event and its place.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "SessionEvent")]
pub struct Entry {
    /// Its place.
    #[schemars(with = "String")]
    pub id: EventId,
    /// The event.
    #[serde(flatten, serialize_with = "plain")]
    #[schemars(with = "Event")]
    pub event: Arc<Event>,
}

fn plain<S: serde::Serializer>(event: &Arc<Event>, to: S) -> Result<S::Ok, S::Error> {
    Event::serialize(event, to)
}

/// Events of a shared log that are at hand in the process.
const AT_HAND: usize = 2_000;
/// The most events of one page.
const MAX_PAGE: usize = 1_000;

impl Events {
    /// Takes up what is told. With a `log`, events are those of all gateways that share it; without, those of this process,
    /// and they end with it.
    pub fn start(queue: Queue, log: Option<Arc<dyn EventLog>>, runtime: &Handle) -> Self {
        let most = if log.is_some() { AT_HAND } else { queue.config.keep.max(1) };
        // Until it is known what the log has, nothing is at hand.
        let unknown = EventId { ms: u64::MAX, seq: u64::MAX };
        let floor = if log.is_some() { unknown } else { EventId::default() };
        let recent = Recent { events: VecDeque::new(), most, floor };
        let shared = Arc::new(Shared {
            recent: Mutex::new(recent),
            latest: watch::Sender::new(EventId::default()),
            appended: Notify::new(),
        });
        let emitter = queue.emitter.clone();
        let tasks = match &log {
            None => vec![runtime.spawn(run::keep_here(queue.items, shared.clone()))],
            Some(log) => {
                let keep = queue.config.keep;
                vec![
                    runtime.spawn(run::append(
                        queue.items,
                        log.clone(),
                        keep,
                        emitter.dropped.clone(),
                        shared.clone(),
                    )),
                    runtime.spawn(run::follow(log.clone(), shared.clone())),
                    runtime.spawn(run::sweep(log.clone(), keep, emitter.clone())),
                ]
            }
        };
        Self { inner: Arc::new(Inner { emitter, shared, log, tasks }) }
    }

    /// What tells of events.
    pub fn emitter(&self) -> &Emitter {
        &self.inner.emitter
    }

    /// Events after one; the oldest that are kept after `EventId::default()`. What is older than those is not missed:
    /// nobody knows of it any more.
    ///
    /// # Errors
    ///
    /// Those of the log, where events have to be asked for.
    pub async fn read(&self, after: EventId, limit: usize) -> Result<EventPage, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        if let Some(page) = self.inner.shared.read(after, limit, self.inner.log.is_none()) {
            return Ok(page);
        }
        let Some(log) = &self.inner.log else {
            return Ok(EventPage { events: Vec::new(), next: after, complete: true });
        };
        // The one before is still there, or nobody asks for it.
        let oldest = match after == EventId::default() {
            true => Some(after),
            false => log.events_after(EventId::default(), 1).await?.first().map(|(id, _)| *id),
        };
        let complete = oldest.is_some_and(|oldest| oldest <= after);
        let events = log.events_after(after, limit).await?;
        let next = events.last().map_or(after, |(id, _)| *id);
        let events = events.into_iter().map(|(id, event)| Entry { id, event: Arc::new(event) });
        Ok(EventPage { events: events.collect(), next, complete })
    }

    /// The last events, oldest first.
    ///
    /// # Errors
    ///
    /// Those of the log.
    pub async fn last(&self, limit: usize) -> Result<EventPage, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let Some(log) = &self.inner.log else { return Ok(self.inner.shared.last(limit)) };
        let events = log.last_events(limit).await?;
        let next = events.last().map_or_else(EventId::default, |(id, _)| *id);
        let events = events.into_iter().map(|(id, event)| Entry { id, event: Arc::new(event) });
        Ok(EventPage { events: events.collect(), next, complete: true })
    }

    /// The last event that is known here.
    pub fn latest(&self) -> EventId {
        *self.inner.shared.latest.borrow()
    }

    /// Returns when there is an event after this one.
    pub async fn wait_after(&self, id: EventId) {
        let mut latest = self.inner.shared.latest.subscribe();
        // The sender lives as long as this does.
        let _ = latest.wait_for(|latest| *latest > id).await;
    }

    /// Waits until what was told so far is kept, for a while.
    pub async fn flush(&self, at_most: Duration) {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            if self.inner.emitter.queue.send(Item::Flush(done)).await.is_ok() {
                let _ = is_done.await;
            }
        };
        let _ = tokio::time::timeout(at_most, flushed).await;
    }
}

impl Shared {
    /// Adds events that follow those at hand.
    pub(super) fn add(&self, events: impl IntoIterator<Item = (EventId, Event)>) {
        let mut recent = self.recent.lock();
        let mut last = None;
        for (id, event) in events {
            recent.events.push_back((id, Arc::new(event)));
            last = Some(id);
            if recent.events.len() > recent.most
                && let Some((dropped, _)) = recent.events.pop_front()
            {
                recent.floor = dropped;
            }
        }
        drop(recent);
        if let Some(id) = last {
            self.latest.send_replace(id);
        }
    }

    /// Begins after an event that others have kept before.
    pub(super) fn begin(&self, id: EventId) {
        self.recent.lock().floor = id;
        self.latest.send_replace(id);
    }

    pub(super) fn latest(&self) -> EventId {
        *self.latest.borrow()
    }

    fn last(&self, limit: usize) -> EventPage {
        let recent = self.recent.lock();
        let start = recent.events.len().saturating_sub(limit);
        let events = recent.events.range(start..);
        let events = events.map(|(id, event)| Entry { id: *id, event: event.clone() }).collect();
        EventPage {
            events,
            next: recent.events.back().map_or_else(EventId::default, |(id, _)| *id),
            complete: true,
        }
    }

    /// `None` where not all that is asked for is at hand, unless there is nothing else.
    fn read(&self, after: EventId, limit: usize, all: bool) -> Option<EventPage> {
        let recent = self.recent.lock();
        if after < recent.floor && !all {
            return None;
        }
        let start = recent.events.partition_point(|(id, _)| *id <= after);
        let events = recent.events.range(start..).take(limit);
        let events: Vec<Entry> = events.map(|(id, event)| Entry { id: *id, event: event.clone() }).collect();
        let complete = after >= recent.floor || after == EventId::default();
        Some(EventPage { next: events.last().map_or(after, |entry| entry.id), events, complete })
    }
}
