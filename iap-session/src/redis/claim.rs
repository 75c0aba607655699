//! Who of several gateways does what only one of them is to do.

use std::time::Duration;

use fred::types::ClusterHash;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::hex;
use crate::id::random;
use crate::record::millis;

use super::RedisStore;
use super::failure::Effect;

impl RedisStore {
    /// Says whether this is the first of all who share the prefix to claim something of a `kind` within a time: for
    /// what one of them is to do, and the others not. What is claimed may be any text.
    ///
    /// # Errors
    ///
    /// `Unavailable`, and `Ambiguous` where nobody can say who was first.
    pub async fn is_first(&self, kind: &str, what: &str, lasts: Duration) -> Result<bool, StoreError> {
        // `SET NX GET`: who asks again after a lost answer finds its own mark.
        let key = format!("{}:{{claim}}:{kind}:{}", self.prefix, self.ids.user_key(what));
        let mark = hex(&random::<8>());
        let args = || {
            let lasts = millis(lasts).max(1).to_string();
            vec![
                key.as_str().into(),
                mark.as_str().into(),
                "NX".into(),
                "GET".into(),
                "PX".into(),
                lasts.into(),
            ]
        };
        let ask =
            || self.connection.command::<Option<String>>("SET", ClusterHash::FirstKey, args(), Effect::Write);
        let before = match ask().await {
            Err(error) if error.kind() == StoreErrorKind::Ambiguous => ask().await?,
            other => other?,
        };
        Ok(before.is_none_or(|before| before == mark))
    }
}
