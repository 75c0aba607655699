//! Reports that are made by themselves.

use std::collections::BTreeSet;
use std::path::PathBuf;

use iap_ops::ReportKind;
use iap_ops::report::{Period, Schedule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Lang;

/// Where reports are kept, and which are made when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReportsConfig {
    /// The directory of the files.
    pub(crate) directory: PathBuf,
    /// Files that are kept; the oldest go first.
    pub(crate) keep: usize,
    pub(crate) schedules: Vec<ScheduleConfig>,
}

impl Default for ReportsConfig {
    fn default() -> Self {
        Self { directory: "data/reports".into(), keep: 1_000, schedules: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleConfig {
    /// What files and messages are called by.
    pub(crate) name: String,
    #[schemars(with = "String")]
    pub(crate) kind: ReportKind,
    #[schemars(with = "String")]
    pub(crate) period: Period,
    /// From this time of day on: `08:00`.
    #[serde(default = "eight")]
    pub(crate) at: String,
    #[serde(default = "korean")]
    pub(crate) language: Lang,
    /// Channels of `alerts.channels` that get it.
    #[serde(default)]
    pub(crate) notify: Vec<String>,
}

fn eight() -> String {
    "08:00".to_owned()
}

fn korean() -> Lang {
    Lang::Ko
}

impl ReportsConfig {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self, channels: &BTreeSet<&str>) -> Result<(), String> {
        let mut names = BTreeSet::new();
        if self.keep == 0 || self.directory.as_os_str().is_empty() {
            return Err("reports: they need a directory, and `keep` at least one".to_owned());
        }
        for schedule in &self.schedules {
            let wrong = |text: &str| Err(format!("reports.schedules: `{}`: {text}", schedule.name));
            let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if schedule.name.is_empty() || schedule.name.len() > 50 || !schedule.name.chars().all(letter) {
                return wrong("name: 1 to 50 letters, digits, `-` or `_`, since files are called by it");
            }
            if !names.insert(&schedule.name) {
                return wrong("another schedule has the same name");
            }
            if schedule.time().is_none() {
                return wrong("at: a time of day, like `08:00`");
            }
            if let Some(unknown) = schedule.notify.iter().find(|name| !channels.contains(name.as_str())) {
                return wrong(&format!("notify: there is no channel `{unknown}` in alerts.channels"));
            }
        }
        Ok(())
    }
}

impl ScheduleConfig {
    fn time(&self) -> Option<(u8, u8)> {
        let (hour, minute) = self.at.split_once(':').filter(|_| self.at.len() == 5)?;
        let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some((hour, minute))
    }

    /// The schedule; only of a configuration that was checked.
    pub(crate) fn schedule(&self) -> Schedule {
        Schedule {
            name: self.name.clone(),
            kind: self.kind,
            period: self.period,
            at: self.time().unwrap_or_default(),
            language: self.language.into(),
        }
    }
}
