//! The tables of one file, and how a connection to it is set up.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row};

use super::disk::is_full;

/// The version of the tables, in each file; to be raised with every change of them.
const VERSION: i64 = 9;

/// `rank` is the order of [`Source`](crate::model::Source): of each trace, `entries` has the rows of
/// the lowest rank only.
///
/// What has no type may be a number of [`texts`](super::texts). Files that a version before 8 has begun have texts there.
///
/// The index by start has what figures and scatters are made of, so that they read no rows. Files that a version before 6
/// has begun keep theirs, of the start alone.
///
/// Trace ids are random. So rows with them are kept in the order of their arrival, with the ids in an
/// index: sorted by id, each row would change another page, and each page is written whole.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS transactions (
    trace_id BLOB NOT NULL, span_id BLOB NOT NULL, parent_id BLOB, rank INTEGER NOT NULL,
    service NOT NULL, start_us INTEGER NOT NULL, duration_us INTEGER NOT NULL,
    method NOT NULL, path TEXT NOT NULL, host NOT NULL, route NOT NULL,
    status INTEGER NOT NULL, failed INTEGER NOT NULL, error TEXT, message TEXT,
    user TEXT, session TEXT, client TEXT, bytes_out INTEGER NOT NULL,
    weight INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (trace_id, span_id)
);
CREATE INDEX IF NOT EXISTS transactions_start ON transactions
    (start_us, duration_us, failed, weight, rank, route);
CREATE INDEX IF NOT EXISTS transactions_duration ON transactions (duration_us);
CREATE TABLE IF NOT EXISTS chunks (
    trace_id BLOB NOT NULL, hash INTEGER NOT NULL, length INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (trace_id, hash)
);
CREATE TABLE IF NOT EXISTS logs (
    time_us INTEGER NOT NULL, hash INTEGER NOT NULL, trace_id BLOB, level INTEGER NOT NULL,
    line TEXT NOT NULL, PRIMARY KEY (time_us, hash)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS logs_trace ON logs (trace_id) WHERE trace_id IS NOT NULL;
";

/// From version 1, which had no weights: every transaction stands for itself. No row is touched.
const FROM_1: &str = "
DROP VIEW entries;
ALTER TABLE transactions ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
";

/// Series have a row in each file that has points of them, so that a file can be removed alone. Points lie by
/// series and time. Both of `start_us` and `time_us` tell a point that was sent again from another one.
const METRICS: &str = "
CREATE TABLE IF NOT EXISTS metric_series (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, service TEXT NOT NULL, kind INTEGER NOT NULL,
    cumulative INTEGER NOT NULL, labels TEXT NOT NULL, unit TEXT NOT NULL, description TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS metric_series_name ON metric_series (name);
CREATE TABLE IF NOT EXISTS metric_points (
    series INTEGER NOT NULL, time_us INTEGER NOT NULL, start_us INTEGER NOT NULL, value NOT NULL,
    PRIMARY KEY (series, time_us, start_us)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metric_range (
    only INTEGER PRIMARY KEY CHECK (only = 0), low INTEGER NOT NULL, high INTEGER NOT NULL
);
";

/// What happened beside the requests; `hash` tells an event that was sent again from another one.
const EVENTS: &str = "
CREATE TABLE IF NOT EXISTS events (
    time_us INTEGER NOT NULL, hash INTEGER NOT NULL, duration_us INTEGER NOT NULL, kind TEXT NOT NULL,
    node TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (time_us, hash)
) WITHOUT ROWID;
";

/// What leads from metrics to traces and from trace to trace. `elsewhere` names the traces of which a neighbouring
/// file has transactions, and their lowest rank. `rollup` has the minutes of a file that is not written any more.
///
/// `parts` says where in `blocks` the spans of a trace are; earlier versions had them in `chunks`, later ones in `places`.
const SINCE_5: &str = "
CREATE TABLE IF NOT EXISTS blocks (id INTEGER PRIMARY KEY, length INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    trace_id BLOB NOT NULL, hash INTEGER NOT NULL, block INTEGER NOT NULL, start INTEGER NOT NULL,
    length INTEGER NOT NULL, PRIMARY KEY (trace_id, hash)
);
CREATE TABLE IF NOT EXISTS links (
    target BLOB NOT NULL, target_span BLOB NOT NULL, trace_id BLOB NOT NULL, span_id BLOB NOT NULL,
    start_us INTEGER NOT NULL, name TEXT NOT NULL, service TEXT NOT NULL,
    PRIMARY KEY (target, target_span, trace_id, span_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metric_exemplars (
    series INTEGER NOT NULL, time_us INTEGER NOT NULL, trace_id BLOB NOT NULL, span_id BLOB NOT NULL,
    value REAL NOT NULL, PRIMARY KEY (series, time_us, trace_id, span_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS elsewhere (trace_id BLOB PRIMARY KEY, rank INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rollup (
    minute INTEGER NOT NULL, route TEXT NOT NULL, ok BLOB NOT NULL, failed BLOB NOT NULL,
    PRIMARY KEY (minute, route)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rolled (only INTEGER PRIMARY KEY CHECK (only = 0));
";

/// `number` is the row's.
const SINCE_6: &str = "
DROP VIEW IF EXISTS entries;
CREATE VIEW entries AS SELECT *, rowid AS number FROM transactions t WHERE rank = 0 OR NOT (
    EXISTS (SELECT 1 FROM transactions other WHERE other.trace_id = t.trace_id AND other.rank < t.rank)
    OR EXISTS (SELECT 1 FROM elsewhere WHERE elsewhere.trace_id = t.trace_id AND elsewhere.rank < t.rank));
";

/// Where in `blocks` the [packed](crate::history::TraceSpans) spans of a trace are. A row is hardly larger than its key, so one
/// tree has both.
const SINCE_7: &str = "
CREATE TABLE IF NOT EXISTS places (
    trace_id BLOB NOT NULL, hash INTEGER NOT NULL, block INTEGER NOT NULL, start INTEGER NOT NULL,
    length INTEGER NOT NULL, PRIMARY KEY (trace_id, hash)
) WITHOUT ROWID;
";

/// `named` has the rows with their texts and, as keys, what stands for these; `number` is the row's.
const SINCE_8: &str = "
CREATE TABLE IF NOT EXISTS texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
DROP VIEW IF EXISTS entries;
DROP VIEW IF EXISTS named;
CREATE VIEW named AS SELECT trace_id, span_id, parent_id, rank,
    CASE typeof(service) WHEN 'integer' THEN (SELECT text FROM texts WHERE id = service) ELSE service END AS service,
    start_us, duration_us,
    CASE typeof(method) WHEN 'integer' THEN (SELECT text FROM texts WHERE id = method) ELSE method END AS method,
    path,
    CASE typeof(host) WHEN 'integer' THEN (SELECT text FROM texts WHERE id = host) ELSE host END AS host,
    CASE typeof(route) WHEN 'integer' THEN (SELECT text FROM texts WHERE id = route) ELSE route END AS route,
    status, failed, error, message, user, session, client, bytes_out, weight,
    rowid AS number, service AS service_key, route AS route_key FROM transactions;
CREATE VIEW entries AS SELECT * FROM named t WHERE rank = 0 OR NOT (
    EXISTS (SELECT 1 FROM transactions other WHERE other.trace_id = t.trace_id AND other.rank < t.rank)
    OR EXISTS (SELECT 1 FROM elsewhere WHERE elsewhere.trace_id = t.trace_id AND elsewhere.rank < t.rank));
";

/// Of each commit a row, of a file that is closed some: see [`span_groups`](super::span_groups). `low` and `high` are minutes.
const SINCE_9: &str = "
CREATE TABLE IF NOT EXISTS span_groups (
    id INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL, length INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS span_groups_low ON span_groups (low);
CREATE INDEX IF NOT EXISTS span_groups_high ON span_groups (high);
";

/// Pages of the log after which they are folded into the file. Ids are random, so commits change the same pages of indexes again
/// and again: of all versions in the log only the last one is copied.
const FOLD_PAGES: i64 = 2_048;

/// What each version has that those before it have not, beside [`TABLES`]. Spans of version 6 are JSON, which is still read.
const SINCE: [(i64, &str); 7] =
    [(3, METRICS), (4, EVENTS), (5, SINCE_5), (6, SINCE_6), (7, SINCE_7), (8, SINCE_8), (9, SINCE_9)];

/// The writer's page cache, in KiB.
const CACHE_KIB: i64 = 32 << 10;

/// Opens a file for writing, creating it and its tables; one of an older version is brought up to date.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // In WAL mode this survives the end of the process; only a power cut can lose the last commits.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "wal_autocheckpoint", FOLD_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", 8 << 20)?;
    // Traces come in no order of their ids: with the default of 2 MiB most inserts would read a page.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let before = version(&connection)?;
    if before < VERSION {
        let first = match before {
            0 => TABLES,
            1 => FROM_1,
            _ => "",
        };
        let since = SINCE.iter().filter(|(version, _)| before < *version).map(|(_, change)| *change);
        let transaction = connection.transaction()?;
        std::iter::once(first).chain(since).try_for_each(|change| transaction.execute_batch(change))?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Whether this version of the program can read and write a file.
pub(super) fn is_known(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(version(connection)? == VERSION)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Opens a file for reading, and says whether what is written to it later will be seen. Readers share an index with the writer
/// that lies beside the file; where the disk has no room for it, the file is read as it is now.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<(Connection, bool)> {
    // Read-write without create: the last reader of a WAL file may have to tidy up after a crash.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "query_only", true)?;
    match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())) {
        Ok(()) => Ok((connection, true)),
        Err(error) if is_full(&error) => Ok((open_as_it_is(path)?, false)),
        Err(error) => Err(error),
    }
}

/// Without the index, and so without what is in the log of a process that was killed.
fn open_as_it_is(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte))
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri + "?immutable=1", flags)
}

/// The first and last moment of what a file holds; `None` when it is empty.
pub(super) fn range(connection: &Connection) -> rusqlite::Result<Option<(u64, u64)>> {
    let sql = "SELECT min(low), max(high) FROM (
        SELECT min(start_us) low, max(start_us) high FROM transactions
        UNION ALL SELECT min(time_us), max(time_us) FROM logs
        UNION ALL SELECT min(time_us), max(time_us) FROM events
        UNION ALL SELECT low, high FROM metric_range
        UNION ALL SELECT (SELECT min(low) FROM span_groups) * 60000000,
            (SELECT max(high) FROM span_groups) * 60000000 + 59999999)";
    connection.query_row(sql, [], |row| {
        let (low, high): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        Ok(low.zip(high).map(|(low, high)| (low.max(0) as u64, high.max(0) as u64)))
    })
}

/// Whether the minutes of a file are in it.
pub(super) fn is_rolled(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM rolled)", [], |row| row.get(0))
}

/// Reads a column that is never negative; SQLite's integers are signed.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|value| value.max(0) as u64)
}
