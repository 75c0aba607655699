//! Reports that are made by themselves: kept as files, and sent.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iap_core::{Clock, SystemClock};
use iap_ops::alerts::Severity;
use iap_ops::notify::Message;
use iap_ops::report::{Due, Schedule, html, markdown};
use iap_ops::{Assistant, Zone};
use iap_session::RedisStore;
use serde::Serialize;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::admin::AdminState;
use crate::config::{Config, ReportsConfig};

/// How often it is looked whether one is due.
const EVERY: Duration = Duration::from_secs(20);
/// A report that is due for longer is not made any more: the next one will be.
const LATE_US: u64 = 24 * 3_600 * 1_000_000;
/// How long what one gateway makes is not made by another.
const MADE_FOR: Duration = Duration::from_secs(48 * 3_600);
/// The most of a report that is sent as a message; the file has all of it.
const MAX_TEXT: usize = 30_000;

/// The task that makes reports; it ends with this.
pub(crate) struct Reports(JoinHandle<()>);

impl Drop for Reports {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A report that was made.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "KeptReport")]
pub(crate) struct Kept {
    /// The file's name.
    pub(crate) file: String,
    pub(crate) bytes: u64,
}

struct Maker {
    settings: ReportsConfig,
    assistant: Assistant,
    admin: AdminState,
    shared: Option<Arc<RedisStore>>,
    zone: Zone,
    console: String,
    /// The day of each schedule that need not be looked at again.
    done: BTreeMap<String, String>,
}

impl Reports {
    /// Begins to look, where any are wanted.
    pub(crate) fn start(
        config: &Config,
        admin: &AdminState,
        shared: Option<Arc<RedisStore>>,
        runtime: &Handle,
    ) -> Option<Self> {
        let assistant = admin.assistant()?;
        if config.reports.schedules.is_empty() {
            return None;
        }
        let mut maker = Maker {
            settings: config.reports.clone(),
            assistant,
            admin: admin.clone(),
            shared,
            zone: Zone::default(),
            console: config.alerts.console.clone().unwrap_or_default(),
            done: BTreeMap::new(),
        };
        Some(Self(runtime.spawn(async move {
            loop {
                maker.round().await;
                tokio::time::sleep(EVERY).await;
            }
        })))
    }
}

impl Maker {
    async fn round(&mut self) {
        for index in 0..self.settings.schedules.len() {
            let schedule = self.settings.schedules[index].schedule();
            let now_ms = SystemClock.now_ms();
            let Some(due) = schedule.due(&self.zone, now_ms) else { continue };
            let late = (now_ms * 1_000).saturating_sub(due.since_us) > LATE_US;
            if late || self.done.get(&schedule.name) == Some(&due.day) {
                continue;
            }
            match self.make(&schedule, &due, index).await {
                Ok(()) => {
                    self.done.insert(schedule.name, due.day);
                }
                Err(error) => tracing::error!(report = schedule.name, error, "a report could not be made"),
            }
        }
    }

    /// Makes it, unless it was made before, or another gateway does.
    async fn make(&self, schedule: &Schedule, due: &Due, index: usize) -> Result<(), String> {
        let file = format!("{}-{}.html", schedule.name, due.day);
        let place = self.settings.directory.join(&file);
        if place.exists() {
            return Ok(());
        }
        if let Some(shared) = &self.shared {
            let first = shared.is_first("report", &file, MADE_FOR).await;
            if !first.map_err(|error| error.to_string())? {
                return Ok(());
            }
        }
        let report = self.assistant.report(schedule.kind, due.window, schedule.language).await;
        let report = self.assistant.summed_up(report.map_err(|error| error.to_string())?).await;
        let page = html(&report, &self.console);
        let (settings, path) = (self.settings.clone(), place.clone());
        let kept = tokio::task::spawn_blocking(move || keep(&settings, &path, &page)).await;
        kept.map_err(|error| error.to_string())?.map_err(|error| format!("{}: {error}", place.display()))?;
        tracing::info!(file, "a report was made");
        let mut text = markdown(&report, &self.console);
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.push_str("\n…\n");
        }
        let message = Message {
            id: file.clone(),
            severity: Severity::Info,
            title: format!("{} {}", schedule.kind.title(schedule.language), due.day),
            text,
            details: json!({ "report": file, "window": due.window }),
        };
        self.admin.send(&self.settings.schedules[index].notify, message);
        Ok(())
    }
}

/// Whole or not at all; the oldest make room.
fn keep(settings: &ReportsConfig, place: &Path, page: &str) -> io::Result<()> {
    fs::create_dir_all(&settings.directory)?;
    let new = place.with_extension("new");
    fs::write(&new, page)?;
    fs::rename(&new, place)?;
    let mut files = files(&settings.directory)?;
    files.sort_by_key(|(modified, _)| *modified);
    let surplus = files.len().saturating_sub(settings.keep);
    for (_, path) in files.iter().take(surplus) {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn files(directory: &Path) -> io::Result<Vec<(std::time::SystemTime, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_name) {
            files.push((path.metadata()?.modified()?, path));
        }
    }
    Ok(files)
}

/// Whether a file may be one of ours: nothing else is read, shown or removed.
fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let stem = name.strip_suffix(".html").filter(|stem| stem.len() <= 80 && stem.chars().all(letters));
    let day = stem.and_then(|stem| stem.get(stem.len().checked_sub(11)?..)).map(str::as_bytes);
    day.is_some_and(|day| {
        day.iter().enumerate().all(|(at, byte)| match at {
            0 | 5 | 8 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    })
}

/// The reports that are kept, the latest first.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<Kept>> {
    let mut files = match files(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        files => files?,
    };
    files.sort_by(|a, b| b.cmp(a));
    let kept = |(_, path): (_, PathBuf)| {
        let file = path.file_name()?.to_str()?.to_owned();
        Some(Kept { file, bytes: path.metadata().ok()?.len() })
    };
    Ok(files.into_iter().filter_map(kept).collect())
}

/// The page of a report that is kept; `None` if there is none of that name.
pub(crate) fn read(directory: &Path, file: &str) -> Option<String> {
    if !is_name(file) {
        return None;
    }
    fs::read_to_string(directory.join(file)).ok()
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn only_files_of_ours_are_touched() {
        assert!(is_name("daily-2026-11-25.html") && is_name("a_b-c-2026-11-25.html"));
        for other in [
            "",
            "x.html",
            "2026-11-25.html",
            "daily-2026-11-25.new",
            "../daily-2026-11-25.html",
            "daily-2026-11-2x.html",
            "daily/2026-11-25.html",
            "daily\0-2026-11-25.html",
            "é-2026-11-25.html",
        ] {
            assert!(!is_name(other), "{other}");
        }
    }
}
