//! Settings of the embedded history.

use std::sync::Arc;
use std::time::Duration;

use iap_core::{Clock, SystemClock};

use super::long_term::Rollups;

/// How long and how much the embedded history keeps.
#[derive(Clone)]
pub struct SqliteOptions {
    /// Files whose hour ended longer ago are removed.
    pub max_age: Duration,
    /// The oldest files are removed while all of them are larger than this.
    pub max_bytes: u64,
    /// How long figures of routes outlive the files that they were computed of.
    pub rollups: Rollups,
    /// Decides the hour of arrival and the age.
    pub clock: Arc<dyn Clock>,
}

impl Default for SqliteOptions {
    /// Seven days, 4 GiB, roll-ups as they come, the system's clock.
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(7 * 86_400),
            max_bytes: 4 << 30,
            rollups: Rollups::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl std::fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("max_age", &self.max_age)
            .field("max_bytes", &self.max_bytes)
            .field("rollups", &self.rollups)
            .finish_non_exhaustive()
    }
}
