//! Where sessions of another system are, from its settings.

use std::sync::Arc;

use iap_session::migrate::{
    Adoption, AdoptionConfig, Connect, Redisson, Source, Spring, Takeover, TomcatFiles, TowerSessions,
};
use iap_session::{RedisConfig, StoreError};

use super::secret::read_secret;
use super::session_policy::rules;
use super::{BootError, failed};
use crate::config::{AdoptConfig, Environment, SecretRef, SessionsConfig, System};

/// The rules by which sessions are taken over.
pub(super) fn takeover(config: &SessionsConfig, adopt: &AdoptConfig) -> Takeover {
    let (expiry, login) = rules(config);
    Takeover { expiry, login, remember: adopt.remember.0 }
}

/// Must be called on the runtime that connections are to live on. They are made when they are needed first, so that an old
/// store which is away holds nobody up.
pub(super) fn source(adopt: &AdoptConfig, environment: &Environment) -> Result<Arc<dyn Source>, BootError> {
    let secret =
        |reference: &SecretRef, name: &'static str| read_secret(reference, environment).map_err(failed(name));
    let password = adopt.password.as_ref().map(|reference| secret(reference, "sessions.adopt.password"));
    let redis = RedisConfig { password: password.transpose()?, ..adopt.redis() };
    let secrets = adopt.secrets.iter().map(|reference| secret(reference, "sessions.adopt.secrets"));
    let secrets: Vec<String> = secrets.collect::<Result<_, _>>()?;
    open(adopt, &redis, &secrets).map_err(failed("sessions.adopt"))
}

fn open(adopt: &AdoptConfig, redis: &RedisConfig, secrets: &[String]) -> Result<Arc<dyn Source>, StoreError> {
    let user = adopt.user.clone();
    let prefix = adopt.prefix.as_deref().unwrap_or(adopt.from.prefix());
    Ok(match adopt.from {
        System::Spring | System::SpringIndexed => Arc::new(Spring::new(redis, prefix, user)?),
        System::Connect => Arc::new(Connect::new(redis, prefix, secrets, user)?),
        System::Tower => Arc::new(TowerSessions::new(redis, prefix, user)?),
        System::Redisson => Arc::new(Redisson::new(redis, prefix, user)?),
        System::Tomcat => Arc::new(TomcatFiles::new(&adopt.source, user)?),
    })
}

/// What the session layer adopts by; nothing where that is not wanted.
pub(super) fn adoption(
    config: &SessionsConfig,
    environment: &Environment,
) -> Result<Option<Arc<Adoption>>, BootError> {
    let Some(adopt) = &config.adopt else { return Ok(None) };
    let settings = AdoptionConfig {
        takeover: takeover(config, adopt),
        timeout: adopt.timeout.0,
        unknown_for: adopt.unknown_for.0,
        ..AdoptionConfig::new(adopt.cookie.as_deref().unwrap_or(adopt.from.cookie()))
    };
    let adoption = Adoption::new(source(adopt, environment)?, settings).map_err(failed("sessions.adopt"))?;
    Ok(Some(Arc::new(adoption)))
}
