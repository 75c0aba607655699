//! Sessions of other systems.

use std::time::Duration;

use fred::types::{ClusterHash, Value};

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionKey;
use crate::limits::check_user;
use crate::record::{Record, millis};
use crate::write::Imported;

use super::codec::{corrupt, encode_value};
use super::failure::Effect;
use super::{RedisStore, Replicas, scripts};

impl RedisStore {
    /// The place in the user's set comes first: without it the session would count as evicted. Whoever takes
    /// over the same session takes the same place, so that it need not be given back where another one was first.
    pub(super) async fn import_now(&self, key: SessionKey, imported: Imported) -> Result<bool, StoreError> {
        // Whether its time is over is for the server's clock to say, not for our idea of it.
        let now_ms = self.connection.now_ms();
        let mut record = Record::imported(key, &imported, &self.limits, now_ms.min(imported.accessed_ms))?;
        record.absolute_ms = now_ms.saturating_add(millis(imported.expiry.absolute));
        if let Some(login) = &imported.login {
            check_user(&login.user)?;
            if !self.exists(&key).await? {
                self.admit(&record, login).await?;
            }
        }
        let mut args: Vec<Value> = vec![
            imported.op.to_string().into(),
            imported.created_ms.to_string().into(),
            imported.accessed_ms.to_string().into(),
            record.idle_ms.to_string().into(),
            millis(imported.expiry.absolute).to_string().into(),
            millis(imported.remember).to_string().into(),
            record.user.as_deref().unwrap_or_default().into(),
            (&*record.handle).into(),
            record.attributes.len().to_string().into(),
            record.bytes().to_string().into(),
        ];
        for (name, value) in &record.attributes {
            args.push(format!("a:{name}").into());
            args.push(encode_value(value).into());
        }
        let reply = self.connection.script(&scripts::IMPORT_SCRIPT, &self.session_key(&key), args).await?;
        self.note_time(reply.get(1));
        match reply[0].as_str() {
            "ok" => Ok(true),
            "taken" => Ok(false),
            "gone" => Err(StoreError::gone()),
            "exists" => Err(StoreError::new(StoreErrorKind::Conflict, "the session's key is taken")),
            _ => Err(corrupt("a script gave an unknown answer")),
        }
    }

    pub(super) async fn settle_now(&self, key: SessionKey, grace: Duration) -> Result<(), StoreError> {
        let args = vec![millis(grace).to_string().into()];
        self.on_session(&scripts::SETTLE_SCRIPT, key, args, Replicas::Any).await.map(|_| ())
    }

    /// Takes away what a session leaves behind whose key outlives it. Every script that finds one does it.
    pub(super) async fn clear(&self, record: &Record) {
        if record.taken.is_some() {
            let _ = self.on_session(&scripts::TOUCH_SCRIPT, record.key, vec![], Replicas::Any).await;
        }
    }

    async fn exists(&self, key: &SessionKey) -> Result<bool, StoreError> {
        let args = vec![self.session_key(key).into()];
        let found: u64 = self.connection.command("EXISTS", ClusterHash::FirstKey, args, Effect::Read).await?;
        Ok(found == 1)
    }
}
