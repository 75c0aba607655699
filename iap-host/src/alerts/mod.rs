//! The desk where rules are judged and people are told.

mod channels;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::History;
use iap_core::{Clock, SystemClock};
use iap_ops::alerts::{AlertEvent, Alerts, Book, Edge, Rule, Severity, describe};
use iap_ops::notify::{ChannelSettings, Message, Outbox};
use iap_ops::{Language, Zone};
use iap_session::RedisStore;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::config::{AlertsConfig, Environment};
use crate::kept;

/// How long what one gateway has told is not told by another.
const TOLD_FOR: Duration = Duration::from_secs(300);
/// How long messages may still go out after their settings have gone.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// What is judged and told by one configuration.
pub(crate) struct Desk {
    pub(crate) alerts: Alerts,
    pub(crate) outbox: Outbox,
    language: Language,
    zone: Zone,
    console: Option<String>,
    /// Where the book is kept; nowhere where the history is in memory.
    place: Option<PathBuf>,
    /// Where gateways agree who tells, if they share anything.
    shared: Option<Arc<RedisStore>>,
}

/// A desk with the task that runs it. The task ends with it.
pub(crate) struct RunningDesk {
    pub(crate) desk: Arc<Desk>,
    task: JoinHandle<()>,
    runtime: Handle,
}

impl Drop for RunningDesk {
    fn drop(&mut self) {
        self.task.abort();
        let desk = self.desk.clone();
        self.runtime.spawn(async move { desk.outbox.finish(LAST_WORDS).await });
    }
}

/// What a desk needs of its surroundings.
pub(crate) struct Surroundings {
    pub(crate) history: Arc<dyn History>,
    /// The directory of the history, where it has one.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) shared: Option<Arc<RedisStore>>,
    pub(crate) runtime: Handle,
}

impl RunningDesk {
    /// Checks everything, and begins to judge. It goes on with the book of the desk before, or with what is kept.
    pub(crate) fn start(
        config: &AlertsConfig,
        environment: &Environment,
        before: Option<&Desk>,
        around: Surroundings,
    ) -> Result<Self, String> {
        let place = around.directory.map(|directory| directory.join("alerts.json"));
        let book = match (before, &place) {
            (Some(before), _) => before.alerts.book(),
            (None, Some(place)) => kept::read(place, "alerts"),
            (None, None) => Book::default(),
        };
        let channels = config.channels.iter().map(|(name, channel)| {
            let settings = channels::settings(channel, environment);
            settings
                .map(|settings| (name.clone(), settings))
                .map_err(|error| format!("channels.{name}: {error}"))
        });
        let channels = channels.collect::<Result<BTreeMap<String, ChannelSettings>, _>>()?;
        let outbox = Outbox::start(channels, &around.runtime).map_err(|error| format!("channels.{error}"))?;
        let desk = Arc::new(Desk {
            alerts: Alerts::new(config.rules()?, book),
            outbox,
            language: config.language.into(),
            zone: Zone::default(),
            console: config.console.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
            place,
            shared: around.shared,
        });
        let (judged, every) = (desk.clone(), config.every.0);
        let task = around.runtime.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                judged.round(&*around.history).await;
            }
        });
        Ok(Self { desk, task, runtime: around.runtime })
    }
}

impl Desk {
    async fn round(&self, history: &dyn History) {
        let before = self.alerts.revision();
        for event in self.alerts.evaluate(history, SystemClock.now_ms() * 1_000).await {
            if event.untold.is_some() {
                continue;
            }
            let rule = self.alerts.rules().iter().find(|rule| rule.name == event.rule);
            match rule.filter(|rule| !rule.channels.is_empty()) {
                None => self.alerts.note_untold(&event.id, event.edge, "the rule names no channel"),
                Some(rule) => {
                    if self.is_first(&event).await {
                        self.tell(&event, rule);
                    }
                }
            }
        }
        if self.alerts.revision() != before {
            self.keep().await;
        }
    }

    /// Keeps the book where a restart finds it.
    pub(crate) async fn keep(&self) {
        let (Some(place), book) = (self.place.clone(), self.alerts.book()) else { return };
        let kept = tokio::task::spawn_blocking(move || kept::write(&place, &book)).await;
        if let Ok(Err(error)) = kept {
            tracing::error!(%error, "alerts could not be kept: a restart would tell them again");
        }
    }

    /// Whether no other gateway has told it. If they cannot agree, both tell: better twice than never.
    async fn is_first(&self, event: &AlertEvent) -> bool {
        let Some(shared) = &self.shared else { return true };
        let what = json!([event.rule, event.group, event.edge]).to_string();
        match shared.is_first("alert", &what, TOLD_FOR).await {
            Ok(true) => true,
            Ok(false) => {
                self.alerts.note_untold(&event.id, event.edge, "another gateway has told it");
                false
            }
            Err(error) => {
                tracing::warn!(%error, "gateways cannot agree who tells an alert");
                true
            }
        }
    }

    fn tell(&self, event: &AlertEvent, rule: &Rule) {
        let mut text = describe(event, rule, self.language, &self.zone);
        let link = self.console.as_ref().map(|console| match &event.trace_id {
            Some(trace) => format!("{console}/transactions/{trace}"),
            None => format!("{console}/alerts"),
        });
        for more in [&rule.description, &link].into_iter().flatten() {
            text.push('\n');
            text.push_str(more);
        }
        let (edge, level) = match (event.edge, self.language) {
            (Edge::Firing, Language::Korean) => ("발생", event.severity),
            (Edge::Firing, _) => ("firing", event.severity),
            (Edge::Resolved, Language::Korean) => ("해소", Severity::Info),
            (Edge::Resolved, _) => ("resolved", Severity::Info),
        };
        tracing::info!(rule = event.rule, id = event.id, edge = ?event.edge, "an alert is told");
        let id = format!("{}-{edge}", event.id).to_ascii_lowercase();
        let message = Message {
            id: id.chars().filter(char::is_ascii).collect(),
            severity: level,
            title: format!("{edge}: {}", event.rule),
            text,
            details: json!({ "event": event, "link": link }),
        };
        self.outbox.send(&rule.channels, message);
    }

    /// A message to see whether a channel works.
    pub(crate) async fn try_channel(&self, name: &str) -> Option<Result<(), String>> {
        let (title, text) = match self.language {
            Language::Korean => ("시험 메시지", "알림 채널이 동작합니다."),
            _ => ("a test", "This channel works."),
        };
        let message = Message {
            id: format!("test-{}", SystemClock.now_ms()),
            severity: Severity::Info,
            title: title.to_owned(),
            text: text.to_owned(),
            details: json!({ "test": true }),
        };
        self.outbox.try_now(name, &message).await
    }
}
