//! Alerts: rules over routes and metrics, judged again and again, told once when they are broken and once when
//! they are kept again.
//!
//! [`Alerts::evaluate`] reads the history and gives what has begun and ended; whoever calls it tells people
//! ([`notify`](crate::notify)) and keeps the [`Book`], so that a restart neither forgets an alert nor tells it again.
//! Nothing here reads a clock or a file.
//!
//! ```
//! use std::time::Duration;
//!
//! use iap_apm::{SqliteHistory, SqliteOptions};
//! use iap_ops::alerts::{Alerts, Book, Bound, Measure, Rule, Severity, Signal};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let history = SqliteHistory::temporary(SqliteOptions::default())?;
//! let rule = Rule {
//!     name: "nobody shops".into(),
//!     description: None,
//!     severity: Severity::Critical,
//!     signal: Signal::Route { route: Some("shop".into()), measure: Measure::Rate },
//!     over: Duration::from_secs(300),
//!     bound: Bound::Absent,
//!     lasts: Duration::ZERO,
//!     recovers_at: None,
//!     min_requests: 1,
//!     channels: vec![],
//! };
//! let alerts = Alerts::new(vec![rule], Book::default());
//! let now_us = 1_800_000_000_000_000;
//! assert!(alerts.evaluate(&history, now_us).await.is_empty(), "nobody has looked for five minutes yet");
//! let events = alerts.evaluate(&history, now_us + 300_000_000).await;
//! assert_eq!(events[0].rule, "nobody shops");
//! # Ok(())
//! # }
//! ```

mod meter;
mod rule;
mod state;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use iap_apm::History;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use meter::{Meter, Values};
use state::step;

pub use rule::{Bound, Measure, OVER, Rule, Severity, Signal};
pub use state::{AlertEvent, Edge, Group, Watched};
pub use words::describe;

/// Events that are kept.
pub const MAX_EVENTS: usize = 500;
/// Things that one rule watches.
const MAX_WATCHED: usize = 1_000;
/// Silences at a time.
const MAX_SILENCES: usize = 100;

/// Nobody is told of some alerts for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Silence {
    /// What it is called.
    pub id: String,
    /// The rule; all of them when absent.
    pub rule: Option<String>,
    /// What the alert's group must have; any when empty.
    #[serde(default)]
    pub group: Group,
    /// When it ends, in Unix microseconds.
    pub until_us: u64,
    /// Who has asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Silence {
    fn covers(&self, event: &AlertEvent) -> bool {
        self.until_us > event.at_us
            && self.rule.as_ref().is_none_or(|rule| *rule == event.rule)
            && self.group.iter().all(|(label, value)| event.group.get(label) == Some(value))
    }
}

/// What is to outlive a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    /// What each rule watches.
    pub watched: BTreeMap<String, Vec<Watched>>,
    /// What has begun and ended, the oldest first; at most [`MAX_EVENTS`].
    pub events: VecDeque<AlertEvent>,
    /// Who is not to be told of what.
    pub silences: Vec<Silence>,
}

/// A rule with what it found.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RuleState {
    /// Its name.
    pub name: String,
    /// What whoever is woken by it should know.
    pub description: Option<String>,
    /// How grave it is.
    pub severity: Severity,
    /// The rule in words, in English.
    pub condition: String,
    /// The same in Korean.
    pub condition_ko: String,
    /// What it watches.
    pub watched: Vec<Watched>,
    /// Why it could not be judged the last time, if it could not.
    pub error: Option<String>,
    /// Who is told.
    pub channels: Vec<String>,
}

/// The rules, and what they have found so far.
pub struct Alerts {
    rules: Vec<Rule>,
    book: Mutex<Book>,
    errors: Mutex<BTreeMap<String, String>>,
    /// Grows with each change of the book but for values, which change with each round.
    revision: AtomicU64,
    /// When rules were judged first, in Unix microseconds; 0 before.
    began_us: AtomicU64,
    meter: tokio::sync::Mutex<Meter>,
}

impl Alerts {
    /// Goes on with what the book says. What belongs to rules that are no more is forgotten.
    pub fn new(rules: Vec<Rule>, mut book: Book) -> Self {
        book.watched.retain(|name, _| rules.iter().any(|rule| rule.name == *name));
        Self {
            rules,
            book: Mutex::new(book),
            errors: Mutex::default(),
            began_us: AtomicU64::new(0),
            revision: AtomicU64::new(0),
            meter: tokio::sync::Mutex::default(),
        }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Judges all rules, and says what begins and ends with it. A rule that cannot be judged stays as it is.
    pub async fn evaluate(&self, history: &dyn History, now_us: u64) -> Vec<AlertEvent> {
        let mut meter = self.meter.lock().await;
        let began_us = match self.began_us.compare_exchange(0, now_us, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => now_us,
            Err(earlier) => earlier,
        };
        let watched = Duration::from_micros(now_us.saturating_sub(began_us));
        let mut events = Vec::new();
        let begun = meter.begin(&self.rules, history, now_us).await.map_err(|error| error.to_string());
        for rule in &self.rules {
            let values = match &begun {
                Ok(()) => meter.measure(rule, history, now_us).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.clone()),
            };
            match values {
                Ok(mut values) => {
                    let early = watched < rule.over && rule.asks_for_more();
                    if early {
                        values.retain(|(_, value)| !rule.is_broken(*value));
                    }
                    self.errors.lock().remove(&rule.name);
                    let mut found = self.judge(rule, values, early, now_us);
                    for event in &mut found {
                        if event.edge == Edge::Firing {
                            let example = Meter::example(rule, &event.group, history, now_us).await;
                            event.trace_id = example.ok().flatten();
                        }
                    }
                    events.extend(found);
                }
                Err(error) => {
                    self.errors.lock().insert(rule.name.clone(), error);
                }
            }
        }
        let mut book = self.book.lock();
        let silences = book.silences.len();
        book.silences.retain(|silence| silence.until_us > now_us);
        if silences != book.silences.len() || !events.is_empty() {
            self.revise();
        }
        for event in &mut events {
            if let Some(silence) = book.silences.iter().find(|silence| silence.covers(event)) {
                event.untold = Some(format!("silenced by {}: {}", silence.by, silence.reason));
            }
        }
        book.events.extend(events.iter().cloned());
        let surplus = book.events.len().saturating_sub(MAX_EVENTS);
        book.events.drain(..surplus);
        events
    }

    /// While it is `early`, nothing is said of what is not there: nobody was here to hear of it.
    fn judge(&self, rule: &Rule, values: Values, early: bool, now_us: u64) -> Vec<AlertEvent> {
        let mut book = self.book.lock();
        let all = book.watched.entry(rule.name.clone()).or_default();
        let mut events = Vec::new();
        let mut gone: Vec<usize> = (0..all.len()).collect();
        for (group, value) in values {
            let at = all.iter().position(|watched| watched.group == group);
            let at = match at {
                Some(at) => at,
                None if all.len() >= MAX_WATCHED => continue,
                None => {
                    let (broken_since_us, alert) = (None, None);
                    all.push(Watched { group, value: None, broken_since_us, alert, seen_us: now_us });
                    all.len() - 1
                }
            };
            gone.retain(|gone| *gone != at);
            events.extend(self.step(rule, &mut all[at], value, now_us));
        }
        if early {
            return events;
        }
        for at in gone {
            events.extend(self.step(rule, &mut all[at], None, now_us));
        }
        // What nobody has heard of for long is forgotten, unless it is just that which is told.
        let forget_us = u64::try_from(rule.over.as_micros()).unwrap_or(u64::MAX).saturating_mul(2);
        all.retain(|watched| watched.alert.is_some() || now_us.saturating_sub(watched.seen_us) <= forget_us);
        events
    }

    fn step(
        &self,
        rule: &Rule,
        watched: &mut Watched,
        value: Option<f64>,
        now_us: u64,
    ) -> Option<AlertEvent> {
        let before = watched.broken_since_us;
        let event = step(rule, watched, value, now_us);
        if watched.broken_since_us != before {
            self.revise();
        }
        event
    }

    fn revise(&self) {
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    /// Another number than before if there is anything new to be kept of [`Alerts::book`].
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    /// Notes why nobody was told of an event after all.
    pub fn note_untold(&self, id: &str, edge: Edge, why: &str) {
        let mut book = self.book.lock();
        let event = book.events.iter_mut().rev().find(|event| event.id == id && event.edge == edge);
        if let Some(event) = event {
            event.untold = Some(why.to_owned());
            self.revise();
        }
    }

    /// Each rule with what it found.
    pub fn states(&self) -> Vec<RuleState> {
        let (book, errors) = (self.book.lock(), self.errors.lock());
        let state = |rule: &Rule| RuleState {
            name: rule.name.clone(),
            description: rule.description.clone(),
            severity: rule.severity,
            condition: words::condition(rule, crate::Language::English),
            condition_ko: words::condition(rule, crate::Language::Korean),
            watched: book.watched.get(&rule.name).cloned().unwrap_or_default(),
            error: errors.get(&rule.name).cloned(),
            channels: rule.channels.clone(),
        };
        self.rules.iter().map(state).collect()
    }

    /// Tells nobody of some alerts for a while.
    ///
    /// # Errors
    /// When there are too many silences already, or it has no end, reason or author.
    pub fn silence(&self, silence: Silence) -> Result<(), &'static str> {
        if silence.by.trim().is_empty() || silence.reason.trim().is_empty() {
            return Err("a silence says who wants it and why");
        }
        let mut book = self.book.lock();
        if book.silences.len() >= MAX_SILENCES {
            return Err("there are too many silences: end some of them");
        }
        book.silences.push(silence);
        self.revise();
        Ok(())
    }

    /// Ends a silence; `false` if there is none of that name.
    pub fn unsilence(&self, id: &str) -> bool {
        let mut book = self.book.lock();
        let before = book.silences.len();
        book.silences.retain(|silence| silence.id != id);
        let ended = book.silences.len() < before;
        if ended {
            self.revise();
        }
        ended
    }

    /// Who is not to be told of what.
    pub fn silences(&self) -> Vec<Silence> {
        self.book.lock().silences.clone()
    }

    /// What has begun and ended, of one rule or of all, the latest first.
    pub fn events(&self, rule: Option<&str>, limit: usize) -> Vec<AlertEvent> {
        let book = self.book.lock();
        let wanted = book.events.iter().rev().filter(|event| rule.is_none_or(|rule| rule == event.rule));
        wanted.take(limit).cloned().collect()
    }

    /// What is to outlive a restart.
    pub fn book(&self) -> Book {
        self.book.lock().clone()
    }
}
