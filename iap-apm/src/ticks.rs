//! The fast clock: raw ticks on the hot path, wall-clock time where they are read.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// A moment on both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Anchor {
    raw: u64,
    unix_us: u64,
}

/// Raw ticks and their conversion.
pub(crate) struct Ticks {
    clock: quanta::Clock,
    anchor: Mutex<Anchor>,
}

impl Ticks {
    /// The first call in a process calibrates the counter, which takes some milliseconds.
    pub(crate) fn new() -> Self {
        let clock = quanta::Clock::new();
        let anchor = Mutex::new(Anchor { raw: clock.raw(), unix_us: unix_us() });
        Self { clock, anchor }
    }

    pub(crate) fn raw(&self) -> u64 {
        self.clock.raw()
    }

    /// Unix microseconds of a moment. Both ends of an interval are converted by this, so that an
    /// interval inside another one stays inside.
    pub(crate) fn unix_us(&self, raw: u64) -> u64 {
        self.unix_us_by(self.anchor(), raw)
    }

    /// What [`Ticks::unix_us_by`] converts by, for many at once.
    pub(crate) fn anchor(&self) -> Anchor {
        *self.anchor.lock()
    }

    /// As [`Ticks::unix_us`], by an anchor that was read before.
    pub(crate) fn unix_us_by(&self, anchor: Anchor, raw: u64) -> u64 {
        if raw >= anchor.raw {
            anchor.unix_us.saturating_add(self.clock.delta_as_nanos(anchor.raw, raw) / 1_000)
        } else {
            anchor.unix_us.saturating_sub(self.clock.delta_as_nanos(raw, anchor.raw).div_ceil(1_000))
        }
    }

    /// So many ticks as microseconds.
    pub(crate) fn us(&self, ticks: u64) -> u64 {
        self.clock.delta_as_nanos(0, ticks) / 1_000
    }

    /// Follows a wall clock that drifted or was set.
    pub(crate) fn follow_wall_clock(&self) {
        *self.anchor.lock() = Anchor { raw: self.clock.raw(), unix_us: unix_us() };
    }
}

fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as u64)
}
