//! Reading a session for a request.

use std::sync::Arc;

use fred::types::Value;

use crate::error::StoreError;
use crate::id::SessionKey;
use crate::record::Loaded;

use super::RedisStore;
use super::connection::Reads;

impl RedisStore {
    /// Reads from a replica where one may be asked, and from the primary where that is not enough.
    pub(super) async fn load_anywhere(
        &self,
        key: SessionKey,
        known: Option<u64>,
    ) -> Result<Option<Loaded>, StoreError> {
        if let Some(replicas) = &self.connection.replicas
            && let Some((replica, floor)) = replicas.choose(&key)
        {
            let loaded = self.load_now(&Reads::of(replica), key, known).await.ok().flatten();
            let loaded = loaded.filter(|loaded| match loaded {
                Loaded::Unchanged { .. } => known >= Some(floor),
                // An id that has changed meanwhile has a floor of its own.
                Loaded::Found { record, .. } => record.key == key && record.version >= floor,
            });
            replicas.note(loaded.is_some());
            if loaded.is_some() {
                return Ok(loaded);
            }
        }
        let loaded = self.load_now(&Reads::plain(), key, known).await?;
        match (&loaded, known) {
            (Some(Loaded::Found { record, .. }), _) => self.seen(record.key, record.version),
            (Some(Loaded::Unchanged { .. }), Some(version)) => self.seen(key, version),
            _ => self.unseen(&key),
        }
        Ok(loaded)
    }

    /// Notes what a replica has to have of a session from now on.
    pub(super) fn seen(&self, key: SessionKey, version: u64) {
        if let Some(replicas) = &self.connection.replicas {
            replicas.seen(key, version);
        }
    }

    /// Notes that a session has ended, or has another id.
    pub(super) fn ended(&self, key: SessionKey) {
        if let Some(replicas) = &self.connection.replicas {
            replicas.ended(key);
        }
    }

    /// Lets only the primary answer the next read of a session.
    pub(super) fn unseen(&self, key: &SessionKey) {
        if let Some(replicas) = &self.connection.replicas {
            replicas.unseen(key);
        }
    }

    /// Asks only for the version where that is enough.
    async fn unchanged(&self, reads: &Reads, key: SessionKey, known: u64) -> Result<bool, StoreError> {
        let fields = ["_st", "_v", "_la", "_idle", "_abs", "_u", "_h"].map(Value::from);
        let mut args = vec![self.session_key(&key).into()];
        args.extend(fields);
        let fields: Vec<Option<String>> = self.connection.read(reads, "HMGET", args).await?;
        let [state, version, accessed, idle, absolute, user, handle] = &fields[..] else { return Ok(false) };
        let int = |field: &Option<String>| field.as_deref().and_then(|text| text.parse::<u64>().ok());
        let (Some(version), Some(accessed), Some(idle), Some(absolute)) =
            (int(version), int(accessed), int(idle), int(absolute))
        else {
            return Ok(false);
        };
        let live = accessed.saturating_add(idle).min(absolute) > self.connection.now_ms();
        if state.as_deref() != Some("a") || version != known || !live {
            return Ok(false);
        }
        self.check_place(reads, user.as_deref(), handle.as_deref().unwrap_or_default()).await?;
        Ok(true)
    }

    pub(super) async fn load_now(
        &self,
        reads: &Reads,
        key: SessionKey,
        known: Option<u64>,
    ) -> Result<Option<Loaded>, StoreError> {
        if let Some(known) = known
            && self.unchanged(reads, key, known).await?
        {
            return Ok(Some(Loaded::Unchanged { now_ms: self.connection.now_ms() }));
        }
        let Some(record) = self.find(reads, key).await? else { return Ok(None) };
        self.check_place(reads, record.user.as_deref(), &record.handle).await?;
        Ok(Some(Loaded::Found { record: Arc::new(record), now_ms: self.connection.now_ms() }))
    }
}
