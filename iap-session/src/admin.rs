//! What operators can see of sessions, and do to them.

use std::sync::Arc;

use metrics::{Counter, counter};
use serde::Serialize;
use serde_json::Value;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionKey;
use crate::limits::attribute_bytes;
use crate::record::{Loaded, Summary};
use crate::store::{ScanPage, ScanQuery, SessionStore, StoreStats};
use crate::write::Reason;

/// The sessions of a store, for an admin API. Cheap to clone.
///
/// It knows sessions by their [`SessionKey`]; ids never appear here.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    revoked: Counter,
}

/// One session in full.
#[derive(Clone, Serialize)]
pub struct Detail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: Summary,
    /// Its attributes, by name.
    pub entries: Vec<Entry>,
}

/// One attribute.
#[derive(Clone, Serialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its size: the name and the JSON form.
    pub bytes: usize,
    /// Its value, only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// Whether attribute values are shown. They may be personal data: ask for them with a reason, and
/// note who did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Values {
    /// Names and sizes only.
    #[default]
    Hidden,
    /// Values, too.
    Shown,
}

/// How many rounds [`Sessions::revoke_user`] makes for sessions that come into being meanwhile.
const ROUNDS: usize = 4;

impl Sessions {
    /// The sessions of `store`.
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        Self { store, revoked: counter!("iap_session_revoked_total") }
    }

    /// A page of sessions.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::scan`].
    pub async fn list(&self, query: ScanQuery) -> Result<ScanPage, StoreError> {
        self.store.scan(query).await
    }

    /// One session; `None` if it does not exist or was ended.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::load`].
    pub async fn get(&self, key: SessionKey, values: Values) -> Result<Option<Detail>, StoreError> {
        let record = match self.store.load(key, None).await {
            Ok(Some(Loaded::Found { record, .. })) => record,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == StoreErrorKind::Revoked => return Ok(None),
            Err(error) => return Err(error),
        };
        let entry = |(name, value): (&String, &Value)| Entry {
            name: name.clone(),
            bytes: attribute_bytes(name, value),
            value: (values == Values::Shown).then(|| value.clone()),
        };
        let entries = record.attributes.iter().map(entry).collect();
        Ok(Some(Detail { summary: record.summary(), entries }))
    }

    /// Ends a session. `false` if there was none.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::revoke`].
    pub async fn revoke(&self, key: SessionKey) -> Result<bool, StoreError> {
        let ended = self.store.revoke(key, Reason::Operator).await?;
        self.revoked.increment(u64::from(ended));
        Ok(ended)
    }

    /// Ends all sessions of a user and says how many there were.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::scan`] and [`SessionStore::revoke`]; some sessions may have been ended.
    pub async fn revoke_user(&self, user: &str) -> Result<u64, StoreError> {
        let mut ended = 0;
        for _ in 0..ROUNDS {
            let page = self.store.scan(ScanQuery::of_user(user)).await?;
            if page.sessions.is_empty() {
                break;
            }
            for session in page.sessions {
                ended += u64::from(self.revoke(session.key).await?);
            }
        }
        Ok(ended)
    }

    /// What the store holds.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::stats`].
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.store.stats().await
    }
}

#[cfg(test)]
mod tests;
