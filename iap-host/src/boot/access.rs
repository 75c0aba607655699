//! The accounts of the admin side.

use std::sync::Arc;

use iap_core::SystemClock;
use iap_core::upstream::{UpstreamTls, UpstreamTlsSettings};

use tokio::runtime::Handle;

use super::secret::read_secret;
use super::{BootError, failed};
use crate::access::{Access, OidcSettings};
use crate::config::{AdminConfig, Environment, OidcConfig};

/// Makes what the configuration asks for.
pub(super) fn make_access(
    config: &AdminConfig,
    environment: &Environment,
    runtime: &Handle,
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
    let oidc = access.oidc.as_ref().map(|oidc| read_oidc(oidc, environment));
    let oidc = oidc.transpose().map_err(failed("admin.access.oidc"))?;
    let access = Access::new(access, tokens, oidc, Arc::new(SystemClock)).map_err(failed("admin.access"))?;
    let access = Arc::new(access);
    if access.provider().is_some() {
        let looks = access.clone();
        runtime.spawn(async move { looks.look_at_provider().await });
    }
    Ok(Some(access))
}

fn read_oidc(config: &OidcConfig, environment: &Environment) -> Result<OidcSettings, String> {
    let secret = config.client_secret.as_ref().map(|secret| read_secret(secret, environment)).transpose();
    let secret = secret.map_err(|error| format!("client_secret: {error}"))?;
    let settings = UpstreamTlsSettings { ca: config.ca.clone(), ..UpstreamTlsSettings::default() };
    let is_tls = config.issuer.starts_with("https://");
    let tls =
        is_tls.then(|| UpstreamTls::load(&settings).map_err(|error| format!("ca: {error}"))).transpose()?;
    Ok(OidcSettings::new(config, secret, tls))
}
