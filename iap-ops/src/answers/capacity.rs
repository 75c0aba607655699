//! The traffic to come.

use iap_apm::{SeriesPoint, Window};

use super::{Asked, Found, chart, per_second, source};
use crate::facts::{Facts, Unit, figure};
use crate::forecast::{Forecast, forecast_with};
use crate::question::AskedTime;

const HOUR_US: u64 = 3_600_000_000;
/// History that is read: five weeks.
const READ_US: u64 = 35 * 24 * HOUR_US;
/// Hours of a forecast whose end is not asked for, and of the longest one.
const USUAL_HOURS: u64 = 31 * 24;
const MAX_HOURS: u64 = 62 * 24;
/// Points of history in the chart: a week.
const SHOWN: usize = 168;

/// The forecast for the window, or for what comes next where the question names none to come.
pub(super) async fn capacity(asked: Asked<'_>) -> Found {
    let mut facts = Facts::default();
    let end_us = asked.now_us / HOUR_US * HOUR_US;
    let read = Window::last(READ_US, end_us);
    let route = asked.route_within(read).await?;
    let points = asked.series(read, HOUR_US, route).await?;
    let Some(first) = points.iter().position(|point| point.count > 0) else {
        return Ok(super::performance::nothing());
    };
    let known = &points[first..];
    let rates: Vec<f64> = known.iter().map(|point| per_second(point.count, HOUR_US)).collect();
    let since_us = known[0].start_us;
    let (from, hours) = horizon(asked, end_us);
    let is_off = |step: usize| asked.zone.is_day_off(since_us + step as u64 * HOUR_US);
    let Some(made) = forecast_with(&rates, from as usize, hours as usize, &is_off) else {
        facts.say(
            "too_little_history",
            [figure("hours", rates.len(), Unit::Count), figure("needed", 48_u64, Unit::Count)],
        );
        facts.empty = true;
        return Ok(facts);
    };
    facts.say(
        "history_read",
        [
            figure("from", since_us, Unit::Time),
            figure("to", end_us, Unit::Time),
            figure("hours", rates.len(), Unit::Count),
            figure("season", made.season, Unit::Count),
        ],
    );
    let (from_us, to_us) = (end_us + from * HOUR_US, end_us + (from + hours) * HOUR_US);
    say(&mut facts, &made, known, (from_us, to_us));
    if let Some(limit) = asked.question.named.limit_per_second {
        facts.say(
            "probability",
            [
                figure("limit", limit, Unit::PerSecond),
                figure("probability", made.exceeds(limit), Unit::Percent),
            ],
        );
    }
    draw(&mut facts, &made, (known, &rates), (from_us, source("series", read) + "&step_s=3600"));
    Ok(facts)
}

/// The first hour of the forecast after the history, and how many.
fn horizon(asked: Asked<'_>, end_us: u64) -> (u64, u64) {
    let ahead = matches!(asked.question.time, AskedTime::NextMonth | AskedTime::NextWeek);
    // `in the next 3 days` is a length.
    let (from, to) = match ahead {
        true => (
            asked.window.from_us.saturating_sub(end_us) / HOUR_US,
            asked.window.to_us.saturating_sub(end_us) / HOUR_US,
        ),
        false => (0, if asked.question.timed { asked.window.length_us() / HOUR_US } else { USUAL_HOURS }),
    };
    (from, to.saturating_sub(from).clamp(1, MAX_HOURS))
}

fn say(facts: &mut Facts, made: &Forecast, known: &[SeriesPoint], (from_us, to_us): (u64, u64)) {
    let mean = made.points.iter().map(|point| point.value).sum::<f64>() / made.points.len().max(1) as f64;
    let peak = made.points.iter().enumerate().max_by(|(_, a), (_, b)| a.value.total_cmp(&b.value));
    let past = known.iter().max_by_key(|point| point.count);
    let mut figures = vec![
        figure("from", from_us, Unit::Time),
        figure("to", to_us, Unit::Time),
        figure("mean", mean, Unit::PerSecond),
        figure("past_peak", past.map(|point| per_second(point.count, HOUR_US)), Unit::PerSecond),
    ];
    if let Some((at, point)) = peak {
        figures.extend([
            figure("peak", point.value, Unit::PerSecond),
            figure("at", from_us + at as u64 * HOUR_US, Unit::Time),
            figure("low", point.range_80.0, Unit::PerSecond),
            figure("high", point.range_80.1, Unit::PerSecond),
            figure("high_95", point.range_95.1, Unit::PerSecond),
        ]);
    }
    facts.say("forecast", figures);
    facts.say(
        if made.trend == 0.0 { "model" } else { "model_with_trend" },
        [
            figure("trend", made.trend, Unit::PerSecond),
            figure("mean_error", made.mean_error, Unit::PerSecond),
            figure("tested", made.tested, Unit::Count),
        ],
    );
    if let Some(coverage) = made.coverage_80 {
        facts.say("coverage", [figure("coverage", coverage, Unit::Percent)]);
    }
}

fn draw(
    facts: &mut Facts,
    made: &Forecast,
    (known, rates): (&[SeriesPoint], &[f64]),
    (from_us, source): (u64, String),
) {
    let skipped = known.len().saturating_sub(SHOWN);
    let past = known.iter().zip(rates).skip(skipped).map(|(point, rate)| (point.start_us, *rate));
    let at = |index: usize| from_us + index as u64 * HOUR_US;
    let ahead = made.points.iter().enumerate();
    let points = past.chain(ahead.clone().map(|(index, point)| (at(index), point.value))).collect();
    let mut drawn = chart("forecast", Unit::PerSecond, points, source);
    drawn.band = ahead.map(|(index, point)| (at(index), point.range_80.0, point.range_80.1)).collect();
    facts.charts.push(drawn);
}
