//! The session layer's settings, and those of a route, from the configuration.

use iap_session::{
    Binding, Carrier, CookieConfig, CreationFilter, Expiry, Group, LoginPolicy, Mode, Outage, SameSite,
    SecureCookie, SessionConfig, SessionPolicy, TokenKeys, WhenFull,
};

use super::secret::read_secret;
use super::{BootError, failed};
use crate::config::{
    self, Bound, Environment, OnLimit, RouteSession, SecretRef, Secure, SessionMode, SessionsConfig,
};

pub(super) fn session_config(
    config: &SessionsConfig,
    environment: &Environment,
) -> Result<SessionConfig, BootError> {
    let cookie = CookieConfig {
        secure_name: config.cookie.secure_name(),
        plain_name: config.cookie.name.clone(),
        secure: match config.cookie.secure {
            Secure::Auto => SecureCookie::Auto,
            Secure::Always => SecureCookie::Always,
            Secure::Never => SecureCookie::Never,
        },
        same_site: match config.cookie.same_site {
            config::SameSite::Strict => SameSite::Strict,
            config::SameSite::Lax => SameSite::Lax,
            config::SameSite::None => SameSite::None,
        },
        partitioned: config.cookie.partitioned,
        domain: config.cookie.domain.clone(),
    };
    let none_for = &config.none_for;
    let groups = config.groups.iter().map(|(name, group)| {
        let expiry = (group.idle.is_some() || group.absolute.is_some())
            .then(|| expiry(config, group.idle, group.absolute));
        (name.clone(), Group { login: login(group.max_per_user, group.on_limit), expiry })
    });
    let (lives, logins) = rules(config);
    Ok(SessionConfig {
        expiry: lives,
        login: logins,
        groups: groups.collect(),
        creation: CreationFilter {
            bots: none_for.bots,
            health_checks: none_for.health_checks,
            static_files: none_for.static_files,
            user_agents: none_for.user_agents.clone(),
        },
        binding: Binding {
            user_agent: config.bind.contains(&Bound::UserAgent),
            address: config.bind.contains(&Bound::Address),
        },
        cookie,
        header: config.header.parse().map_err(failed("sessions.header"))?,
        token_keys: token_keys(config, environment).map_err(failed("sessions.sign"))?,
        jvm_route: config.jvm_route.clone(),
        ..SessionConfig::default()
    })
}

/// How long sessions live, and how many a user has, unless a route or a group says otherwise.
pub(super) fn rules(config: &SessionsConfig) -> (Expiry, LoginPolicy) {
    (expiry(config, None, None), login(config.login.max_per_user, config.login.on_limit))
}

/// What a route's `session` says; `proxied` routes hand the session on.
pub(super) fn session_policy(route: &RouteSession, config: &SessionsConfig, proxied: bool) -> SessionPolicy {
    let expiry = (route.idle.is_some() || route.absolute.is_some())
        .then(|| expiry(config, route.idle, route.absolute));
    SessionPolicy {
        mode: match route.mode {
            SessionMode::On => Mode::On,
            SessionMode::Existing => Mode::Existing,
            SessionMode::Off => Mode::Off,
        },
        outage: match route.outage {
            config::Outage::FailClosed => Outage::FailClosed,
            config::Outage::Anonymous => Outage::Anonymous,
            config::Outage::Stale => Outage::Stale(route.max_stale.0),
        },
        forward: proxied,
        carrier: match route.carrier {
            config::Carrier::Cookie => Carrier::Cookie,
            config::Carrier::Header => Carrier::Header,
        },
        expiry,
    }
}

fn expiry(config: &SessionsConfig, idle: Option<config::Span>, absolute: Option<config::Span>) -> Expiry {
    Expiry { idle: idle.unwrap_or(config.idle).0, absolute: absolute.unwrap_or(config.absolute).0 }
}

fn login(max: u32, on_limit: OnLimit) -> LoginPolicy {
    LoginPolicy {
        max,
        when_full: match on_limit {
            OnLimit::EvictOldest => WhenFull::EvictOldest,
            OnLimit::RefuseNew => WhenFull::RefuseNew,
        },
    }
}

fn token_keys(config: &SessionsConfig, environment: &Environment) -> Result<Option<TokenKeys>, String> {
    let Some(sign) = &config.sign else { return Ok(None) };
    let read = |reference: &SecretRef| read_secret(reference, environment);
    let current = read(&sign.key)?;
    let former = sign.former.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let former: Vec<_> = former.iter().map(String::as_bytes).collect();
    let mut keys = TokenKeys::new(current.as_bytes(), &former).map_err(|error| error.to_string())?;
    keys.accept_unsigned = sign.accept_unsigned;
    Ok(Some(keys))
}
