//! A provider that fails is left alone for a while.

use std::time::Duration;

use parking_lot::Mutex;

/// When it is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// After so many failures in a row.
    pub failures: u32,
    /// For so long; then one call is tried.
    pub pause: Duration,
}

impl Default for BreakerSettings {
    /// Three failures, 30 seconds.
    fn default() -> Self {
        Self { failures: 3, pause: Duration::from_secs(30) }
    }
}

/// What is known of one provider.
#[derive(Debug, Default)]
pub(in crate::llm) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Until then it is left alone, Unix milliseconds.
    until_ms: u64,
    /// Whether a trial call is on its way.
    trying: bool,
}

impl Breaker {
    /// Whether it may be called. After a pause only one call goes through until it is known how that went.
    pub(in crate::llm) fn admit(&self, settings: BreakerSettings, now_ms: u64) -> bool {
        let mut state = self.0.lock();
        if now_ms < state.until_ms || state.trying {
            return false;
        }
        state.trying = state.failures >= settings.failures;
        true
    }

    /// Whether it may be called now, without calling it.
    pub(in crate::llm) fn is_resting(&self, now_ms: u64) -> bool {
        let state = self.0.lock();
        now_ms < state.until_ms || state.trying
    }

    /// A call went well, or its failure says nothing about the provider.
    pub(in crate::llm) fn well(&self) {
        *self.0.lock() = State::default();
    }

    /// A call failed. A provider that says when it wants to be asked again is left alone until then.
    pub(in crate::llm) fn failed(&self, settings: BreakerSettings, wanted: Option<Duration>, now_ms: u64) {
        let mut state = self.0.lock();
        state.trying = false;
        state.failures = state.failures.saturating_add(1);
        let pause = if state.failures >= settings.failures { Some(settings.pause) } else { None };
        if let Some(pause) = pause.max(wanted) {
            state.until_ms = now_ms.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// A call was given up before it was known how it goes.
    pub(in crate::llm) fn given_up(&self) {
        self.0.lock().trying = false;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Breaker, BreakerSettings};

    #[test]
    fn one_call_tries_whether_it_is_well_again() {
        let settings = BreakerSettings { failures: 2, pause: Duration::from_secs(10) };
        let breaker = Breaker::default();
        breaker.failed(settings, None, 0);
        assert!(breaker.admit(settings, 1), "one failure is none");
        breaker.failed(settings, None, 1);
        assert!(!breaker.admit(settings, 10_000) && breaker.is_resting(10_000));
        assert!(breaker.admit(settings, 10_001));
        assert!(!breaker.admit(settings, 10_001), "one at a time");
        breaker.failed(settings, None, 10_001);
        assert!(!breaker.admit(settings, 20_000));
        assert!(breaker.admit(settings, 20_001));
        breaker.given_up();
        assert!(breaker.admit(settings, 20_001));
        breaker.well();
        breaker.failed(settings, Some(Duration::from_secs(60)), 20_001);
        assert!(!breaker.admit(settings, 80_000), "it has said when");
        assert!(breaker.admit(settings, 80_001));
    }
}
