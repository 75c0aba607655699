//! Metrics in the files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use iap_core::{SpanId, TraceId};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::disk::FileId;
use super::files::Files;
use super::schema::unsigned;
use super::writer::{clamp, conversion, hash_of};
use crate::error::HistoryError;
use crate::history::metric_query::{MAX_EXEMPLARS_READ, MAX_POINTS_READ, MAX_SERIES_READ};
use crate::history::metric_query::{spread, too_many_points, too_many_series};
use crate::history::{
    Evaluation, MAX_METRICS, MetricAnswer, MetricInfo, MetricNamesQuery, MetricQuery, SeriesExemplars,
    SeriesPoints, codec,
};
use crate::model::{MetricExemplar, MetricKind, MetricPoint, MetricSeries, MetricValue, Temporality, Window};

pub(super) fn insert(connection: &Connection, metrics: &[SeriesPoints]) -> rusqlite::Result<()> {
    let mut range: Option<(u64, u64)> = None;
    for SeriesPoints { series, points } in metrics {
        let id = insert_series(connection, series)?;
        let sql = "INSERT OR IGNORE INTO metric_points VALUES (?1, ?2, ?3, ?4)";
        let mut statement = connection.prepare_cached(sql)?;
        for point in points {
            let time = point.time_us;
            range = Some(range.map_or((time, time), |(low, high)| (low.min(time), high.max(time))));
            let value = match &point.value {
                MetricValue::Number(number) => Value::Real(*number),
                value => Value::Blob(codec::encode(value)),
            };
            statement.execute(params![id, clamp(time), clamp(point.start_us), value])?;
        }
    }
    let Some((low, high)) = range else { return Ok(()) };
    let sql = "INSERT INTO metric_range VALUES (0, ?1, ?2)
        ON CONFLICT DO UPDATE SET low = min(low, ?1), high = max(high, ?2)";
    connection.prepare_cached(sql)?.execute(params![clamp(low), clamp(high)])?;
    Ok(())
}

pub(super) fn insert_exemplars(connection: &Connection, all: &[SeriesExemplars]) -> rusqlite::Result<()> {
    for SeriesExemplars { series, exemplars } in all {
        let id = insert_series(connection, series)?;
        let sql = "INSERT OR IGNORE INTO metric_exemplars VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut statement = connection.prepare_cached(sql)?;
        for MetricExemplar { time_us, value, trace_id, span_id } in exemplars {
            let span = span_id.map(|id| id.0.to_vec()).unwrap_or_default();
            statement.execute(params![id, clamp(*time_us), trace_id.0, span, value])?;
        }
    }
    Ok(())
}

/// The number of a series, which is the same in each file unless two series have the same hash.
fn insert_series(connection: &Connection, series: &MetricSeries) -> rusqlite::Result<i64> {
    let labels = serde_json::to_string(&series.labels).map_err(conversion)?;
    let (kind, cumulative) = (series.kind as u8, series.temporality == Temporality::Cumulative);
    let identity = [&series.name, "\0", &series.service, "\0", &labels].concat();
    let mut id = hash_of(&[&[kind, u8::from(cumulative)], identity.as_bytes()].concat());
    let sql = "SELECT name = ?2 AND service = ?3 AND kind = ?4 AND cumulative = ?5 AND labels = ?6
        FROM metric_series WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    loop {
        let known = params![id, series.name, series.service, kind, cumulative, labels];
        match statement.query_row(known, |row| row.get(0)).optional()? {
            Some(true) => return Ok(id),
            Some(false) => id = id.wrapping_add(1),
            None => break,
        }
    }
    let sql = "INSERT INTO metric_series VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.prepare_cached(sql)?.execute(params![
        id,
        series.name,
        series.service,
        kind,
        cumulative,
        labels,
        series.unit,
        series.description
    ])?;
    Ok(id)
}

pub(super) fn names(files: &Files, query: &MetricNamesQuery) -> Result<Vec<MetricInfo>, HistoryError> {
    let mut found: BTreeMap<(String, MetricKind), Found> = BTreeMap::new();
    let (from, to) = (clamp(query.window.from_us), clamp(query.window.to_us));
    let sql = "SELECT * FROM metric_series WHERE (?1 IS NULL OR service = ?1) AND EXISTS (
        SELECT 1 FROM metric_points WHERE series = id AND time_us >= ?2 AND time_us < ?3)";
    for id in files.in_window(query.window) {
        let rows = files.query(id, |connection| {
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map(params![query.service, from, to], series)?.collect::<Result<Vec<_>, _>>()
        })?;
        for (_, series) in rows.into_iter().flatten() {
            let key = (series.name.clone(), series.kind);
            if found.len() < MAX_METRICS || found.contains_key(&key) {
                found.entry(key).or_default().add(series);
            }
        }
    }
    Ok(found.into_iter().map(|((name, kind), found)| found.info(name, kind)).collect())
}

/// What is known of a metric.
#[derive(Default)]
struct Found {
    unit: String,
    description: String,
    services: BTreeSet<String>,
    labels: BTreeSet<String>,
    /// Hashes of its series, since files repeat them.
    series: BTreeSet<i64>,
}

impl Found {
    fn add(&mut self, series: MetricSeries) {
        if self.unit.is_empty() {
            self.unit = series.unit;
        }
        if self.description.is_empty() {
            self.description = series.description;
        }
        let identity = format!("{}\0{:?}\0{:?}", series.service, series.temporality, series.labels);
        self.series.insert(hash_of(identity.as_bytes()));
        self.services.insert(series.service);
        self.labels.extend(series.labels.into_keys());
    }

    fn info(self, name: String, kind: MetricKind) -> MetricInfo {
        MetricInfo {
            name,
            kind,
            unit: self.unit,
            description: self.description,
            services: self.services.into_iter().collect(),
            labels: self.labels.into_iter().collect(),
            series: self.series.len() as u64,
        }
    }
}

pub(super) fn evaluate(files: &Files, query: &MetricQuery) -> Result<MetricAnswer, HistoryError> {
    let window = Evaluation::window(query);
    let places = places(files, query)?;
    let all: Vec<MetricSeries> = places.iter().map(|(series, _)| series.clone()).collect();
    let mut evaluation = Evaluation::new(query, &all)?;
    let mut room = MAX_POINTS_READ;
    for (at, (_, ids)) in places.iter().enumerate() {
        if !evaluation.reads(at) {
            continue;
        }
        let (mut points, mut before) = (Vec::new(), false);
        for (file, id) in ids {
            let read = files.query(*file, |connection| {
                let sql = "SELECT EXISTS (SELECT 1 FROM metric_points WHERE series = ?1 AND time_us < ?2)";
                let from = clamp(window.from_us);
                let mut statement = connection.prepare_cached(sql)?;
                let older: bool = statement.query_row(params![id, from], |row| row.get(0))?;
                let sql = format!(
                    "SELECT time_us, start_us, value FROM metric_points
                     WHERE series = ?1 AND time_us >= ?2 AND time_us < ?3 LIMIT {}",
                    MAX_POINTS_READ + 1
                );
                let mut statement = connection.prepare_cached(&sql)?;
                let rows = statement.query_map(params![id, from, clamp(window.to_us)], point)?;
                Ok((older, rows.take(room + 1).collect::<Result<Vec<_>, _>>()?))
            })?;
            let Some((older, more)) = read else { continue };
            before |= older;
            room = room.checked_sub(more.len()).ok_or_else(too_many_points)?;
            points.extend(more);
        }
        evaluation.add(at, points, before);
    }
    let read: Vec<&Place> = places
        .iter()
        .enumerate()
        .filter(|(at, _)| evaluation.asks_for(*at))
        .map(|(_, place)| place)
        .collect();
    let exemplars = exemplars(files, query.window, &read)?;
    Ok(MetricAnswer { exemplars, ..evaluation.finish() })
}

/// Exemplars of these series.
fn exemplars(files: &Files, window: Window, places: &[&Place]) -> Result<Vec<MetricExemplar>, HistoryError> {
    let mut found: Vec<MetricExemplar> = Vec::new();
    for (file, id) in places.iter().flat_map(|(_, ids)| ids) {
        let sql = format!(
            "SELECT time_us, value, trace_id, span_id FROM metric_exemplars
             WHERE series = ?1 AND time_us >= ?2 AND time_us < ?3 ORDER BY time_us DESC LIMIT {MAX_EXEMPLARS_READ}"
        );
        let more = files.query(*file, |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let values = params![id, clamp(window.from_us), clamp(window.to_us)];
            statement.query_map(values, exemplar)?.collect::<Result<Vec<_>, _>>()
        })?;
        found.extend(more.into_iter().flatten());
        if found.len() >= MAX_EXEMPLARS_READ {
            break;
        }
    }
    Ok(spread(found))
}

fn exemplar(row: &Row<'_>) -> rusqlite::Result<MetricExemplar> {
    let span: Vec<u8> = row.get(3)?;
    Ok(MetricExemplar {
        time_us: unsigned(row, 0)?,
        value: row.get(1)?,
        trace_id: TraceId(row.get(2)?),
        span_id: span.try_into().ok().map(SpanId),
    })
}

/// A series, and its number in each file that has it.
type Place = (MetricSeries, Vec<(FileId, i64)>);

/// The series of the metric, sorted.
fn places(files: &Files, query: &MetricQuery) -> Result<Vec<Place>, HistoryError> {
    let mut places: HashMap<String, Place> = HashMap::new();
    let sql = "SELECT * FROM metric_series WHERE name = ?1 AND (?2 IS NULL OR service = ?2)";
    for file in files.in_window(Evaluation::window(query)) {
        let rows = files.query(file, |connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![query.name, query.service], series)?;
            rows.take(MAX_SERIES_READ + 1).collect::<Result<Vec<_>, _>>()
        })?;
        for (id, series) in rows.into_iter().flatten() {
            let identity = format!(
                "{}\0{:?}\0{:?}\0{:?}",
                series.service, series.kind, series.temporality, series.labels
            );
            places.entry(identity).or_insert_with(|| (series, Vec::new())).1.push((file, id));
        }
        if places.len() > MAX_SERIES_READ {
            return Err(too_many_series());
        }
    }
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(places.into_iter().map(|(_, place)| place).collect())
}

fn series(row: &Row<'_>) -> rusqlite::Result<(i64, MetricSeries)> {
    let kind = MetricKind::ALL.get(usize::from(row.get::<_, u8>(3)?)).copied();
    let cumulative: bool = row.get(4)?;
    let series = MetricSeries {
        name: row.get(1)?,
        service: row.get(2)?,
        kind: kind.ok_or_else(|| conversion("a stored metric is of no known kind"))?,
        temporality: if cumulative { Temporality::Cumulative } else { Temporality::Delta },
        labels: serde_json::from_str(row.get_ref(5)?.as_str()?).map_err(conversion)?,
        unit: row.get(6)?,
        description: row.get(7)?,
    };
    Ok((row.get(0)?, series))
}

fn point(row: &Row<'_>) -> rusqlite::Result<MetricPoint> {
    Ok(MetricPoint {
        time_us: unsigned(row, 0)?,
        start_us: unsigned(row, 1)?,
        value: match row.get_ref(2)? {
            ValueRef::Real(number) => MetricValue::Number(number),
            ValueRef::Integer(number) => MetricValue::Number(number as f64),
            other => codec::decode(other.as_blob()?).map_err(conversion)?,
        },
    })
}
