//! Metrics: series by name, points and exemplars by series.

use std::collections::HashMap;
use std::fmt::Write;

use iap_core::{SpanId, TraceId};

use super::clamp;
use super::client::{Client, Params};
use super::rows::{Reader, damaged};
use crate::error::HistoryError;
use crate::history::metric_query::{MAX_EXEMPLARS_READ, MAX_POINTS_READ, MAX_SERIES_READ};
use crate::history::metric_query::{spread, too_many_points, too_many_series};
use crate::history::{
    Evaluation, MAX_METRICS, MetricAnswer, MetricInfo, MetricNamesQuery, MetricQuery, codec,
};
use crate::model::{MetricExemplar, MetricKind, MetricPoint, MetricSeries, MetricValue, Temporality, Window};

/// Series that one statement names.
const SERIES_AT_ONCE: usize = 1_000;

type SeriesId = [u8; 16];

pub(super) async fn names(
    client: &Client,
    query: &MetricNamesQuery,
) -> Result<Vec<MetricInfo>, HistoryError> {
    let (condition, params) = of_service(window(query.window), query.service.as_deref());
    let sql = format!(
        "SELECT name, kind, max(unit), max(description), arraySort(groupUniqArray(toString(service))),
           arraySort(groupUniqArrayArray(mapKeys(labels))), uniqExact(id)
         FROM metric_series WHERE {condition} AND id IN (
           SELECT series FROM metric_points WHERE time_us >= {{from:UInt64}} AND time_us < {{to:UInt64}})
         GROUP BY name, kind ORDER BY name, kind LIMIT {MAX_METRICS}"
    );
    Reader::all(&client.select(&sql, params).await?, |row| {
        Ok(MetricInfo {
            name: row.text()?,
            kind: kind(row)?,
            unit: row.text()?,
            description: row.text()?,
            services: row.list(Reader::text)?,
            labels: row.list(Reader::text)?,
            series: row.number()?,
        })
    })
}

pub(super) async fn evaluate(client: &Client, query: &MetricQuery) -> Result<MetricAnswer, HistoryError> {
    let window = Evaluation::window(query);
    let known = series_of(client, query).await?;
    let all: Vec<MetricSeries> = known.iter().map(|(_, _, series)| series.clone()).collect();
    let mut evaluation = Evaluation::new(query, &all)?;
    let read: Vec<usize> = (0..all.len()).filter(|at| evaluation.reads(*at)).collect();
    let mut room = MAX_POINTS_READ;
    for some in read.chunks(SERIES_AT_ONCE) {
        let ids = some.iter().map(|at| known[*at].0);
        let mut points = points(client, ids, window, room + 1).await?;
        for at in some {
            let (id, first_us, _) = &known[*at];
            let of = points.remove(id).unwrap_or_default();
            room = room.checked_sub(of.len()).ok_or_else(too_many_points)?;
            evaluation.add(*at, of, *first_us < window.from_us);
        }
    }
    let asked: Vec<SeriesId> =
        (0..all.len()).filter(|at| evaluation.asks_for(*at)).map(|at| known[at].0).collect();
    let mut found = Vec::new();
    for some in asked.chunks(SERIES_AT_ONCE) {
        if found.len() >= MAX_EXEMPLARS_READ {
            break;
        }
        found.extend(exemplars(client, some.iter().copied(), query.window).await?);
    }
    Ok(MetricAnswer { exemplars: spread(found), ..evaluation.finish() })
}

/// The series of a metric, each with when its first point was, sorted.
async fn series_of(
    client: &Client,
    query: &MetricQuery,
) -> Result<Vec<(SeriesId, u64, MetricSeries)>, HistoryError> {
    let (condition, params) = of_service(Params::default(), query.service.as_deref());
    let sql = format!(
        "SELECT id, min(first_us) AS first, any(service), any(kind), any(cumulative), any(labels), max(unit),
           max(description)
         FROM metric_series WHERE {condition} AND name = {{name:String}} GROUP BY id
         ORDER BY any(service), any(kind), id LIMIT {}",
        MAX_SERIES_READ + 1
    );
    let found = Reader::all(&client.select(&sql, params.text("name", &query.name)).await?, |row| {
        let (id, first_us) = (row.array()?, row.number()?);
        let (service, kind, cumulative) = (row.text()?, kind(row)?, row.byte()? != 0);
        let temporality = if cumulative { Temporality::Cumulative } else { Temporality::Delta };
        let labels = row.list(|row| Ok((row.text()?, row.text()?)))?.into_iter().collect();
        let (name, unit, description) = (query.name.clone(), row.text()?, row.text()?);
        Ok((id, first_us, MetricSeries { service, name, kind, temporality, labels, unit, description }))
    })?;
    if found.len() > MAX_SERIES_READ { Err(too_many_series()) } else { Ok(found) }
}

async fn points(
    client: &Client,
    ids: impl Iterator<Item = SeriesId>,
    span: Window,
    limit: usize,
) -> Result<HashMap<SeriesId, Vec<MetricPoint>>, HistoryError> {
    let sql = format!(
        "SELECT series, time_us, start_us, number, value FROM metric_points WHERE series IN ({})
         AND time_us >= {{from:UInt64}} AND time_us < {{to:UInt64}} LIMIT {limit}",
        list(ids)
    );
    let answer = client.select(&sql, window(span)).await?;
    let mut found: HashMap<SeriesId, Vec<MetricPoint>> = HashMap::new();
    Reader::all(&answer, |row| {
        let (id, time_us, start_us, number) = (row.array()?, row.number()?, row.number()?, row.float()?);
        let value = match row.bytes()? {
            [] => MetricValue::Number(number),
            bytes => codec::decode(bytes).map_err(|error| damaged().with_source(error))?,
        };
        found.entry(id).or_default().push(MetricPoint { time_us, start_us, value });
        Ok(())
    })?;
    Ok(found)
}

async fn exemplars(
    client: &Client,
    ids: impl Iterator<Item = SeriesId>,
    span: Window,
) -> Result<Vec<MetricExemplar>, HistoryError> {
    let sql = format!(
        "SELECT time_us, value, trace_id, span_id FROM metric_exemplars WHERE series IN ({})
         AND time_us >= {{from:UInt64}} AND time_us < {{to:UInt64}}
         ORDER BY time_us DESC LIMIT {MAX_EXEMPLARS_READ}",
        list(ids)
    );
    Reader::all(&client.select(&sql, window(span)).await?, |row| {
        Ok(MetricExemplar {
            time_us: row.number()?,
            value: row.float()?,
            trace_id: TraceId(row.array()?),
            span_id: Some(row.array()?).filter(|id| *id != [0; 8]).map(SpanId),
        })
    })
}

/// Our own hashes, which no text of others is in.
fn list(ids: impl Iterator<Item = SeriesId>) -> String {
    let mut list = String::new();
    for id in ids {
        let _ = write!(
            list,
            "{}unhex('{:032x}')",
            if list.is_empty() { "" } else { "," },
            u128::from_be_bytes(id)
        );
    }
    list
}

fn window(window: Window) -> Params {
    Params::default().number("from", clamp(window.from_us)).number("to", clamp(window.to_us))
}

fn of_service(params: Params, service: Option<&str>) -> (&'static str, Params) {
    match service {
        Some(service) => ("service = {service:String}", params.text("service", service)),
        None => ("1", params),
    }
}

fn kind(row: &mut Reader<'_>) -> Result<MetricKind, HistoryError> {
    MetricKind::ALL.get(usize::from(row.byte()?)).copied().ok_or_else(damaged)
}
