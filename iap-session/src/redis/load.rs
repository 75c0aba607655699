//! Reading a session for a request.

use std::sync::Arc;

use fred::types::Value;

use crate::error::StoreError;
use crate::id::SessionKey;
use crate::record::Loaded;

use super::RedisStore;
use super::connection::Reads;

impl RedisStore {
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
