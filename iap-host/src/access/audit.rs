//! Who has done what: one line of JSON for each change, in a file for each day.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iap_core::Clock;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Caller;
use crate::config::Role;

/// The largest file of a day; what comes beyond it is in the log only.
const MAX_FILE: u64 = 32 << 20;
/// Records of an answer.
pub(crate) const MAX_PAGE: usize = 1_000;

/// One thing that somebody did, or tried to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditRecord")]
pub(crate) struct Record {
    pub(crate) at_ms: u64,
    pub(crate) who: String,
    /// None for somebody who is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<IpAddr>,
    /// `POST /api/config/reload`.
    pub(crate) what: String,
    /// What was sent along.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) with: Value,
    /// What was answered.
    pub(crate) status: u16,
}

impl Record {
    pub(crate) fn new(caller: &Caller, from: Option<IpAddr>, what: String, with: Value, status: u16) -> Self {
        Self { at_ms: 0, who: caller.name.to_string(), role: Some(caller.role), from, what, with, status }
    }
}

/// The files.
pub(crate) struct Audit {
    directory: PathBuf,
    keep: Duration,
    clock: Arc<dyn Clock>,
    today: Mutex<Option<Today>>,
}

struct Today {
    date: Date,
    file: File,
    bytes: u64,
}

impl Audit {
    pub(super) fn open(directory: &Path, keep: Duration, clock: Arc<dyn Clock>) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned(), keep, clock, today: Mutex::default() })
    }

    /// Writes a record down, for good once this returns. It is in the log as well.
    pub(crate) fn note(&self, mut record: Record) {
        record.at_ms = self.clock.now_ms();
        tracing::info!(target: "audit", who = %record.who, what = %record.what, status = record.status, "done");
        if let Err(error) = self.write(&record) {
            tracing::error!(directory = %self.directory.display(), %error, "who has done what could not be kept");
        }
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record).map_err(io::Error::other)?;
        line.push(b'\n');
        let date = date(record.at_ms);
        let mut today = self.today.lock();
        if today.as_ref().is_none_or(|today| today.date != date) {
            self.forget(date);
            let mut options = File::options();
            let file = options.create(true).append(true).mode(0o600).open(self.directory.join(name(date)))?;
            let bytes = file.metadata()?.len();
            *today = Some(Today { date, file, bytes });
        }
        let today = today.as_mut().ok_or(io::ErrorKind::NotFound)?;
        if today.bytes + line.len() as u64 > MAX_FILE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        today.file.write_all(&line)?;
        today.bytes += line.len() as u64;
        today.file.sync_data()
    }

    /// The latest records before a moment, the latest first.
    pub(crate) fn last(&self, limit: usize, before_ms: u64) -> io::Result<Vec<Record>> {
        let mut found = Vec::new();
        let until = date(before_ms.min(self.clock.now_ms()));
        for (_, path) in self.files()?.into_iter().rev().filter(|(day, _)| *day <= until) {
            let bytes = fs::read(&path)?;
            let text = String::from_utf8_lossy(&bytes);
            // A line that was cut by the end of the process is no record.
            let records = text.lines().rev().filter_map(|line| serde_json::from_str::<Record>(line).ok());
            found.extend(records.filter(|record| record.at_ms < before_ms).take(limit - found.len()));
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// The files by day, the first one first.
    fn files(&self) -> io::Result<Vec<(Date, PathBuf)>> {
        let paths = fs::read_dir(&self.directory)?.filter_map(|entry| Some(entry.ok()?.path()));
        let mut files: Vec<(Date, PathBuf)> = paths
            .filter_map(|path| {
                let day = path
                    .file_name()?
                    .to_str()?
                    .strip_prefix("audit-")?
                    .strip_suffix(".jsonl")?
                    .parse()
                    .ok()?;
                Some((day, path))
            })
            .collect();
        files.sort();
        Ok(files)
    }

    /// Removes the files of days that are kept no longer.
    fn forget(&self, today: Date) {
        let days = i64::try_from(self.keep.as_secs() / 86_400).unwrap_or(i64::MAX).saturating_add(1);
        for (day, path) in self.files().unwrap_or_default() {
            if i64::from(today.since(day).map_or(0, |age| age.get_days())) > days
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::error!(path = %path.display(), %error, "it is too old, and could not be removed");
            }
        }
    }
}

fn name(date: Date) -> String {
    format!("audit-{date}.jsonl")
}

/// Days of UTC: they are the same wherever it is read.
fn date(at_ms: u64) -> Date {
    let moment =
        i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    moment.to_zoned(TimeZone::UTC).date()
}
