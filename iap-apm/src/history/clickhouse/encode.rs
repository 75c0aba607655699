//! Batches as rows of the tables.

use std::collections::HashMap;

use bytes::Bytes;

use super::clamp;
use super::rows::Rows;
use crate::history::{Batch, SeriesExemplars, SeriesPoints, TraceSpans, codec};
use crate::model::{LogLine, MetricSeries, MetricValue, Temporality, TimelineEvent, TransactionSummary};
use crate::sketch;

/// Series that are known to be in the table; with more of them some are told again.
const MAX_KNOWN: usize = 200_000;
/// The bytes of an insert from which on it is worth being packed.
const PACK_FROM: usize = 1 << 10;
const ZSTD_LEVEL: i32 = 1;

/// What of the rows is the same in all of a write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// Unix seconds.
    pub(super) arrived: u32,
    pub(super) node: &'a str,
}

/// The rows of a write, by table.
#[derive(Debug, Default)]
pub(super) struct Tables {
    transactions: Rows,
    spans: Rows,
    links: Rows,
    logs: Rows,
    series: Rows,
    points: Rows,
    exemplars: Rows,
    events: Rows,
    told: Told,
}

/// Series that are told with a write, with the earliest point of them: to be noted once it is done.
pub(super) type Told = HashMap<[u8; 16], u64>;

/// Series that were told on the day.
#[derive(Debug, Default)]
pub(super) struct Known {
    day: u32,
    first_us: Told,
}

/// What is sent for one table.
#[derive(Debug)]
pub(super) struct Insert {
    pub(super) sql: &'static str,
    pub(super) body: Bytes,
    /// As HTTP calls it.
    pub(super) encoding: Option<&'static str>,
}

impl Insert {
    fn new(sql: &'static str, rows: Vec<u8>) -> std::io::Result<Self> {
        if rows.len() < PACK_FROM {
            return Ok(Self { sql, body: Bytes::from(rows), encoding: None });
        }
        let packed = zstd::bulk::compress(&rows, ZSTD_LEVEL)?;
        Ok(Self { sql, body: Bytes::from(packed), encoding: Some("zstd") })
    }
}

impl Known {
    /// Forgets what was told on another day: each day's partition has what its points need.
    pub(super) fn on(&mut self, arrived: u32) {
        let day = arrived / 86_400;
        if day != self.day || self.first_us.len() > MAX_KNOWN {
            (self.day, self.first_us) = (day, Told::new());
        }
    }

    pub(super) fn note(&mut self, told: Told) {
        self.first_us.extend(told);
    }
}

impl Tables {
    pub(super) fn add(
        &mut self,
        batch: &Batch,
        stamp: Stamp<'_>,
        known: &Known,
    ) -> Result<(), serde_json::Error> {
        batch.transactions.iter().for_each(|row| self.transaction(row, stamp));
        batch.spans.iter().try_for_each(|trace| self.trace(trace, stamp))?;
        batch.logs.iter().try_for_each(|line| self.line(line, stamp))?;
        batch.metrics.iter().for_each(|series| self.points(series, stamp, known));
        batch.exemplars.iter().for_each(|series| self.exemplars(series, stamp));
        batch.events.iter().for_each(|event| self.event(event, stamp));
        Ok(())
    }

    /// What is sent, in the order of writing: what is listed comes last. Also the series that are told.
    pub(super) fn pack(self) -> std::io::Result<(Vec<Insert>, Told)> {
        let all = [
            ("INSERT INTO spans (arrived, node, trace_id, span_id, start_us, duration_us, service, name, body, kind,
              status, bucket) FORMAT RowBinary", self.spans),
            ("INSERT INTO links (arrived, target, target_span, trace_id, span_id, start_us, name, service)
              FORMAT RowBinary", self.links),
            ("INSERT INTO logs (arrived, node, time_us, hash, trace_id, span_id, level, service, target, message,
              fields) FORMAT RowBinary", self.logs),
            ("INSERT INTO metric_series (arrived, name, id, service, kind, cumulative, labels, unit, description,
              first_us) FORMAT RowBinary", self.series),
            ("INSERT INTO metric_points (arrived, node, series, time_us, start_us, number, value)
              FORMAT RowBinary", self.points),
            ("INSERT INTO metric_exemplars (arrived, series, time_us, trace_id, span_id, value)
              FORMAT RowBinary", self.exemplars),
            ("INSERT INTO events (arrived, time_us, hash, duration_us, kind, node, text)
              FORMAT RowBinary", self.events),
            ("INSERT INTO transactions (arrived, node, start_us, trace_id, span_id, parent_id, rank, service,
              duration_us, bucket, method, path, host, route, status, failed, error, message, user, session,
              client, bytes_out, weight) FORMAT RowBinary", self.transactions),
        ];
        let some = all.into_iter().filter(|(_, rows)| rows.count > 0);
        Ok((some.map(|(sql, rows)| Insert::new(sql, rows.bytes)).collect::<Result<_, _>>()?, self.told))
    }

    fn transaction(&mut self, row: &TransactionSummary, stamp: Stamp<'_>) {
        let duration_us = clamp(row.duration_us);
        let rows = &mut self.transactions;
        rows.word(stamp.arrived).text(stamp.node).number(clamp(row.start_us));
        rows.fixed(&row.trace_id.0).fixed(&row.span_id.0);
        rows.optional(row.parent_id, |rows, id| rows.fixed(&id.0)).byte(row.source as u8).text(&row.service);
        rows.number(duration_us).short(sketch::bucket(duration_us) as u16);
        rows.text(&row.method).text(&row.path).text(&row.host).text(&row.route);
        rows.short(row.status).byte(row.failed.into());
        for text in [&row.error, &row.message, &row.user, &row.session, &row.client] {
            rows.optional(text.as_ref(), Rows::text);
        }
        rows.number(clamp(row.bytes_out)).number(clamp(row.weight)).end();
    }

    fn trace(&mut self, trace: &TraceSpans, stamp: Stamp<'_>) -> Result<(), serde_json::Error> {
        for span in &trace.spans() {
            let body = serde_json::to_vec(span)?;
            let start_us = clamp(span.start_us);
            let rows = &mut self.spans;
            rows.word(stamp.arrived).text(stamp.node).fixed(&trace.trace_id.0).fixed(&span.span_id.0);
            let duration_us = clamp(span.duration_us);
            rows.number(start_us).number(duration_us).text(&span.service).text(&span.name).text(body);
            rows.byte(span.kind as u8)
                .byte(span.status as u8)
                .short(sketch::bucket(duration_us) as u16)
                .end();
            for link in &span.links {
                let rows = &mut self.links;
                rows.word(stamp.arrived).fixed(&link.trace_id.0).fixed(&link.span_id.0);
                rows.fixed(&trace.trace_id.0).fixed(&span.span_id.0).number(start_us);
                rows.text(&span.name).text(&span.service).end();
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &LogLine, stamp: Stamp<'_>) -> Result<(), serde_json::Error> {
        let hash = hash_of(&serde_json::to_vec(line)?);
        let rows = &mut self.logs;
        rows.word(stamp.arrived).text(stamp.node).number(clamp(line.time_us)).fixed(&hash);
        rows.optional(line.trace_id, |rows, id| rows.fixed(&id.0));
        rows.optional(line.span_id, |rows, id| rows.fixed(&id.0));
        rows.byte(line.level as u8).text(&line.service).text(&line.target).text(&line.message);
        rows.text(serde_json::to_vec(&line.fields)?).end();
        Ok(())
    }

    fn points(&mut self, SeriesPoints { series, points }: &SeriesPoints, stamp: Stamp<'_>, known: &Known) {
        let Some(first_us) = points.iter().map(|point| clamp(point.time_us)).min() else { return };
        let id = id_of(series);
        if self.told.get(&id).or(known.first_us.get(&id)).is_none_or(|known| *known > first_us) {
            self.series(series, id, first_us, stamp);
        }
        for point in points {
            let (number, value) = match &point.value {
                MetricValue::Number(number) => (*number, Vec::new()),
                value => (0.0, codec::encode(value)),
            };
            let rows = &mut self.points;
            rows.word(stamp.arrived).text(stamp.node).fixed(&id);
            rows.number(clamp(point.time_us)).number(clamp(point.start_us)).float(number).text(value).end();
        }
    }

    fn series(&mut self, series: &MetricSeries, id: [u8; 16], first_us: u64, stamp: Stamp<'_>) {
        let rows = &mut self.series;
        rows.word(stamp.arrived).text(&series.name).fixed(&id).text(&series.service);
        rows.byte(series.kind as u8).byte((series.temporality == Temporality::Cumulative).into());
        rows.length(series.labels.len());
        for (name, value) in &series.labels {
            rows.text(name).text(value);
        }
        rows.text(&series.unit).text(&series.description).number(first_us).end();
        self.told.insert(id, first_us);
    }

    fn exemplars(&mut self, SeriesExemplars { series, exemplars }: &SeriesExemplars, stamp: Stamp<'_>) {
        let id = id_of(series);
        for exemplar in exemplars {
            let rows = &mut self.exemplars;
            rows.word(stamp.arrived).fixed(&id).number(clamp(exemplar.time_us)).fixed(&exemplar.trace_id.0);
            rows.fixed(&exemplar.span_id.map_or([0; 8], |id| id.0)).float(exemplar.value).end();
        }
    }

    fn event(&mut self, event: &TimelineEvent, stamp: Stamp<'_>) {
        let TimelineEvent { time_us, duration_us, kind, node, text } = event;
        let hash = hash_of(format!("{duration_us}\0{}\0{node}\0{text}", kind.as_str()).as_bytes());
        let rows = &mut self.events;
        rows.word(stamp.arrived).number(clamp(*time_us)).fixed(&hash).number(clamp(*duration_us));
        rows.text(kind.as_str()).text(node).text(text).end();
    }
}

/// What tells a series apart, the same in every process and version.
pub(super) fn id_of(series: &MetricSeries) -> [u8; 16] {
    let mut identity = Rows::default();
    identity.byte(series.kind as u8).byte((series.temporality == Temporality::Cumulative).into());
    identity.text(&series.service).text(&series.name);
    for (name, value) in &series.labels {
        identity.text(name).text(value);
    }
    hash_of(&identity.bytes)
}

fn hash_of(bytes: &[u8]) -> [u8; 16] {
    let hash = blake3::hash(bytes);
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}
