//! Which transactions the history keeps: [`Keeping`].

use std::time::Duration;

/// Failed and slow transactions that are kept a second, for each ordinary one.
const IMPORTANT_TIMES: u32 = 10;
/// The least of them, however few ordinary ones are wanted.
const IMPORTANT_LEAST: u32 = 1_000;

/// Which transactions the history keeps with their spans and log lines.
///
/// Ordinary ones are kept whole up to a number a second, averaged over some seconds, so that a quiet
/// system keeps everything. Beyond it each route gets its share, a rare one all it needs; which of
/// its transactions are kept is decided by the trace id, so that several processes with similar
/// settings keep the same traces. What is not kept is counted in the
/// [`weight`](crate::TransactionSummary::weight) of one that is, of the same route, method and class
/// of status, at the latest a second later: counts and rates from the history stay exact.
///
/// Failed and slow transactions and those that the client broke off are all kept, up to
/// [`Keeping::important`] a second. The slowest of those that are not kept is kept each second, too.
///
/// ```
/// use std::time::Duration;
/// use iap_apm::Keeping;
///
/// let keeping = Keeping::per_second(50).slow(Duration::from_millis(500));
/// assert_eq!((keeping.ordinary, keeping.important), (50, 1_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keeping {
    /// Ordinary transactions that are kept a second.
    pub ordinary: u32,
    /// Failed, broken off and slow ones that are kept a second; beyond, others stand for them and they
    /// are counted in [`Dropped::important`](crate::Dropped::important).
    pub important: u32,
    /// A transaction is slow from this duration on, and from twice the p95 of its route on where that
    /// is longer: what always takes long is ordinary.
    pub slow: Duration,
}

impl Keeping {
    /// A number of ordinary transactions a second, and ten times as many failed and slow ones, at
    /// least 1,000.
    pub fn per_second(ordinary: u32) -> Self {
        let important = ordinary.saturating_mul(IMPORTANT_TIMES).max(IMPORTANT_LEAST);
        Self { ordinary, important, slow: Duration::from_secs(1) }
    }

    /// Every transaction, as long as the history can follow.
    pub fn all() -> Self {
        Self::per_second(u32::MAX)
    }

    /// Changes what is slow.
    #[must_use]
    pub fn slow(mut self, slow: Duration) -> Self {
        self.slow = slow;
        self
    }
}

impl Default for Keeping {
    /// 200 ordinary transactions a second; slow is a second.
    fn default() -> Self {
        Self::per_second(200)
    }
}
