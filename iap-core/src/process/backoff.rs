//! How long to wait before the next attempt.

use std::time::Duration;

use super::Restart;

/// So many failures in a row are a crash loop.
const LOOP: u32 = 5;

/// Counts attempts that have failed.
#[derive(Debug)]
pub(super) struct Backoff {
    restart: Restart,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(restart: Restart) -> Self {
        Self { restart, failures: 0 }
    }

    /// The wait after one more failure; it was ready for so long before.
    pub(super) fn next(&mut self, ready_for: Duration) -> Duration {
        if ready_for >= self.restart.reset_after {
            self.failures = 0;
        }
        let doubled = self.restart.min.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let percent = 80 + getrandom::u32().unwrap_or(20) % 41;
        (doubled.min(self.restart.max) * percent / 100).min(self.restart.max)
    }

    /// Whether it goes on like this.
    pub(super) fn is_loop(&self) -> bool {
        self.failures >= LOOP
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_bound_and_begin_anew_after_a_good_run() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(3));
        let mut backoff = Backoff::new(Restart { min, max, reset_after: Duration::from_secs(60) });
        for expected in [100, 200, 400, 800, 1600, 3000, 3000] {
            let wait = backoff.next(Duration::ZERO).as_millis();
            assert!(
                (expected * 8 / 10..=(expected * 12 / 10).min(3000)).contains(&wait),
                "{expected}: {wait}"
            );
        }
        assert!(backoff.is_loop());
        assert!(backoff.next(Duration::from_secs(60)) <= Duration::from_millis(120));
        assert!(!backoff.is_loop());
    }
}
