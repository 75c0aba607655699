//! Telling people: webhooks, chats that speak Slack's format, e-mail.
//!
//! Each channel has a queue and a task of its own, so that one that is away holds up no other. A message that cannot
//! be sent is tried again with growing pauses for up to an hour; what a channel refuses, what is too old and what does
//! not fit the queue is dropped, counted and told in [`Outbox::status`]. A message may arrive twice where an answer was
//! lost, so it carries an id.

mod http;
mod mail;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iap_core::upstream::UpstreamTls;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::alerts::Severity;

pub use http::sign;

/// Messages that wait for one channel.
const QUEUE: usize = 256;
/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After this a message is news no more.
const GIVE_UP: Duration = Duration::from_secs(3600);

/// What is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Tells repetitions apart from news.
    pub id: String,
    /// How grave it is.
    pub severity: Severity,
    /// A line.
    pub title: String,
    /// What there is to say.
    pub text: String,
    /// The same for machines; webhooks get it.
    pub details: serde_json::Value,
}

/// Where messages go.
#[derive(Clone)]
pub enum ChannelSettings {
    /// Messages as JSON by POST.
    Webhook {
        /// `http://` or `https://`; never shown, since it may hold a secret.
        url: String,
        /// Signs each message, see [`sign`].
        secret: Option<String>,
        /// Whom to trust; the authorities of the system when absent.
        tls: Option<UpstreamTls>,
    },
    /// `{"text": ...}` by POST, as Slack, Mattermost, Rocket.Chat and others take it.
    Slack {
        /// As of a webhook.
        url: String,
        /// As of a webhook.
        tls: Option<UpstreamTls>,
    },
    /// E-mail by SMTP.
    Mail(MailSettings),
}

/// How e-mail is sent.
#[derive(Clone)]
pub struct MailSettings {
    /// The server's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub security: MailSecurity,
    /// User and password.
    pub login: Option<(String, String)>,
    /// The sender: `alerts@example.com`, or `Alerts <alerts@example.com>`.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
}

/// Whether the way to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MailSecurity {
    /// From the first byte: port 465.
    Tls,
    /// After a greeting in the clear, and never without: port 587.
    #[default]
    StartTls,
    /// Never: for a server on the same machine.
    None,
}

/// Why a channel cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelError(pub(crate) String);

/// A failed attempt.
pub(crate) struct Failure {
    why: String,
    /// Whether it may be better later, and from when on if that was said.
    again: Option<Option<Duration>>,
}

impl Failure {
    fn later(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: Some(None) }
    }

    fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: None }
    }
}

enum Way {
    Http(http::Post),
    Mail(mail::Mail),
}

impl Way {
    fn new(name: &str, settings: ChannelSettings) -> Result<Self, ChannelError> {
        Ok(match settings {
            ChannelSettings::Webhook { url, secret, tls } => {
                Self::Http(http::Post::webhook(name, &url, secret, tls)?)
            }
            ChannelSettings::Slack { url, tls } => Self::Http(http::Post::slack(name, &url, tls)?),
            ChannelSettings::Mail(settings) => Self::Mail(mail::Mail::new(&settings)?),
        })
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        const LIMIT: Duration = Duration::from_secs(30);
        let attempt = async {
            match self {
                Self::Http(post) => post.send(message).await,
                Self::Mail(mail) => mail.send(message).await,
            }
        };
        timeout(LIMIT, attempt).await.unwrap_or_else(|_| Err(Failure::later("no answer within 30 seconds")))
    }
}

/// What became of a channel's messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChannelStatus {
    /// Sent.
    pub sent: u64,
    /// Refused by the channel, or not sent for an hour.
    pub failed: u64,
    /// Not taken, since too many were waiting.
    pub dropped: u64,
    /// Waiting, the one that is tried included.
    pub waiting: usize,
    /// What the last attempt met, if it failed.
    pub last_error: Option<String>,
}

struct Lane {
    way: Arc<Way>,
    /// `None` once it takes nothing any more.
    queue: Mutex<Option<mpsc::Sender<Arc<Message>>>>,
    status: Arc<Mutex<ChannelStatus>>,
    task: JoinHandle<()>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The channels with what waits for them.
pub struct Outbox {
    lanes: BTreeMap<String, Lane>,
}

impl Outbox {
    /// Starts a task for each channel.
    ///
    /// # Errors
    /// Settings that cannot work, with the channel's name.
    pub fn start(
        channels: BTreeMap<String, ChannelSettings>,
        runtime: &Handle,
    ) -> Result<Self, ChannelError> {
        let lane = |(name, settings): (String, ChannelSettings)| {
            let way = Way::new(&name, settings).map_err(|error| ChannelError(format!("{name}: {error}")))?;
            let way = Arc::new(way);
            let (queue, messages) = mpsc::channel(QUEUE);
            let status = Arc::new(Mutex::new(ChannelStatus::default()));
            let task = runtime.spawn(deliver(name.clone(), way.clone(), messages, status.clone()));
            Ok((name, Lane { way, queue: Mutex::new(Some(queue)), status, task }))
        };
        Ok(Self { lanes: channels.into_iter().map(lane).collect::<Result<_, _>>()? })
    }

    /// The names of the channels.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lanes.keys().map(String::as_str)
    }

    /// Queues a message for some channels, at once.
    pub fn send(&self, channels: &[String], message: Message) {
        let message = Arc::new(message);
        for lane in channels.iter().filter_map(|name| self.lanes.get(name)) {
            let mut status = lane.status.lock();
            match lane.queue.lock().as_ref().map(|queue| queue.try_send(message.clone())) {
                Some(Ok(())) => status.waiting += 1,
                _ => status.dropped += 1,
            }
        }
    }

    /// Sends one message past the queue, once: to see whether a channel works. `None` if there is no such channel.
    pub async fn try_now(&self, channel: &str, message: &Message) -> Option<Result<(), String>> {
        let way = self.lanes.get(channel)?.way.clone();
        Some(way.send(message).await.map_err(|failure| failure.why))
    }

    /// Takes no more messages, and waits a while for those that are queued to go out.
    pub async fn finish(&self, limit: Duration) {
        for lane in self.lanes.values() {
            lane.queue.lock().take();
        }
        let all = async {
            while self.lanes.values().any(|lane| !lane.task.is_finished()) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let _ = timeout(limit, all).await;
    }

    /// What became of the messages of each channel.
    pub fn status(&self) -> BTreeMap<String, ChannelStatus> {
        self.lanes.iter().map(|(name, lane)| (name.clone(), lane.status.lock().clone())).collect()
    }
}

async fn deliver(
    name: String,
    way: Arc<Way>,
    mut messages: mpsc::Receiver<Arc<Message>>,
    status: Arc<Mutex<ChannelStatus>>,
) {
    while let Some(message) = messages.recv().await {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let sent = loop {
            let Err(failure) = way.send(&message).await else { break true };
            tracing::warn!(channel = name, why = failure.why, "an alert could not be told");
            status.lock().last_error = Some(failure.why);
            let Some(wanted) = failure.again.filter(|_| begun.elapsed() < GIVE_UP) else { break false };
            sleep(wanted.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        let mut status = status.lock();
        status.waiting -= 1;
        if sent {
            status.sent += 1;
            status.last_error = None;
        } else {
            status.failed += 1;
        }
    }
}
