//! The table of sessions, and how its rows become records.

use std::time::Duration;

use iap_session::{Login, OpId, Reason, Record, SessionKey, StoreError, StoreErrorKind, Summary, WhenFull};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteConnection, SqlitePool, Transaction};

/// One row a key. A live session has all columns; the mark that a rotated or ended one leaves has
/// the first four.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS session (
    key         TEXT PRIMARY KEY,
    state       TEXT NOT NULL,     -- 'live', 'rotated', 'ended'
    detail      TEXT,              -- rotated: the new key; ended: the reason
    deadline_ms INTEGER NOT NULL,  -- when the row counts no more
    user        TEXT,
    login_no    INTEGER,           -- the order of a user's logins
    handle      TEXT,
    version     INTEGER,
    created_ms  INTEGER,
    accessed_ms INTEGER,
    idle_ms     INTEGER,
    absolute_ms INTEGER,
    attributes  TEXT,              -- a JSON object
    provenance  TEXT,              -- where the session comes from: a JSON object
    binding     TEXT,              -- what it is bound to, where something is
    recent      TEXT               -- the last writes: '<op>=<version>', separated by blanks
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_deadline ON session (deadline_ms);
CREATE INDEX IF NOT EXISTS session_user ON session (user, login_no) WHERE user IS NOT NULL;
";

const FIND: &str = "SELECT * FROM session WHERE key = ? AND deadline_ms > ?";
const OF_USER: &str =
    "SELECT * FROM session WHERE user = ? AND state = 'live' AND deadline_ms > ? ORDER BY login_no";
const PAGE: &str =
    "SELECT * FROM session WHERE key > ? AND state = 'live' AND deadline_ms > ? ORDER BY key LIMIT ?";
const COUNT: &str = "SELECT count(*) FROM session WHERE state = 'live' AND deadline_ms > ?";
const BYTES: &str = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
/// A few rows a write, more than a write can add, so that none pays for a sweep.
const PURGE: &str = "
DELETE FROM session WHERE key IN (SELECT key FROM session WHERE deadline_ms <= ? ORDER BY deadline_ms LIMIT 4)";
/// A session keeps its number over commits and rotations; a new login gets the next one.
const PUT: &str = "
INSERT OR REPLACE INTO session (key, state, deadline_ms, user, login_no, handle, version, created_ms,
                                accessed_ms, idle_ms, absolute_ms, attributes, recent,
                                provenance, binding)
VALUES (?1, 'live', ?2, ?3,
        coalesce((SELECT login_no FROM session WHERE user = ?3 AND handle = ?4),
                 (SELECT max(login_no) FROM session WHERE user = ?3) + 1, 1),
        ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const MARK: &str = "INSERT OR REPLACE INTO session (key, state, detail, deadline_ms) VALUES (?, ?, ?, ?)";

/// A chain of rotations within one grace that is longer than this leads nowhere.
const MAX_HOPS: usize = 4;

/// A transaction that has the write lock. Dropped without [`Write::commit`], it has no effect.
pub(super) struct Write {
    transaction: Transaction<'static, Sqlite>,
    pub(super) now_ms: u64,
}

impl Write {
    pub(super) async fn begin(writer: &SqlitePool, now_ms: u64) -> Result<Self, StoreError> {
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(unavailable)?;
        let purge = sqlx::query(PURGE).bind(int(now_ms)).execute(&mut *transaction);
        purge.await.map_err(unavailable)?;
        Ok(Self { transaction, now_ms })
    }

    /// Only here is a failure ambiguous: the disk may have taken the write.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(|error| {
            StoreError::new(StoreErrorKind::Ambiguous, "the session file did not confirm").with_source(error)
        })
    }

    /// The session that `key` leads to.
    pub(super) async fn find(&mut self, key: SessionKey) -> Result<Option<Record>, StoreError> {
        find(&mut self.transaction, key, self.now_ms).await
    }

    /// As [`Write::find`], where the session has to be there.
    pub(super) async fn live(&mut self, key: SessionKey) -> Result<Record, StoreError> {
        self.find(key).await?.ok_or_else(StoreError::gone)
    }

    /// Writes a record in the place of what stands under its key.
    pub(super) async fn put(&mut self, record: &Record) -> Result<(), StoreError> {
        let attributes = serde_json::to_string(&record.attributes).expect("JSON values have a JSON form");
        let provenance = serde_json::to_string(&record.provenance).expect("it has a JSON form");
        let recent: Vec<String> =
            record.recent.iter().map(|(op, version)| format!("{op}={version}")).collect();
        sqlx::query(PUT)
            .bind(record.key.to_string())
            .bind(int(record.deadline_ms()))
            .bind(record.user.as_deref())
            .bind(&*record.handle)
            .bind(int(record.version))
            .bind(int(record.created_ms))
            .bind(int(record.accessed_ms))
            .bind(int(record.idle_ms))
            .bind(int(record.absolute_ms))
            .bind(attributes)
            .bind(recent.join(" "))
            .bind(provenance)
            .bind(record.binding.as_deref())
            .execute(&mut *self.transaction)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    /// Holds the login policy: ends the user's oldest sessions, or refuses, where `record` would be
    /// one too many. The user's index is the table itself, so an expired session has no place.
    pub(super) async fn make_place(&mut self, record: &Record, login: &Login) -> Result<(), StoreError> {
        let rows = sqlx::query(OF_USER).bind(&*login.user).bind(int(self.now_ms));
        let rows = rows.fetch_all(&mut *self.transaction).await.map_err(unavailable)?;
        let mut places = rows.iter().map(live).collect::<Result<Vec<Record>, _>>()?;
        // A session that logs the same user in once more does not compete with itself.
        if places.iter().any(|place| place.handle == record.handle) {
            return Ok(());
        }
        let max = login.policy.max.max(1) as usize;
        let over = (places.len() + 1).saturating_sub(max);
        if over > 0 && login.policy.when_full == WhenFull::RefuseNew {
            return Err(StoreError::new(StoreErrorKind::Refused, "the user has all sessions allowed"));
        }
        for oldest in places.drain(..over) {
            self.mark_ended(&oldest, Reason::Evicted).await?;
        }
        Ok(())
    }

    /// The mark tells a late write why the session ended, for as long as it would have lived.
    pub(super) async fn mark_ended(&mut self, record: &Record, reason: Reason) -> Result<(), StoreError> {
        self.mark(record.key, "ended", reason.as_str(), record.deadline_ms()).await
    }

    pub(super) async fn mark_rotated(
        &mut self,
        old: SessionKey,
        new: SessionKey,
        grace: Duration,
    ) -> Result<(), StoreError> {
        let until = self.now_ms.saturating_add(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        self.mark(old, "rotated", &new.to_string(), until).await
    }

    async fn mark(
        &mut self,
        key: SessionKey,
        state: &str,
        detail: &str,
        until: u64,
    ) -> Result<(), StoreError> {
        let mark = sqlx::query(MARK).bind(key.to_string()).bind(state).bind(detail).bind(int(until));
        mark.execute(&mut *self.transaction).await.map_err(unavailable)?;
        Ok(())
    }
}

/// Reads without a lock. Each statement sees the file as it is at one moment.
pub(super) struct Reader<'a> {
    pub(super) pool: &'a SqlitePool,
    pub(super) now_ms: u64,
}

impl Reader<'_> {
    /// The session that `key` leads to.
    pub(super) async fn find(&self, key: SessionKey) -> Result<Option<Record>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(unavailable)?;
        find(&mut connection, key, self.now_ms).await
    }

    pub(super) async fn of_user(&self, user: &str) -> Result<Vec<Summary>, StoreError> {
        let rows = sqlx::query(OF_USER).bind(user).bind(int(self.now_ms));
        let rows = rows.fetch_all(self.pool).await.map_err(unavailable)?;
        rows.iter().map(|row| Ok(live(row)?.summary())).collect()
    }

    pub(super) async fn page(
        &self,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        let after = after.map_or_else(String::new, |key| key.to_string());
        let rows = sqlx::query(PAGE).bind(after).bind(int(self.now_ms)).bind(int(limit as u64));
        let rows = rows.fetch_all(self.pool).await.map_err(unavailable)?;
        rows.iter().map(|row| Ok(live(row)?.summary())).collect()
    }

    /// Live sessions, and the bytes of the file.
    pub(super) async fn count(&self) -> Result<(u64, u64), StoreError> {
        let live: i64 = sqlx::query_scalar(COUNT)
            .bind(int(self.now_ms))
            .fetch_one(self.pool)
            .await
            .map_err(unavailable)?;
        let bytes: i64 = sqlx::query_scalar(BYTES).fetch_one(self.pool).await.map_err(unavailable)?;
        Ok((live.unsigned_abs(), bytes.unsigned_abs()))
    }
}

/// Follows rotations from `key` to a live session.
async fn find(
    connection: &mut SqliteConnection,
    key: SessionKey,
    now_ms: u64,
) -> Result<Option<Record>, StoreError> {
    let mut key = key;
    for _ in 0..MAX_HOPS {
        let row = sqlx::query(FIND).bind(key.to_string()).bind(int(now_ms));
        let row = row.fetch_optional(&mut *connection).await.map_err(unavailable)?;
        match row.map(|row| read(&row)).transpose()? {
            None => return Ok(None),
            Some(Found::Live(record)) => return Ok(Some(*record)),
            Some(Found::Rotated(next)) => key = next,
        }
    }
    Ok(None)
}

enum Found {
    Live(Box<Record>),
    Rotated(SessionKey),
}

/// What a row says. A session that was ended is an error that says why.
fn read(row: &SqliteRow) -> Result<Found, StoreError> {
    let state: &str = column(row, "state")?;
    if state == "live" {
        return live(row).map(|record| Found::Live(Box::new(record)));
    }
    let detail: &str = column(row, "detail")?;
    match (state, SessionKey::from_hex(detail), Reason::parse(detail)) {
        ("rotated", Some(next), _) => Ok(Found::Rotated(next)),
        ("ended", _, Some(reason)) => Err(StoreError::revoked(reason)),
        _ => Err(corrupt("a session row has an unknown state")),
    }
}

fn live(row: &SqliteRow) -> Result<Record, StoreError> {
    let number = |name| column::<i64>(row, name).map(i64::unsigned_abs);
    let key = SessionKey::from_hex(column(row, "key")?).ok_or_else(|| corrupt("a session row has no key"))?;
    let recent = column::<&str>(row, "recent")?.split_whitespace().map(|entry| {
        let (op, version) = entry.split_once('=')?;
        Some((OpId::from_hex(op)?, version.parse().ok()?))
    });
    Ok(Record {
        taken: None,
        key,
        version: number("version")?,
        created_ms: number("created_ms")?,
        accessed_ms: number("accessed_ms")?,
        idle_ms: number("idle_ms")?,
        absolute_ms: number("absolute_ms")?,
        user: column::<Option<&str>>(row, "user")?.map(Into::into),
        handle: column::<&str>(row, "handle")?.into(),
        binding: column::<Option<&str>>(row, "binding")?.map(Into::into),
        provenance: serde_json::from_str(column(row, "provenance")?)
            .map_err(|_| corrupt("where a session comes from is not readable"))?,
        // The parser's message could quote a value; it is left out.
        attributes: serde_json::from_str(column(row, "attributes")?)
            .map_err(|_| corrupt("the attributes of a session are not JSON"))?,
        recent: recent
            .collect::<Option<_>>()
            .ok_or_else(|| corrupt("a session's writes are not readable"))?,
    })
}

fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(name).map_err(|_| corrupt(format!("a session row has no readable `{name}`")))
}

fn corrupt(text: impl Into<std::borrow::Cow<'static, str>>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, text)
}

/// The file could not be asked. Never "no session": a reader would log everybody out.
pub(super) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the session file cannot be used").with_source(error)
}

/// SQLite's integers have a sign; a deadline beyond them is as good as never.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
