//! Requests in flight, written down beside the history: after a crash they are found by the next process.
//!
//! The collector looks at the running requests a few times a second and writes down those that have been running
//! since the look before, which ordinary ones have not. So a request that takes long is in the file within half a
//! second, a quick one never is, and a request costs nothing for it.

mod file;
mod recover;

use std::path::Path;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::file::{Found, InFlightFile};
pub(crate) use self::recover::recover;
use crate::live::{self, ActiveTransaction};
use crate::shared::Shared;
use crate::text::cut;

/// How often the running requests are looked at; also how long one has to run to be written down.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Requests that are written down, the longest-running ones.
const MAX_REQUESTS: usize = 500;
/// Bytes of a path that are written down.
const MAX_PATH: usize = 256;

/// A request that was in flight when a process ended without notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Interrupted {
    /// The request, as it was when it was last seen.
    #[serde(flatten)]
    pub request: ActiveTransaction,
    /// When it was last seen: at most half a second before the end.
    pub seen_us: u64,
}

impl Interrupted {
    /// Where it was, for operators.
    fn describe(&self) -> String {
        let request = &self.request;
        let mut text = "the process ended without notice while this request was in flight".to_owned();
        if let Some(stage) = &request.stage {
            text += &format!(", in {stage} for {} ms", request.stage_us / 1_000);
        }
        if let (Some(upstream), Some(server)) = (&request.upstream, &request.server) {
            text += &format!(", at {server} of {upstream}");
        }
        text
    }
}

/// Writes down what runs, as long as it is told to look.
pub(crate) struct Notes {
    file: InFlightFile,
    looked: Instant,
    /// Whether there is anything in the file.
    filled: bool,
}

impl Notes {
    /// Takes a file in a directory, and gives back what earlier processes have left in theirs.
    pub(crate) fn open(directory: &Path) -> std::io::Result<(Self, Vec<Found>)> {
        let found = file::orphans(directory)?;
        let file = InFlightFile::create(directory)?;
        Ok((Self { file, looked: Instant::now(), filled: false }, found))
    }

    /// Looks, if it is time.
    pub(crate) fn look(&mut self, shared: &Shared) {
        if self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        let now_us = shared.now_us();
        let least_us = LOOK_EVERY.as_micros() as u64;
        let mut running = live::active(shared, now_us, MAX_REQUESTS, |request| {
            now_us.saturating_sub(shared.ticks.unix_us(request.start)) >= least_us
        });
        if running.is_empty() && !self.filled {
            return;
        }
        for request in &mut running {
            request.path.truncate(cut(&request.path, MAX_PATH).len());
        }
        self.filled = !running.is_empty();
        match self.file.write(now_us, &running) {
            Ok(()) => shared.noted_us.store(now_us, std::sync::atomic::Ordering::Relaxed),
            // A full disk must not fill the log as well.
            Err(error) => tracing::debug!(%error, "the requests in flight were not written down"),
        }
    }

    /// Nothing is in flight any more, or it is not known: the end was no crash.
    pub(crate) fn close(self) {
        self.file.remove();
    }
}

/// The error of a request that was in flight at a crash, in the history.
pub const IN_FLIGHT_AT_CRASH: &str = "in_flight_at_crash";

#[cfg(test)]
mod tests;
