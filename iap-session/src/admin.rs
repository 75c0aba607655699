//! What operators can see of sessions, and do to them.

mod revoke;
mod search;

use std::sync::Arc;

use iap_core::{Clock, SystemClock};
use metrics::{Counter, counter};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::error::{StoreError, StoreErrorKind};
use crate::events::Events;
use crate::id::SessionKey;
use crate::limits::attribute_bytes;
use crate::record::{Loaded, Record, Summary};
use crate::store::{Pressure, ScanPage, ScanQuery, SessionStore, StoreStats};

pub use revoke::{Note, Revocation, Revoked};
pub use search::{Budget, Filter, Search, SearchPage, Sort, SortBy};

/// The sessions of a store, for an admin API. Cheap to clone.
///
/// It knows sessions by their [`SessionKey`]; ids never appear here.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    revoked: Counter,
    clock: Arc<dyn Clock>,
    events: Option<Events>,
}

/// One session in full.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "SessionDetail")]
pub struct Detail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: Summary,
    /// Its attributes, by name.
    pub entries: Vec<Entry>,
}

/// One attribute.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "SessionAttribute")]
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

impl Sessions {
    /// The sessions of `store`.
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        Self {
            store,
            revoked: counter!("iap_session_revoked_total"),
            clock: Arc::new(SystemClock),
            events: None,
        }
    }

    /// Tells of what operators do, and shows what has happened.
    #[must_use]
    pub fn with_events(mut self, events: Events) -> Self {
        self.events = Some(events);
        self
    }

    /// What happens to sessions, if anybody is told of it.
    pub fn events(&self) -> Option<&Events> {
        self.events.as_ref()
    }

    /// With another clock, where the store has another one, too.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
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
        let Some(record) = self.find(key).await? else { return Ok(None) };
        let entry = |(name, value): (&String, &Value)| Entry {
            name: name.clone(),
            bytes: attribute_bytes(name, value),
            value: (values == Values::Shown).then(|| value.clone()),
        };
        let entries = record.attributes.iter().map(entry).collect();
        Ok(Some(Detail { summary: record.summary(), entries }))
    }

    async fn find(&self, key: SessionKey) -> Result<Option<Arc<Record>>, StoreError> {
        match self.store.load(key, None).await {
            Ok(Some(Loaded::Found { record, .. })) => Ok(Some(record)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == StoreErrorKind::Revoked => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the store holds.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::stats`].
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.store.stats().await
    }

    /// How hard the store is pressed.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::pressure`].
    pub async fn pressure(&self) -> Result<Pressure, StoreError> {
        self.store.pressure().await
    }
}

#[cfg(test)]
mod tests;
