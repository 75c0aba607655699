//! The accounts of the admin side.

use std::sync::Arc;

use iap_core::SystemClock;

use super::secret::read_secret;
use super::{BootError, failed};
use crate::access::Access;
use crate::config::{AdminConfig, Environment};

/// Makes what the configuration asks for.
pub(super) fn make_access(
    config: &AdminConfig,
    environment: &Environment,
) -> Result<Option<Arc<Access>>, BootError> {
    let Some(access) = &config.access else {
        if !config.listen.ip().is_loopback() {
            tracing::warn!(address = %config.listen, "admin: whoever reaches it may do all: set admin.access");
        }
        return Ok(None);
    };
    let mut tokens = Vec::with_capacity(access.tokens.len());
    for (name, token) in &access.tokens {
        let secret =
            read_secret(&token.token, environment).map_err(|error| format!("tokens.{name}: {error}"));
        tokens.push((name.clone(), secret.map_err(failed("admin.access"))?));
    }
    let access = Access::new(access, tokens, Arc::new(SystemClock)).map_err(failed("admin.access"))?;
    Ok(Some(Arc::new(access)))
}
