//! Sessions of another system that go on here.

use std::path::Path;

use iap_session::migrate::{Connect, Spring};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::redis::RedisTlsConfig;
use super::{SecretRef, Span};

/// Where the old sessions are, and how their clients are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdoptConfig {
    pub(crate) from: System,
    /// The Redis of the old system, as in `sessions.redis.url`; the directory of a Tomcat `FileStore`.
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) username: Option<String>,
    #[serde(default)]
    pub(crate) password: Option<SecretRef>,
    #[serde(default)]
    pub(crate) tls: Option<RedisTlsConfig>,
    /// What the old keys begin with; what is usual there when absent.
    #[serde(default)]
    pub(crate) prefix: Option<String>,
    /// The secrets that cookies of Express are signed with; the first is the newest.
    #[serde(default)]
    pub(crate) secrets: Vec<SecretRef>,
    /// The attribute with the user's name, with dots into it; what is usual there when absent.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// The name of the old cookie; what is usual there when absent.
    #[serde(default)]
    pub(crate) cookie: Option<String>,
    /// How long the old store may take.
    #[serde(default = "timeout")]
    pub(crate) timeout: Span,
    /// How much longer than a session it is remembered that it was taken over.
    #[serde(default = "remember")]
    pub(crate) remember: Span,
    /// How long an old cookie that led nowhere is not asked about again.
    #[serde(default = "unknown_for")]
    pub(crate) unknown_for: Span,
}

/// What has written the old sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// Spring Session in Redis.
    Spring,
    /// The same with the indexed repository.
    SpringIndexed,
    /// connect-redis of Express.
    Connect,
    /// tower-sessions in Redis.
    Tower,
    /// Redisson's session manager for Tomcat.
    Redisson,
    /// Tomcat's FileStore.
    Tomcat,
}

impl System {
    /// The name that the cookie usually has.
    pub(crate) fn cookie(self) -> &'static str {
        match self {
            Self::Spring | Self::SpringIndexed => "SESSION",
            Self::Connect => "connect.sid",
            Self::Tower => "id",
            Self::Redisson | Self::Tomcat => "JSESSIONID",
        }
    }

    /// What keys usually begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Spring | Self::SpringIndexed => Spring::NAMESPACE,
            Self::Connect => Connect::PREFIX,
            Self::Tower | Self::Redisson | Self::Tomcat => "",
        }
    }
}

fn timeout() -> Span {
    Span::seconds(1)
}

fn remember() -> Span {
    Span::seconds(30 * 24 * 3600)
}

fn unknown_for() -> Span {
    Span::seconds(10)
}

impl AdoptConfig {
    pub(crate) fn new(from: System, source: String) -> Self {
        Self {
            from,
            source,
            username: None,
            password: None,
            tls: None,
            prefix: None,
            secrets: Vec::new(),
            user: None,
            cookie: None,
            timeout: timeout(),
            remember: remember(),
            unknown_for: unknown_for(),
        }
    }

    /// The old Redis, without secrets.
    pub(crate) fn redis(&self) -> iap_session::RedisConfig {
        iap_session::RedisConfig {
            username: self.username.clone(),
            tls: self.tls.as_ref().map(RedisTlsConfig::settings),
            connections: 2,
            ..iap_session::RedisConfig::new(&self.source)
        }
    }

    /// What is wrong with it, beginning with the name of the setting.
    pub(crate) fn check(&self) -> Result<(), String> {
        let cookie = self.cookie.as_deref().unwrap_or(self.from.cookie());
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if cookie.is_empty() || !cookie.chars().all(is_token) {
            return Err("cookie is no cookie name".to_owned());
        }
        if self.from == System::Connect && self.secrets.is_empty() {
            return Err("secrets: those that the old cookies are signed with are needed, like \
                        `secrets: [{env: OLD_SESSION_SECRET}]`"
                .to_owned());
        }
        if self.from != System::Connect && !self.secrets.is_empty() {
            return Err("secrets: only cookies of `from: connect` are signed".to_owned());
        }
        if self.timeout.0.is_zero() || self.remember.0.is_zero() {
            return Err("timeout and remember must be longer than zero".to_owned());
        }
        if self.from == System::Tomcat {
            let is_url = self.source.contains("://");
            if is_url || Path::new(&self.source).as_os_str().is_empty() {
                return Err("source: the directory of the FileStore is needed".to_owned());
            }
            if self.username.is_some() || self.password.is_some() || self.tls.is_some() {
                return Err("source: a directory has no username, password or tls".to_owned());
            }
            return Ok(());
        }
        if self.source.split('/').nth(2).is_some_and(|authority| authority.contains('@'))
            || self.source.contains("sentinelPassword=")
        {
            return Err("source holds a user name or password: use username and password, like \
                        `password: {env: OLD_REDIS_PASSWORD}`"
                .to_owned());
        }
        let mut redis = self.redis();
        // A user needs a password, which is only known where it lies.
        redis.password = self.password.as_ref().map(|_| "-".to_owned());
        redis.check().map_err(|error| format!("source: {error}"))
    }
}

#[cfg(test)]
mod tests;
