//! Where the time goes, and what to do about it.

use iap_apm::RouteStats;

use super::sampled::{Sample, Seen};
use super::{Asked, Found, advice, percent, source};
use crate::blame::{Blame, BlameKind};
use crate::facts::{Facts, Table, Unit, Value, figure};

/// Things that are given advice on.
const ADVISED: usize = 3;
/// A part of the time from which a thing is worth it, in percent.
const WORTH_PERCENT: f64 = 10.0;

const COLUMNS: [(&str, Unit); 8] = [
    ("thing", Unit::Code),
    ("time_percent", Unit::Percent),
    ("mean", Unit::Us),
    ("max", Unit::Us),
    ("traces", Unit::Count),
    ("trace", Unit::Trace),
    ("kind", Unit::Text),
    ("service", Unit::Text),
];

/// The things that the slowest transactions of the busiest routes waited for.
pub(super) async fn bottleneck(asked: Asked<'_>) -> Found {
    let sample = Sample::read(asked).await?;
    if sample.traces == 0 {
        return Ok(super::performance::nothing());
    }
    let mut facts = Facts::default();
    examined(&mut facts, &sample);
    let source = format!("{}&order=slowest", source("transactions", asked.window));
    let mut table = Table::new("bottlenecks", &COLUMNS, source);
    for (blame, seen) in &sample.things {
        table.push(row(blame, seen, sample.time_us));
    }
    if let Some((blame, seen)) = sample.things.first() {
        facts.sentences.insert(0, first("bottleneck", blame, seen, sample.time_us));
    }
    facts.tables.push(table);
    for (blame, seen) in sample.things.iter().take(ADVISED) {
        if percent(seen.time_us, sample.time_us) < WORTH_PERCENT {
            continue;
        }
        let stats = seen.route().and_then(|route| sample.routes.iter().find(|stats| stats.route == route));
        advise(&mut facts, asked, blame, seen, (stats, sample.time_us)).await?;
    }
    Ok(facts)
}

/// The SQL statements that they waited for.
pub(super) async fn slowest_sql(asked: Asked<'_>) -> Found {
    let mut sample = Sample::read(asked).await?;
    if sample.traces == 0 {
        return Ok(super::performance::nothing());
    }
    let mut facts = Facts::default();
    sample.things.retain(|(blame, _)| blame.kind == BlameKind::Sql);
    examined(&mut facts, &sample);
    let Some((blame, seen)) = sample.things.first() else {
        facts.say("no_sql", []);
        return Ok(facts);
    };
    facts.sentences.insert(0, first("slowest_sql", blame, seen, sample.time_us));
    let source = format!("{}&order=slowest", source("transactions", asked.window));
    let mut table = Table::new("sql", &COLUMNS, source);
    for (blame, seen) in &sample.things {
        table.push(row(blame, seen, sample.time_us));
    }
    facts.tables.push(table);
    for (blame, seen) in sample.things.iter().take(ADVISED) {
        facts.advice.push(advice::statement(blame, seen, sample.time_us));
    }
    Ok(facts)
}

fn examined(facts: &mut Facts, sample: &Sample) {
    let count: u64 = sample.routes.iter().map(|route| route.count).sum();
    facts.say(
        "examined",
        [
            figure("traces", sample.traces, Unit::Count),
            figure("routes", sample.routes.len(), Unit::Count),
            figure("count", count, Unit::Count),
        ],
    );
}

fn first(says: &'static str, blame: &Blame, seen: &Seen, total_us: u64) -> crate::facts::Sentence {
    let figures = vec![
        figure("thing", blame.name.as_str(), Unit::Code),
        figure("service", blame.service.as_str(), Unit::Text),
        figure("time_percent", percent(seen.time_us, total_us), Unit::Percent),
        figure("mean", seen.time_us / seen.traces.max(1), Unit::Us),
        figure("traces", seen.traces, Unit::Count),
        figure("route", seen.route(), Unit::Route),
    ];
    crate::facts::Sentence::new(says, figures)
}

fn row(blame: &Blame, seen: &Seen, total_us: u64) -> Vec<Value> {
    let kind = match blame.kind {
        BlameKind::Sql => "SQL",
        BlameKind::Upstream => "upstream",
        BlameKind::Code => "code",
    };
    vec![
        blame.name.as_str().into(),
        percent(seen.time_us, total_us).into(),
        (seen.time_us / seen.traces.max(1)).into(),
        seen.max_us.into(),
        seen.traces.into(),
        seen.ids().first().map(String::as_str).into(),
        kind.into(),
        blame.service.as_str().into(),
    ]
}

async fn advise(
    facts: &mut Facts,
    asked: Asked<'_>,
    blame: &Blame,
    seen: &Seen,
    (stats, total_us): (Option<&RouteStats>, u64),
) -> Result<(), crate::TelemetryError> {
    match blame.kind {
        BlameKind::Sql => facts.advice.push(advice::statement(blame, seen, total_us)),
        BlameKind::Upstream => {
            if let Some(stats) = stats {
                let step_us = super::chart_step(asked.window);
                let points = asked.series(asked.window, step_us, Some(stats.route.clone())).await?;
                let busiest = points.iter().map(|point| point.count).max().unwrap_or(0);
                facts.advice.push(advice::pool(stats, seen, super::per_second(busiest, step_us)));
                facts.advice.extend(advice::time_out(asked, stats, seen).await?);
            }
        }
        BlameKind::Code => facts.advice.push(advice::code(blame, seen, total_us)),
    }
    Ok(())
}
