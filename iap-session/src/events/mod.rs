//! What happens to sessions, told once in a cluster: who acts, tells.
//!
//! The layer tells of what a request does, [`Sessions`](crate::Sessions) of what an operator does, a store of what it does
//! by itself. They put it into a bounded queue and go on: telling never holds up a request, and what finds no room is
//! counted (`iap_session_events_dropped_total`). One task takes it from there to an [`EventLog`] that all gateways share,
//! in batches that are kept once however often they are sent, and to those who listen.
//!
//! Nobody acts when a session expires. So each session that begins, or gets another id, is noted with its deadline in an
//! index; touching it changes nothing there. Every gateway looks from time to time at what is due: a session that lives is
//! put back with the deadline it has now, one that is gone is told as expired. The one step that takes it out of the index
//! puts the event into the log, so that of several who look only one tells.
//!
//! | what goes wrong | what becomes of events |
//! |---|---|
//! | a gateway is killed | those in its queue are lost, usually the last few milliseconds; what it was looking at is looked at by others half a minute later |
//! | the log is away | up to [`QUEUE`](EventsConfig::queue) wait for half a minute; beyond, they are dropped and counted |
//! | a write to a session ends without an answer | nothing is told of it, whatever became of it |
//! | the event of a new id or of a login was lost | its session's end by time is not told, or under its former key |
//!
//! Events name sessions by their keys, never by ids, and hold no attributes.

mod listen;
mod log;
mod run;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use metrics::{Counter, counter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::id::SessionKey;
use crate::record::Record;
use crate::write::Reason;

pub use listen::{Entry, EventPage, Events};
pub use log::{Batch, Due, EventLog, Swept};

/// What has happened to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, in Unix milliseconds by the clock of whoever tells; of an end by time, when it was seen.
    pub at_ms: u64,
    /// What.
    pub kind: EventKind,
    /// To which session. Absent for a login that was refused before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub key: Option<SessionKey>,
    /// Whose it is, or was; whose login it was.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    #[schemars(with = "Option<String>")]
    pub user: Option<Arc<str>>,
    /// The key that it had before, where it has got another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub previous: Option<SessionKey>,
    /// By whom it was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Reason>,
    /// Why an operator has ended it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    #[schemars(with = "Option<String>")]
    pub reason: Option<Arc<str>>,
    /// The gateway that tells.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    #[schemars(with = "Option<String>")]
    pub node: Option<Arc<str>>,
}

/// What can happen to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SessionEventKind")]
pub enum EventKind {
    /// It was created.
    Created,
    /// A user has logged in. It has another key, unless it was created with the login.
    Login,
    /// A login was refused: the user has as many sessions as allowed.
    LoginRefused,
    /// The user has logged out; the session goes on.
    Logout,
    /// It has another key.
    Rotated,
    /// It was dropped for want of memory.
    Evicted,
    /// Its time is over.
    Expired,
    /// It was ended before its time: see [`Event::by`].
    Revoked,
}

impl EventKind {
    /// The stable name, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Login => "login",
            Self::LoginRefused => "login_refused",
            Self::Logout => "logout",
            Self::Rotated => "rotated",
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether the key means no session any more.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Evicted | Self::Expired | Self::Revoked)
    }
}

/// Where an event stands in the log: later ones are greater. As text `1700000000000-0`, as Redis writes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Unix milliseconds.
    pub ms: u64,
    /// Counts those of one millisecond.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl FromStr for EventId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('-').and_then(|(ms, seq)| Some((ms.parse().ok()?, seq.parse().ok()?)));
        parts.map(|(ms, seq)| Self { ms, seq }).ok_or("not the id of an event, like `1700000000000-0`")
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The bounds of [`Events`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsConfig {
    /// Events that are kept, about. Default 10,000.
    pub keep: usize,
    /// Events that wait to be kept. Default 4,096.
    pub queue: usize,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { keep: 10_000, queue: 4_096 }
    }
}

/// An event, and what it means for the index of deadlines.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) event: Event,
    /// A session that may expire from now on, and when at the latest.
    pub(crate) watch: Option<(Due, u64)>,
    /// One that does not any more, under this key and of this user.
    pub(crate) forget: Option<(SessionKey, Option<Arc<str>>)>,
}

enum Item {
    Told(Box<Told>),
    Flush(oneshot::Sender<()>),
}

/// Tells of events. Cheap to clone.
#[derive(Clone)]
pub struct Emitter {
    queue: mpsc::Sender<Item>,
    node: Option<Arc<str>>,
    dropped: Counter,
}

/// What was told and not yet kept: for [`Events::start`].
pub struct Queue {
    items: mpsc::Receiver<Item>,
    emitter: Emitter,
    config: EventsConfig,
}

/// The two ends of a queue. `node` is the gateway that tells.
pub fn channel(config: EventsConfig, node: Option<Arc<str>>) -> (Emitter, Queue) {
    crate::metrics::describe_metrics();
    let (queue, items) = mpsc::channel(config.queue.max(1));
    let emitter = Emitter { queue, node, dropped: counter!("iap_session_events_dropped_total") };
    (emitter.clone(), Queue { items, emitter, config })
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Emitter")
    }
}

impl Emitter {
    pub(crate) fn created(&self, record: &Record) {
        self.begin(EventKind::Created, record, None);
    }

    /// `previous` is the session as it was before, where it has got another key.
    pub(crate) fn login(&self, record: &Record, previous: Option<&Record>) {
        self.begin(EventKind::Login, record, previous);
    }

    pub(crate) fn rotated(&self, record: &Record, previous: &Record) {
        self.begin(EventKind::Rotated, record, Some(previous));
    }

    /// `before` is the session with the user who has left.
    pub(crate) fn logout(&self, before: &Record) {
        let Some(user) = &before.user else { return };
        let event = self.event(EventKind::Logout, Some(before.key), Some(user.clone()));
        let due = Due { key: before.key, user: None, at_ms: before.deadline_ms() };
        let forget = Some((before.key, before.user.clone()));
        self.tell(Told { event, watch: Some((due, before.absolute_ms)), forget });
    }

    pub(crate) fn refused(&self, key: Option<SessionKey>, user: &str) {
        let event = self.event(EventKind::LoginRefused, key, Some(user.into()));
        self.tell(Told { event, watch: None, forget: None });
    }

    pub(crate) fn revoked(
        &self,
        key: SessionKey,
        user: Option<Arc<str>>,
        by: Reason,
        reason: Option<Arc<str>>,
    ) {
        let event = self.event(EventKind::Revoked, Some(key), user.clone());
        self.tell(Told {
            event: Event { by: Some(by), reason, ..event },
            watch: None,
            forget: Some((key, user)),
        });
    }

    /// The end of a session that its store has seen by itself.
    pub(crate) fn ended(&self, kind: EventKind, record: &Record) {
        let event = self.event(kind, Some(record.key), record.user.clone());
        self.tell(Told { event, watch: None, forget: Some((record.key, record.user.clone())) });
    }

    fn begin(&self, kind: EventKind, record: &Record, previous: Option<&Record>) {
        let event = self.event(kind, Some(record.key), record.user.clone());
        let due = Due { key: record.key, user: record.user.clone(), at_ms: record.deadline_ms() };
        self.tell(Told {
            event: Event { previous: previous.map(|record| record.key), ..event },
            watch: Some((due, record.absolute_ms)),
            forget: previous.map(|record| (record.key, record.user.clone())),
        });
    }

    fn event(&self, kind: EventKind, key: Option<SessionKey>, user: Option<Arc<str>>) -> Event {
        let at_ms = iap_core::Clock::now_ms(&iap_core::SystemClock);
        Event { at_ms, kind, key, user, previous: None, by: None, reason: None, node: self.node.clone() }
    }

    /// Never waits.
    fn tell(&self, told: Told) {
        if self.queue.try_send(Item::Told(Box::new(told))).is_err() {
            self.dropped.increment(1);
        }
    }
}

/// Shared text that may be absent.
mod text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
        text.as_deref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<str>>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Arc::from))
    }
}

#[cfg(test)]
mod tests;
