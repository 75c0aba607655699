//! The failures of a period: stretches of time in which much failed, and what failed in them.

use iap_apm::{SeriesPoint, Window};

use super::{Asked, Found, percent, source};
use crate::cause::Evidence;
use crate::facts::{Facts, Table, Unit, Value, figure};
use crate::findings::{culprit_of, worst_route};

/// A step is a part of an incident from this share of failures on, in percent, and this number.
const PERCENT: f64 = 5.0;
const ERRORS: u64 = 3;
/// Incidents whose cause is looked for: the longest lists are of small ones.
const EXAMINED: usize = 10;
const MINUTE_US: u64 = 60_000_000;
/// Steps of the window.
const STEPS: u64 = 1_500;

/// Steps that follow each other.
#[derive(Debug, Clone, PartialEq)]
struct Incident {
    window: Window,
    count: u64,
    errors: u64,
}

/// The incidents of the window, with their causes.
pub(super) async fn failures(asked: Asked<'_>) -> Found {
    let mut facts = Facts::default();
    let window = asked.window;
    let detected = detected(asked);
    let route = asked.route().await?;
    let step_us = (window.length_us() / STEPS).div_ceil(MINUTE_US).max(1) * MINUTE_US;
    let points = asked.series(window, step_us, route.clone()).await?;
    let (count, errors) =
        points.iter().fold((0, 0), |(count, errors), point| (count + point.count, errors + point.errors));
    if count == 0 {
        let mut nothing = super::performance::nothing();
        if let Some(table) = detected {
            nothing.empty = false;
            nothing.tables.push(table);
        }
        return Ok(nothing);
    }
    let incidents = incidents(&points, step_us);
    facts.problem = !incidents.is_empty();
    facts.say(
        if incidents.is_empty() { "no_incidents" } else { "incidents" },
        [
            figure("incidents", incidents.len(), Unit::Count),
            figure("errors", errors, Unit::Count),
            figure("count", count, Unit::Count),
            figure("error_percent", percent(errors, count), Unit::Percent),
        ],
    );
    facts.say(
        "incident_rule",
        [
            figure("step", step_us, Unit::Us),
            figure("least", ERRORS, Unit::Count),
            figure("share", PERCENT, Unit::Percent),
        ],
    );
    if let Some(detected) = detected {
        facts.problem = true;
        facts.say(
            "detected_incidents",
            [figure("detected", detected.rows.len() + detected.more as usize, Unit::Count)],
        );
        facts.tables.push(detected);
    }
    facts.tables.push(table(asked, &incidents, route).await?);
    let source = format!("{}&step_s={}", source("series", window), step_us / super::SECOND_US);
    let failed = points.iter().map(|point| (point.start_us, point.errors as f64)).collect();
    facts.charts.push(super::chart("errors", Unit::Count, failed, source));
    Ok(facts)
}

/// What detection has found, with its causes, where it looks; the latest first.
fn detected(asked: Asked<'_>) -> Option<Table> {
    let found = asked.telemetry.estate()?.incidents(asked.window)?;
    let columns = [
        ("incident", Unit::Count),
        ("from", Unit::Time),
        ("length", Unit::Us),
        ("kind", Unit::Text),
        ("route", Unit::Route),
        ("cause", Unit::Code),
        ("error_percent", Unit::Percent),
        ("confidence", Unit::Percent),
        ("trace", Unit::Trace),
    ];
    let mut table = Table::new("detected", &columns, source("incidents", asked.window));
    for incident in &found {
        let cause = &incident.cause;
        let end_us = incident.resolved_s.map_or(asked.now_us, |at_s| at_s * super::SECOND_US);
        let from_us = incident.began_s * super::SECOND_US;
        let trace = cause.evidence.iter().find_map(|evidence| match evidence {
            Evidence::Trace(id) => Some(id.as_str()),
            _ => None,
        });
        table.push(vec![
            incident.id.into(),
            from_us.into(),
            end_us.saturating_sub(from_us).into(),
            cause.kind.as_str().into(),
            cause.route.as_deref().into(),
            cause.name.as_str().into(),
            cause.impact.share_percent.into(),
            (cause.confidence * 100.0).into(),
            trace.into(),
        ]);
    }
    (!found.is_empty()).then_some(table)
}

async fn table(
    asked: Asked<'_>,
    incidents: &[Incident],
    route: Option<String>,
) -> Result<Table, crate::TelemetryError> {
    let columns = [
        ("from", Unit::Time),
        ("length", Unit::Us),
        ("errors", Unit::Count),
        ("count", Unit::Count),
        ("error_percent", Unit::Percent),
        ("route", Unit::Route),
        ("cause", Unit::Code),
        ("error", Unit::Text),
        ("trace", Unit::Trace),
    ];
    let mut table =
        Table::new("incidents", &columns, format!("{}&errors=true", source("transactions", asked.window)));
    for (at, incident) in incidents.iter().enumerate() {
        let mut row: Vec<Value> = vec![
            incident.window.from_us.into(),
            incident.window.length_us().into(),
            incident.errors.into(),
            incident.count.into(),
            percent(incident.errors, incident.count).into(),
        ];
        if at < EXAMINED {
            let worst = match &route {
                Some(route) => Some(route.clone()),
                None => worst_route(asked.telemetry, incident.window).await?,
            };
            let found = match &worst {
                Some(route) => culprit_of(asked.telemetry, incident.window, route).await?,
                None => (None, Vec::new()),
            };
            let (culprit, evidence) = found;
            row.extend([
                worst.as_deref().into(),
                culprit.as_ref().map(|culprit| culprit.blame.name.as_str()).into(),
                culprit.as_ref().and_then(|culprit| culprit.error.as_deref()).into(),
                evidence.first().map(String::as_str).into(),
            ]);
        } else {
            row.extend([Value::None, Value::None, Value::None, Value::None]);
        }
        table.push(row);
    }
    Ok(table)
}

/// Steps in which much failed, joined where they follow each other; the latest first.
fn incidents(points: &[SeriesPoint], step_us: u64) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = Vec::new();
    for point in points {
        if point.errors < ERRORS || percent(point.errors, point.count) < PERCENT {
            continue;
        }
        let end_us = point.start_us + step_us;
        match incidents.last_mut() {
            // One quiet step in between does not end it.
            Some(last) if point.start_us <= last.window.to_us + step_us => {
                last.window.to_us = end_us;
                last.count += point.count;
                last.errors += point.errors;
            }
            _ => incidents.push(Incident {
                window: Window::new(point.start_us, end_us),
                count: point.count,
                errors: point.errors,
            }),
        }
    }
    incidents.reverse();
    incidents
}
