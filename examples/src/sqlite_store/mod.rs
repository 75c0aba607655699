//! A session store of our own: sessions in one SQLite file, for a single node whose restart loses
//! nothing.
//!
//! The rules for a session are not here. [`Record`] knows limits, versions,
//! replays and deadlines; a store reads a record, lets it change itself, and writes it back. What a
//! store has to add is that nobody else comes between reading and writing. Here that is a
//! transaction which begins with `BEGIN IMMEDIATE`: it has the file's only write lock before it
//! reads. (A plain `BEGIN` takes the lock at the first write, after another writer may have changed
//! what was read.) A method that returns early drops its transaction, and nothing has happened.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the methods of [`SessionStore`], each a few steps of a transaction |
//! | `rows.rs` | the table, and how rows become records |
//!
//! Whoever reads the file can list sessions but not take one over: its keys are keyed hashes of the
//! ids in the cookies. Attributes and user names are in the clear.

mod rows;

use std::path::Path;
use std::sync::Arc;

use iap_core::Clock;
use iap_session::{
    BoxFuture, Commit, Created, Limits, Loaded, NewSession, Reason, Record, Rotation, ScanPage, ScanQuery,
    SessionIds, SessionKey, SessionStore, StoreError, StoreErrorKind, StoreStats, check_user,
};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

use rows::{Reader, Write, unavailable};

/// Sessions in one file. See the [module page](self).
pub struct SqliteStore {
    ids: SessionIds,
    limits: Limits,
    clock: Arc<dyn Clock>,
    /// One connection: SQLite has one writer at a time anyway, and a queue in front of it is
    /// fairer than writers that try again and again.
    writer: SqlitePool,
    /// Readers go on while somebody writes.
    readers: SqlitePool,
}

/// Bytes the file may have, in pages of 4 KiB: 1 GiB. A full file refuses new sessions.
const MAX_PAGES: u32 = 262_144;

impl SqliteStore {
    /// Opens the file, or makes it. `ids` must have the same secret each time, or all sessions of
    /// the time before are unknown.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unavailable`] when the file cannot be opened, or is not ours.
    pub async fn open(path: &Path, ids: SessionIds, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // Readers do not wait for the writer; a committed write survives a power cut.
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("max_page_count", MAX_PAGES.to_string());
        let pool = SqlitePoolOptions::new();
        let writer = pool.clone().max_connections(1).connect_with(options.clone()).await;
        let writer = writer.map_err(unavailable)?;
        sqlx::raw_sql(rows::SCHEMA).execute(&writer).await.map_err(unavailable)?;
        let readers = pool.max_connections(4).connect_with(options.read_only(true)).await;
        let readers = readers.map_err(unavailable)?;
        Ok(Self { ids, limits: Limits::default(), clock, writer, readers })
    }

    /// Waits for what runs and closes the file. Without it nothing committed is lost either.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn write(&self) -> Result<Write, StoreError> {
        Write::begin(&self.writer, self.clock.now_ms()).await
    }

    fn reader(&self) -> Reader<'_> {
        Reader { pool: &self.readers, now_ms: self.clock.now_ms() }
    }

    async fn create_now(&self, new: &NewSession) -> Result<Created, StoreError> {
        let (id, key) = self.ids.generate();
        let mut write = self.write().await?;
        let record = Record::new(key, new, &self.limits, write.now_ms)?;
        if let Some(login) = &new.login {
            check_user(&login.user)?;
            write.make_place(&record, login).await?;
        }
        write.put(&record).await?;
        write.commit().await?;
        Ok(Created { id, record: Arc::new(record) })
    }

    /// The new session, the mark that leads from the old id to it, and the login, all at once.
    async fn rotate_now(&self, key: SessionKey, rotation: &Rotation) -> Result<Created, StoreError> {
        let (id, new_key) = self.ids.generate();
        let mut write = self.write().await?;
        let old = write.live(key).await?;
        if old.key != key {
            return Err(StoreError::new(StoreErrorKind::Conflict, "the session's id was already changed"));
        }
        let next = old.rotated(new_key, rotation, &self.limits, write.now_ms)?;
        if let Some(login) = &rotation.login {
            check_user(&login.user)?;
            write.make_place(&next, login).await?;
        }
        write.put(&next).await?;
        write.mark_rotated(key, new_key, rotation.grace).await?;
        write.commit().await?;
        Ok(Created { id, record: Arc::new(next) })
    }
}

impl SessionStore for SqliteStore {
    fn ids(&self) -> &SessionIds {
        &self.ids
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move { self.create_now(&new).await })
    }

    fn load(&self, key: SessionKey, known: Option<u64>) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        Box::pin(async move {
            let reader = self.reader();
            let now_ms = reader.now_ms;
            Ok(reader.find(key).await?.map(|record| match known {
                Some(version) if version == record.version => Loaded::Unchanged { now_ms },
                _ => Loaded::Found { record: Arc::new(record), now_ms },
            }))
        })
    }

    fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut write = self.write().await?;
            let mut record = write.live(key).await?;
            let version = record.apply(&commit, &self.limits, write.now_ms)?;
            write.put(&record).await?;
            write.commit().await?;
            Ok(version)
        })
    }

    fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut write = self.write().await?;
            let mut record = write.live(key).await?;
            record.touch(write.now_ms);
            write.put(&record).await?;
            write.commit().await
        })
    }

    fn rotate(&self, key: SessionKey, rotation: Rotation) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move { self.rotate_now(key, &rotation).await })
    }

    fn revoke(&self, key: SessionKey, reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut write = self.write().await?;
            let record = match write.find(key).await {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(false),
                Err(error) if error.kind() == StoreErrorKind::Revoked => return Ok(false),
                Err(error) => return Err(error),
            };
            write.mark_ended(&record, reason).await?;
            write.commit().await?;
            Ok(true)
        })
    }

    fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>> {
        Box::pin(async move {
            let reader = self.reader();
            if let Some(user) = &query.user {
                return Ok(ScanPage { sessions: reader.of_user(user).await?, next: None });
            }
            let after =
                match &query.cursor {
                    None => None,
                    Some(cursor) => Some(SessionKey::from_hex(cursor).ok_or_else(|| {
                        StoreError::new(StoreErrorKind::Invalid, "not a cursor of this store")
                    })?),
                };
            let sessions = reader.page(after, query.page_size()).await?;
            let is_full = sessions.len() == query.page_size();
            let next = sessions.last().filter(|_| is_full).map(|last| last.key.to_string());
            Ok(ScanPage { sessions, next })
        })
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        Box::pin(async move {
            let (live, bytes) = self.reader().count().await?;
            Ok(StoreStats {
                backend: "sqlite",
                live,
                exact: true,
                bytes: Some(bytes),
                ..StoreStats::default()
            })
        })
    }
}
