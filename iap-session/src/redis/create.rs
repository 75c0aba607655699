//! How a session begins.

use std::sync::Arc;

use fred::types::Value;

use crate::error::{StoreError, StoreErrorKind};
use crate::limits::check_user;
use crate::record::{Created, Record};
use crate::write::NewSession;

use super::codec::{corrupt, encode_provenance, encode_recent, encode_value};
use super::{RedisStore, scripts};

/// How long a session lives that was written but whose id nobody has yet, in milliseconds.
const UNBORN_MS: u64 = 60_000;

impl RedisStore {
    /// Writes `record` under its key, which must be free. `lifetime` is set for a session that
    /// begins now; a rotated one keeps its dates and has a short life until it is known.
    pub(super) async fn write_new(&self, record: &Record, lifetime: Option<u64>) -> Result<(), StoreError> {
        let rotated = |value: u64| if lifetime.is_some() { String::new() } else { value.to_string() };
        let (op, _) = record.recent.last().ok_or_else(|| corrupt("a session without a first write"))?;
        let mut args: Vec<Value> = vec![
            op.to_string().into(),
            record.version.to_string().into(),
            rotated(record.created_ms).into(),
            record.idle_ms.to_string().into(),
            rotated(record.absolute_ms).into(),
            lifetime.unwrap_or_default().to_string().into(),
            record.user.as_deref().unwrap_or_default().into(),
            (&*record.handle).into(),
            encode_recent(&record.recent).into(),
            rotated(UNBORN_MS).into(),
            record.attributes.len().to_string().into(),
            record.bytes().to_string().into(),
        ];
        let binding = record.binding.as_deref().map(|binding| ("_bd", binding.to_owned()));
        for (name, value) in encode_provenance(&record.provenance).chain(binding) {
            args.push(name.into());
            args.push(value.into());
        }
        for (name, value) in &record.attributes {
            args.push(format!("a:{name}").into());
            args.push(encode_value(value).into());
        }
        let key = self.session_key(&record.key);
        let reply = self.connection.script(&scripts::CREATE_SCRIPT, &key, args).await?;
        match reply[0].as_str() {
            "ok" => {
                self.note_time(reply.get(1));
                Ok(())
            }
            _ => Err(StoreError::new(StoreErrorKind::Conflict, "the new session's key is taken")),
        }
    }

    pub(super) async fn create_now(&self, new: NewSession) -> Result<Created, StoreError> {
        if let Some(login) = &new.login {
            check_user(&login.user)?;
        }
        let (id, key) = self.ids.generate();
        let record = Record::new(key, &new, &self.limits, self.connection.now_ms())?;
        let lifetime = record.absolute_ms - record.created_ms;
        let mut written = self.write_new(&record, Some(lifetime)).await;
        if let (Ok(()), Some(login)) = (&written, &new.login) {
            written = self.admit(&record, login).await;
        }
        if let Err(error) = written {
            // Nobody learns its id.
            self.abandon(&record).await;
            return Err(error);
        }
        Ok(Created { id, record: Arc::new(record) })
    }
}
