//! How session ids travel, who gets a session, and what is different for some users and on some routes.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{OnLimit, SecretRef, SessionsConfig, Span};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CookieConfig {
    pub(crate) name: String,
    /// What stands before the name over TLS.
    pub(crate) prefix: Prefix,
    pub(crate) secure: Secure,
    pub(crate) same_site: SameSite,
    /// Kept apart for each site that embeds this one; over TLS.
    pub(crate) partitioned: bool,
    /// Hosts below it get the cookie, too; needs a prefix other than `host`.
    pub(crate) domain: Option<String>,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            name: "iap-session".into(),
            prefix: Prefix::Host,
            secure: Secure::Auto,
            same_site: SameSite::Lax,
            partitioned: false,
            domain: None,
        }
    }
}

impl CookieConfig {
    /// The name over TLS.
    pub(crate) fn secure_name(&self) -> String {
        let prefix = match self.prefix {
            Prefix::Host => "__Host-",
            Prefix::Secure => "__Secure-",
            Prefix::None => "",
        };
        format!("{prefix}{}", self.name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Prefix {
    /// `__Host-`: browsers refuse one from another host.
    Host,
    /// `__Secure-`
    Secure,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Secure {
    /// Over TLS.
    Auto,
    /// Always: TLS ends in front of us.
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SameSite {
    Strict,
    Lax,
    None,
}

/// Ids are signed, so that made-up ones ask no store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignConfig {
    pub(crate) key: SecretRef,
    /// Keys before it, for as long as sessions live.
    #[serde(default)]
    pub(crate) former: Vec<SecretRef>,
    /// Ids without a signature are taken, too: while signing is introduced.
    #[serde(default)]
    pub(crate) accept_unsigned: bool,
}

/// Who gets no session although the application writes one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NoSessionsConfig {
    pub(crate) bots: bool,
    pub(crate) health_checks: bool,
    pub(crate) static_files: bool,
    /// More parts of a `User-Agent` that mean a bot.
    pub(crate) user_agents: Vec<String>,
}

impl Default for NoSessionsConfig {
    fn default() -> Self {
        Self { bots: true, health_checks: true, static_files: true, user_agents: Vec::new() }
    }
}

/// What a session is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bound {
    /// The client's network: 24 bits of an IPv4 address, 64 of an IPv6 one.
    Address,
    /// What it calls itself, without versions.
    UserAgent,
}

/// Rules for the users of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupConfig {
    pub(crate) max_per_user: u32,
    #[serde(default = "evict_oldest")]
    pub(crate) on_limit: OnLimit,
    #[serde(default)]
    pub(crate) idle: Option<Span>,
    #[serde(default)]
    pub(crate) absolute: Option<Span>,
}

fn evict_oldest() -> OnLimit {
    OnLimit::EvictOldest
}

/// Sessions on one route: `on`, `existing`, `off`, or a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RouteSession {
    pub(crate) mode: SessionMode,
    pub(crate) carrier: Carrier,
    pub(crate) outage: Outage,
    /// How old what is known may be, with `outage: stale`.
    pub(crate) max_stale: Span,
    pub(crate) idle: Option<Span>,
    pub(crate) absolute: Option<Span>,
}

impl Default for RouteSession {
    fn default() -> Self {
        SessionMode::On.into()
    }
}

impl RouteSession {
    /// Checks the lives of sessions against those of `sessions`.
    pub(super) fn check(&self, sessions: &SessionsConfig) -> Result<(), String> {
        let near = sessions.redis.as_ref().is_some_and(|redis| redis.near_cache.enabled);
        if self.outage == Outage::Stale && !near {
            return Err("session: `outage: stale` needs sessions.redis.near_cache".to_owned());
        }
        check_lives(self.idle, self.absolute, sessions).map_err(|error| format!("session: {error}"))
    }
}

/// Checks lives that may be given in part.
pub(super) fn check_lives(
    idle: Option<Span>,
    absolute: Option<Span>,
    sessions: &SessionsConfig,
) -> Result<(), &'static str> {
    let (idle, absolute) = (idle.unwrap_or(sessions.idle), absolute.unwrap_or(sessions.absolute));
    if idle.0.is_zero() || absolute.0.is_zero() {
        return Err("`idle` and `absolute` must be longer than zero, like `30m`");
    }
    if idle > absolute {
        return Err("`idle` is longer than `absolute`; what is not set here is as in `sessions`");
    }
    Ok(())
}

impl From<SessionMode> for RouteSession {
    fn from(mode: SessionMode) -> Self {
        Self {
            mode,
            carrier: Carrier::Cookie,
            outage: Outage::FailClosed,
            max_stale: Span::seconds(60),
            idle: None,
            absolute: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionMode {
    On,
    /// Those that are there; none begins here.
    Existing,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Carrier {
    Cookie,
    Header,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outage {
    FailClosed,
    Anonymous,
    /// Reads go on with what the near cache knows.
    Stale,
}

/// What a route has under `session`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct SessionRef(pub(crate) RouteSession);

impl<'de> Deserialize<'de> for SessionRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrBlock).map(Self)
    }
}

struct WordOrBlock;

impl<'de> Visitor<'de> for WordOrBlock {
    type Value = RouteSession;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`on`, `existing`, `off`, or a block of settings")
    }

    /// YAML 1.1 has it that `on` and `off` are truth values.
    fn visit_bool<E: de::Error>(self, on: bool) -> Result<RouteSession, E> {
        Ok(if on { SessionMode::On } else { SessionMode::Off }.into())
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<RouteSession, E> {
        match word {
            "on" => Ok(SessionMode::On.into()),
            "existing" => Ok(SessionMode::Existing.into()),
            "off" => Ok(SessionMode::Off.into()),
            _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RouteSession, A::Error> {
        RouteSession::deserialize(MapAccessDeserializer::new(map))
    }
}
