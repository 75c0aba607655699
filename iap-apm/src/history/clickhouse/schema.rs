//! The tables, and how they are made and brought up to date.
//!
//! What arrived on a day is a partition, whatever times the data claims: a sender with a wrong clock makes no partitions
//! and keeps none alive, and retention drops whole parts. Keys are what tells two records apart, so that the server
//! merges what came twice into one; until then queries do.

use std::time::Duration;

use super::Retention;
use super::client::{Client, Params};
use super::failure::unavailable;
use super::rows::Reader;
use crate::error::HistoryError;

/// The version of the tables; to be raised with every change of them.
const VERSION: u64 = 2;

/// What brings the tables from each version to the next one. Each statement may run twice, and in several processes.
const STEPS: [&[&str]; VERSION as usize] = [FROM_0, FROM_1];

const FROM_0: &[&str] = &[
    // Rows of a window lie together, which is what listings and figures read; a trace finds its own by the filter.
    // `bucket` is the one of the embedded engine's sketch, so that percentiles are the same.
    "CREATE TABLE IF NOT EXISTS transactions (
        arrived DateTime, node LowCardinality(String),
        start_us UInt64 CODEC(Delta, ZSTD), trace_id FixedString(16), span_id FixedString(8),
        parent_id Nullable(FixedString(8)), rank UInt8, service LowCardinality(String), duration_us UInt64,
        bucket UInt16, method LowCardinality(String), path String CODEC(ZSTD), host String CODEC(ZSTD),
        route LowCardinality(String), status UInt16, failed UInt8, error LowCardinality(Nullable(String)),
        message Nullable(String) CODEC(ZSTD), user Nullable(String), session Nullable(String),
        client Nullable(String), bytes_out UInt64, weight UInt64,
        INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1
    ) ENGINE = ReplacingMergeTree PARTITION BY toDate(arrived) ORDER BY (start_us, trace_id, span_id)
    TTL {ttl} SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
    // Read by trace only. `body` is the whole span as JSON; small granules, since one is read whole.
    "CREATE TABLE IF NOT EXISTS spans (
        arrived DateTime, node LowCardinality(String), trace_id FixedString(16), span_id FixedString(8),
        start_us UInt64 CODEC(ZSTD), duration_us UInt64 CODEC(ZSTD), service LowCardinality(String),
        name LowCardinality(String), body String CODEC(ZSTD(3))
    ) ENGINE = ReplacingMergeTree PARTITION BY toDate(arrived) ORDER BY (trace_id, span_id)
    TTL {ttl} SETTINGS index_granularity = 512, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
    "CREATE TABLE IF NOT EXISTS links (
        arrived DateTime, target FixedString(16), target_span FixedString(8), trace_id FixedString(16),
        span_id FixedString(8), start_us UInt64, name LowCardinality(String), service LowCardinality(String)
    ) ENGINE = ReplacingMergeTree PARTITION BY toDate(arrived) ORDER BY (target, target_span, trace_id, span_id)
    TTL {ttl} SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
    "CREATE TABLE IF NOT EXISTS logs (
        arrived DateTime, node LowCardinality(String), time_us UInt64 CODEC(Delta, ZSTD), hash FixedString(16),
        trace_id Nullable(FixedString(16)), span_id Nullable(FixedString(8)), level UInt8,
        service LowCardinality(String), target LowCardinality(String), message String CODEC(ZSTD(3)),
        fields String CODEC(ZSTD(3)), INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1
    ) ENGINE = ReplacingMergeTree PARTITION BY toDate(arrived) ORDER BY (time_us, hash)
    TTL {ttl} SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
    // Told anew each day that has points, so that it goes with them; `first_us` is its first point of that day.
    "CREATE TABLE IF NOT EXISTS metric_series (
        arrived DateTime, name String, service LowCardinality(String), kind UInt8, cumulative UInt8,
        id FixedString(16), labels SimpleAggregateFunction(anyLast, Map(String, String)),
        unit SimpleAggregateFunction(max, String), description SimpleAggregateFunction(max, String),
        first_us SimpleAggregateFunction(min, UInt64)
    ) ENGINE = AggregatingMergeTree PARTITION BY toDate(arrived) ORDER BY (name, service, kind, cumulative, id)
    TTL {ttl} SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
    // `value` is empty where `number` says all. The list of a window's metrics reads by time alone.
    "CREATE TABLE IF NOT EXISTS metric_points (
        arrived DateTime, node LowCardinality(String), series FixedString(16),
        time_us UInt64 CODEC(DoubleDelta, ZSTD), start_us UInt64 CODEC(Delta, ZSTD),
        number Float64 CODEC(Gorilla, ZSTD), value String CODEC(ZSTD),
        INDEX by_time time_us TYPE minmax GRANULARITY 1
    ) ENGINE = ReplacingMergeTree PARTITION BY toDate(arrived) ORDER BY (series, time_us, start_us)
    TTL {ttl} SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
    "CREATE TABLE IF NOT EXISTS metric_exemplars (
        arrived DateTime, series FixedString(16), time_us UInt64, trace_id FixedString(16),
        span_id FixedString(8), value Float64
    ) ENGINE = ReplacingMergeTree PARTITION BY toDate(arrived) ORDER BY (series, time_us, trace_id, span_id)
    TTL {ttl} SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
    "CREATE TABLE IF NOT EXISTS events (
        arrived DateTime, time_us UInt64, hash FixedString(16), duration_us UInt64,
        kind LowCardinality(String), node LowCardinality(String), text String CODEC(ZSTD)
    ) ENGINE = ReplacingMergeTree PARTITION BY toDate(arrived) ORDER BY (time_us, hash)
    TTL {ttl} SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
];

/// What spans are grouped by. Of those that are there it is read from the whole span, and worked out as the embedded engine's
/// sketch does.
const FROM_1: &[&str] = &[
    "ALTER TABLE spans ADD COLUMN IF NOT EXISTS kind UInt8
        DEFAULT indexOf(['server', 'client', 'producer', 'consumer'], JSONExtractString(body, 'kind'))",
    "ALTER TABLE spans ADD COLUMN IF NOT EXISTS status UInt8
        DEFAULT indexOf(['ok', 'error'], JSONExtractString(body, 'status'))",
    "ALTER TABLE spans ADD COLUMN IF NOT EXISTS bucket UInt16 DEFAULT if(duration_us < 64, duration_us,
        (toUInt64(floor(log2(duration_us))) - 5) * 32
        + bitShiftRight(duration_us, toUInt64(floor(log2(duration_us))) - 5))",
];

/// Makes the database and what it lacks, and sets how long each kind is kept.
pub(super) async fn prepare(
    client: &Client,
    database: &str,
    retention: &Retention,
) -> Result<(), HistoryError> {
    // The setting is checked to be a plain name. Whoever may not make databases can use one that is there.
    if client.command(true, "SELECT 1".to_owned()).await.is_err() {
        client.command(false, format!("CREATE DATABASE IF NOT EXISTS `{database}`")).await?;
    }
    let versions = "CREATE TABLE IF NOT EXISTS schema_version (version UInt64, since DateTime DEFAULT now())
        ENGINE = MergeTree ORDER BY version";
    client.command(true, versions.to_owned()).await?;
    let answer = client.select("SELECT max(version) FROM schema_version", Params::default()).await?;
    let version = Reader::all(&answer, Reader::number)?.first().copied().unwrap_or_default();
    if version > VERSION {
        return Err(unavailable("a later version of this program has made the tables in ClickHouse"));
    }
    let times = times(retention);
    for (step, statements) in STEPS.iter().enumerate().skip(version as usize) {
        for statement in *statements {
            let table = times.iter().find(|(table, _)| statement.contains(&format!(" {table} (")));
            let statement = table.map_or((*statement).to_owned(), |(_, ttl)| statement.replace("{ttl}", ttl));
            client.command(true, statement).await?;
        }
        let done = step + 1;
        client.command(true, format!("INSERT INTO schema_version (version) VALUES ({done})")).await?;
    }
    retain(client, &times).await
}

/// When a row of each table goes.
fn times(retention: &Retention) -> [(&'static str, String); 8] {
    let day = Duration::from_secs(86_400);
    [
        ("transactions", retention.transactions),
        ("spans", retention.spans),
        ("links", retention.spans),
        ("logs", retention.logs),
        // Told at a day's first point, and needed until its last one goes.
        ("metric_series", retention.metrics.saturating_add(day)),
        ("metric_points", retention.metrics),
        ("metric_exemplars", retention.metrics),
        ("events", retention.events),
    ]
    .map(|(table, kept)| {
        let seconds = kept.min(Retention::LONGEST + day).as_secs().max(1);
        (table, format!("arrived + toIntervalSecond({seconds})"))
    })
}

/// Sets what is not set so.
async fn retain(client: &Client, times: &[(&'static str, String)]) -> Result<(), HistoryError> {
    let sql = "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()";
    let answer = client.select(sql, Params::default()).await?;
    let tables = Reader::all(&answer, |row| Ok((row.text()?, row.text()?)))?;
    for (table, ttl) in times {
        if !tables.iter().any(|(name, engine)| name == table && engine.contains(ttl)) {
            client.command(true, format!("ALTER TABLE {table} MODIFY TTL {ttl}")).await?;
        }
    }
    Ok(())
}
