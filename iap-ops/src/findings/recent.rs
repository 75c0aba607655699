//! The end of a window, where an outage that has just begun shows: over all of the window it is a small
//! part still.

use iap_apm::{RouteStats, Window};
use schemars::JsonSchema;
use serde::Serialize;

use super::percent;
use crate::telemetry::{Telemetry, TelemetryError};

const SECOND_US: u64 = 1_000_000;
/// The end of a window.
const MINUTE_US: u64 = 60 * SECOND_US;
/// Its very end: with even traffic the last minute is diluted for a while too.
const MOMENT_US: u64 = 10 * SECOND_US;
/// Transactions in the last minute below which it says nothing.
const MIN_COUNT: u64 = 3;
/// Failures in the last ten seconds below which they say nothing.
const MIN_ERRORS: u64 = 3;
/// A route fails now from this share of errors on, in percent.
const FAILING_NOW_PERCENT: f64 = 20.0;

/// What a route did at the end of the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Recent {
    /// How long before the end of the window this begins.
    pub length_us: u64,
    /// Transactions since.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// Their share.
    pub error_percent: f64,
}

/// The routes at the end of a window; empty for one that does not end now.
#[derive(Debug, Default)]
pub(super) struct Tails {
    minute: (u64, Vec<RouteStats>),
    moment: (u64, Vec<RouteStats>),
}

impl Tails {
    pub(super) async fn read(telemetry: &dyn Telemetry, window: Window) -> Result<Self, TelemetryError> {
        let length = |tail_us: u64| tail_us.min(window.length_us());
        let (minute, moment) = (length(MINUTE_US), length(MOMENT_US));
        Ok(Self {
            minute: (minute, telemetry.route_stats(Window::last(minute, window.to_us)).await?),
            moment: (moment, telemetry.route_stats(Window::last(moment, window.to_us)).await?),
        })
    }

    /// The end of the window for a route, and whether the route is failing there.
    pub(super) fn of(&self, route: &str) -> (Option<Recent>, bool) {
        let minute = recent(&self.minute, route).filter(|recent| recent.count >= MIN_COUNT);
        let moment = recent(&self.moment, route).filter(|recent| recent.errors >= MIN_ERRORS);
        let failing = |recent: &Recent| recent.error_percent >= FAILING_NOW_PERCENT;
        match minute.filter(failing).or(moment.filter(failing)) {
            Some(recent) => (Some(recent), true),
            None => (minute, false),
        }
    }
}

fn recent((length_us, routes): &(u64, Vec<RouteStats>), route: &str) -> Option<Recent> {
    let RouteStats { count, errors, .. } = *routes.iter().find(|stats| stats.route == route)?;
    Some(Recent { length_us: *length_us, count, errors, error_percent: percent(errors, count) })
}
