//! Reading public data, and counting.

#![allow(dead_code, reason = "each program uses a part")]

pub(crate) mod petshop;
pub(crate) mod sockshop;

use std::path::{Path, PathBuf};

/// The names below a directory, sorted.
pub(crate) fn entries(directory: &Path) -> Option<Vec<PathBuf>> {
    let mut found: Vec<_> =
        std::fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    Some(found)
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The rows of a file whose fields hold no commas.
pub(crate) fn rows(path: &Path) -> Option<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

/// At which place of each ranking the right answer was.
#[derive(Default)]
pub(crate) struct Places(Vec<Option<usize>>);

impl Places {
    pub(crate) fn add(&mut self, place: Option<usize>) {
        self.0.push(place);
    }

    pub(crate) fn cases(&self) -> usize {
        self.0.len()
    }

    /// The share of cases in which it was among the first `k`.
    pub(crate) fn within(&self, k: usize) -> f64 {
        let hits = self.0.iter().flatten().filter(|place| **place < k).count();
        hits as f64 / self.cases().max(1) as f64
    }

    /// The mean of that for 1 to `k`.
    pub(crate) fn mean(&self, k: usize) -> f64 {
        (1..=k).map(|k| self.within(k)).sum::<f64>() / k as f64
    }
}

/// `2014-04-01 00:00:00`, with or without a fraction, as Unix seconds.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let text = text.split('.').next()?.replace(' ', "T");
    let time: jiff::civil::DateTime = text.parse().ok()?;
    u64::try_from(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second()).ok()
}
