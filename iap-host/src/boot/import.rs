//! What an import of sessions needs, from the settings of the gateways.

use std::sync::Arc;

use iap_session::SessionIds;
use iap_session::migrate::Import;

use super::secret::read_secret;
use super::sessions::connect_redis;
use super::{BootError, adopt, failed};
use crate::config::{AdoptConfig, Environment, SessionsConfig, StoreKind};

/// Connects to the store of the gateways, and to where the old sessions are.
pub(crate) async fn import(
    config: &SessionsConfig,
    from: &AdoptConfig,
    dry_run: bool,
    environment: &Environment,
) -> Result<Import, BootError> {
    let (StoreKind::Redis, Some(redis), Some(secret)) = (config.store, &config.redis, &config.secret) else {
        let text =
            "sessions can only be imported into `store: redis`: those in memory end with their process";
        return Err(failed("sessions.store")(text));
    };
    let secret = read_secret(secret, environment).map_err(failed("sessions.secret"))?;
    let ids = SessionIds::new(secret.as_bytes()).map_err(failed("sessions.secret"))?;
    let source = adopt::source(from, environment)?;
    let store = Arc::new(connect_redis(redis, ids, environment, None).await?);
    Ok(Import { store, source, takeover: adopt::takeover(config, from), dry_run })
}
