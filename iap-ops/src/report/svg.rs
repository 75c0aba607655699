//! Charts as SVG.

use std::fmt::Write as _;

use iap_core::html::escape;

use crate::facts::{Chart, Value, show};
use crate::zone::Zone;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;
/// Points that are drawn.
const MAX_POINTS: usize = 1_500;

/// A line over time, with the interval of a forecast behind it.
pub(super) fn svg(chart: &Chart, zone: &Zone) -> String {
    let points = &chart.points[chart.points.len().saturating_sub(MAX_POINTS)..];
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let values = points.iter().map(|point| point.1).chain(chart.band.iter().map(|point| point.2));
    let top = nice(values.fold(0.0, f64::max));
    let span = (last.0.saturating_sub(first.0)).max(1) as f64;
    let x = |at: u64| LEFT + (WIDTH - LEFT - RIGHT) * at.saturating_sub(first.0) as f64 / span;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value / top).clamp(0.0, 1.0));
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(&chart.label)
    );
    for part in [0.0, 0.5, 1.0] {
        let (line, label) = (y(top * part), show(&Value::Number(top * part), chart.unit, zone));
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{line:.1}\" y2=\"{line:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            line + 4.0,
            escape(&label)
        );
    }
    for (part, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let at = first.0 + (span * part) as u64;
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x(at),
            HEIGHT - 8.0,
            zone.minute(at)
        );
    }
    if !chart.band.is_empty() {
        let upper = chart.band.iter().map(|(at, _, high)| (*at, *high));
        let lower = chart.band.iter().rev().map(|(at, low, _)| (*at, *low));
        let _ = write!(out, "<polygon class=\"band\" points=\"{}\"/>", path(upper.chain(lower), &x, &y));
    }
    let _ =
        write!(out, "<polyline class=\"line\" points=\"{}\"/></svg>", path(points.iter().copied(), &x, &y));
    out
}

fn path(points: impl Iterator<Item = (u64, f64)>, x: &dyn Fn(u64) -> f64, y: &dyn Fn(f64) -> f64) -> String {
    points.map(|(at, value)| format!("{:.1},{:.1}", x(at), y(value))).collect::<Vec<_>>().join(" ")
}

/// The next value that is easy to read.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}
