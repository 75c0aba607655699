//! Where incidents are while no process runs: one SQLite file beside the history.

use std::path::Path;
use std::time::Duration;

use iap_core::BoxError;
use iap_ops::detect::Incident;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};

/// The name of the file.
const FILE: &str = "incidents.db";

#[derive(Debug, Clone)]
pub(super) struct Store(SqlitePool);

impl Store {
    /// Opens the file in a directory, or one in memory.
    pub(super) async fn open(directory: Option<&Path>) -> Result<Self, BoxError> {
        let options =
            SqliteConnectOptions::new().create_if_missing(true).busy_timeout(Duration::from_secs(5));
        let options = match directory {
            Some(directory) => {
                std::fs::create_dir_all(directory)?;
                options.filename(directory.join(FILE)).journal_mode(SqliteJournalMode::Wal)
            }
            None => options.in_memory(true),
        };
        // One connection, which stays: what is in memory goes with it.
        let pool = SqlitePoolOptions::new().max_connections(1).min_connections(1);
        let pool = pool.idle_timeout(None).max_lifetime(None).connect_with(options).await?;
        sqlx::query("CREATE TABLE IF NOT EXISTS incident (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
            .execute(&pool)
            .await?;
        Ok(Self(pool))
    }

    /// All of them. One that another version has written is left out.
    pub(super) async fn load(&self) -> Result<Vec<Incident>, BoxError> {
        let rows = sqlx::query("SELECT id, body FROM incident ORDER BY id").fetch_all(&self.0).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            match serde_json::from_str(row.try_get("body")?) {
                Ok(incident) => found.push(incident),
                Err(error) => {
                    let id: i64 = row.try_get("id")?;
                    tracing::warn!(%error, incident = id, "an incident cannot be read");
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn keep(&self, incident: &Incident) -> Result<(), BoxError> {
        let body = serde_json::to_string(incident)?;
        let insert = sqlx::query("INSERT OR REPLACE INTO incident (id, body) VALUES (?, ?)");
        insert.bind(i64::try_from(incident.id)?).bind(body).execute(&self.0).await?;
        Ok(())
    }

    pub(super) async fn forget(&self, ids: &[u64]) -> Result<(), BoxError> {
        for id in ids {
            let delete = sqlx::query("DELETE FROM incident WHERE id = ?");
            delete.bind(i64::try_from(*id)?).execute(&self.0).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use iap_ops::cause::{CauseKind, RootCause};
    use iap_ops::detect::{Alert, Entity, Incidents, Measure, SeriesKey};

    use super::Store;

    #[tokio::test]
    async fn incidents_outlive_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(Some(directory.path())).await.unwrap();
        let mut incidents = Incidents::default();
        for route in ["a", "b"] {
            let key = SeriesKey { entity: Entity::Route(route.into()), signal: "errors".into() };
            let (measure, expected) = (Measure::Ratio, 0.0);
            let alert = Alert { key, measure, since_s: 1_000, at_s: 1_010, expected, value: 0.9, score: 7.0 };
            let (id, _) = incidents.report(alert, RootCause::new(CauseKind::Sql, route));
            store.keep(incidents.get(id).unwrap()).await.unwrap();
        }
        drop(store);
        let store = Store::open(Some(directory.path())).await.unwrap();
        let kept = store.load().await.unwrap();
        assert_eq!(
            kept.iter().collect::<Vec<_>>(),
            incidents.list().collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>()
        );
        store.forget(&[1]).await.unwrap();
        assert_eq!(store.load().await.unwrap().len(), 1);
    }
}
