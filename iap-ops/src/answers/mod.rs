//! The queries of each intent, and the facts that come of them.

mod activity;
mod advice;
mod bottleneck;
mod capacity;
mod errors;
mod estate;
mod past;
mod performance;
mod sampled;

use std::collections::BTreeSet;

use iap_apm::{RouteStats, SeriesPoint, SeriesQuery, Window};

use crate::facts::{Chart, Facts, Unit};
use crate::question::{Intent, Question, named_routes};
use crate::telemetry::{Telemetry, TelemetryError};
use crate::zone::Zone;

pub(crate) type Found = Result<Facts, TelemetryError>;

/// Transactions of a route below which its percentiles say nothing.
const MIN_COUNT: u64 = 5;
const SECOND_US: u64 = 1_000_000;
/// Points of a chart.
const CHART_POINTS: u64 = 60;

/// A question with what is needed to answer it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) telemetry: &'a dyn Telemetry,
    pub(crate) window: Window,
    /// What is compared with, where two times are.
    pub(crate) other: Option<Window>,
    pub(crate) now_us: u64,
    pub(crate) zone: &'a Zone,
    pub(crate) question: &'a Question,
    /// Texts that may name routes; the first that does counts.
    pub(crate) subject: &'a [String],
}

/// The facts of any intent but that of what is wrong, which has findings of its own.
pub(crate) async fn facts(asked: Asked<'_>) -> Found {
    match asked.question.intent {
        Intent::PerformanceReport => performance::report(asked).await,
        Intent::SlowestRoutes => performance::slowest(asked).await,
        Intent::Compare => performance::compare(asked).await,
        Intent::SessionStatus => estate::sessions(asked).await,
        Intent::ConcurrentUsers => estate::users(asked).await,
        Intent::Health => Ok(estate::health(asked)),
        Intent::Changes => estate::changes(asked).await,
        Intent::PastFailures => past::failures(asked).await,
        Intent::ErrorsByKind => errors::by_kind(asked).await,
        Intent::Bottleneck => bottleneck::bottleneck(asked).await,
        Intent::SlowestSql => bottleneck::slowest_sql(asked).await,
        Intent::Transaction => activity::transaction(asked).await,
        Intent::Activity => activity::activity(asked).await,
        Intent::Capacity => capacity::capacity(asked).await,
        Intent::WhatIsWrong | Intent::Unknown => Ok(Facts::default()),
    }
}

impl Asked<'_> {
    /// The routes in a window; only those that the question names, if it names any.
    async fn routes(&self, window: Window) -> Result<Vec<RouteStats>, TelemetryError> {
        let mut routes = self.telemetry.route_stats(window).await?;
        let named = self.named(&routes);
        if !named.is_empty() {
            routes.retain(|route| named.contains(&route.route));
        }
        Ok(routes)
    }

    fn named(&self, routes: &[RouteStats]) -> Vec<String> {
        let known: BTreeSet<&str> = routes.iter().map(|route| route.route.as_str()).collect();
        let named = self.subject.iter().map(|text| named_routes(text, &known));
        named.into_iter().find(|named| !named.is_empty()).unwrap_or_default()
    }

    /// The one route that the question names, if there is one in the window.
    async fn route(&self) -> Result<Option<String>, TelemetryError> {
        self.route_within(self.window).await
    }

    async fn route_within(&self, window: Window) -> Result<Option<String>, TelemetryError> {
        if self.subject.iter().all(|text| text.trim().is_empty()) {
            return Ok(None);
        }
        let routes = self.telemetry.route_stats(window).await?;
        Ok(match self.named(&routes).as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        })
    }

    /// All of a window as one point: exact percentiles over all routes, or over one.
    async fn whole(&self, window: Window, route: Option<String>) -> Result<SeriesPoint, TelemetryError> {
        let query = SeriesQuery { window, step_us: window.length_us().max(1), route };
        let none =
            SeriesPoint { start_us: window.from_us, count: 0, errors: 0, p50_us: 0, p95_us: 0, p99_us: 0 };
        Ok(self.telemetry.series(&query).await?.into_iter().next().unwrap_or(none))
    }

    async fn series(
        &self,
        window: Window,
        step_us: u64,
        route: Option<String>,
    ) -> Result<Vec<SeriesPoint>, TelemetryError> {
        self.telemetry.series(&SeriesQuery { window, step_us, route }).await
    }
}

/// The query of the admin API for a window.
fn source(path: &str, window: Window) -> String {
    format!("/api/{path}?from_us={}&to_us={}", window.from_us, window.to_us)
}

/// The step of a chart: whole seconds.
fn chart_step(window: Window) -> u64 {
    (window.length_us() / CHART_POINTS).div_ceil(SECOND_US).max(1) * SECOND_US
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn per_second(count: u64, length_us: u64) -> f64 {
    count as f64 * 1e6 / length_us.max(1) as f64
}

fn chart(name: &'static str, unit: Unit, points: Vec<(u64, f64)>, source: String) -> Chart {
    Chart { name, label: String::new(), unit, points, band: Vec::new(), source }
}
