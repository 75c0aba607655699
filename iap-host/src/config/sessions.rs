//! The session cluster.

use std::net::SocketAddr;

use iap_session::audience::By;
use serde::{Deserialize, Serialize};

use super::{ByteSize, EventsConfig, RecordAddressConfig, RedisConfig, RevocationsConfig, SecretRef, Span};

/// The session cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SessionsConfig {
    pub(crate) enabled: bool,
    pub(crate) store: StoreKind,
    pub(crate) redis: Option<RedisConfig>,
    /// The key that session ids are hashed with; the same on all nodes of a cluster.
    pub(crate) secret: Option<SecretRef>,
    pub(crate) cookie: CookieConfig,
    /// A session ends after this long without a request.
    pub(crate) idle: Span,
    /// A session ends after this long whatever happens.
    pub(crate) absolute: Span,
    pub(crate) login: LoginConfig,
    /// Where applications in other languages reach their session.
    pub(crate) api: SocketAddr,
    /// Most sessions in the memory store.
    pub(crate) max_count: usize,
    /// Most bytes in the memory store.
    pub(crate) max_memory: ByteSize,
    pub(crate) audience: AudienceConfig,
    /// The name of this gateway, which sessions are noted with; the host's when absent.
    pub(crate) node: Option<String>,
    /// How much sessions keep of the addresses of clients.
    pub(crate) record_address: RecordAddressConfig,
    pub(crate) events: EventsConfig,
    pub(crate) revocations: RevocationsConfig,
}

/// How users are counted that are there at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AudienceConfig {
    /// `address`, `session`, `user`, `cookie:NAME`; each is counted for itself. None: nothing is counted.
    pub(crate) by: Vec<Kind>,
}

impl Default for AudienceConfig {
    fn default() -> Self {
        Self { by: vec![Kind(By::Address), Kind(By::Session)] }
    }
}

/// What tells users apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Kind(pub(crate) By);

impl TryFrom<String> for Kind {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.0.to_string()
    }
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            store: StoreKind::Memory,
            redis: None,
            secret: None,
            cookie: CookieConfig::default(),
            idle: Span::seconds(30 * 60),
            absolute: Span::seconds(12 * 3600),
            login: LoginConfig::default(),
            api: ([127, 0, 0, 1], 9901).into(),
            max_count: 100_000,
            max_memory: ByteSize(256 << 20),
            audience: AudienceConfig::default(),
            node: None,
            record_address: RecordAddressConfig::default(),
            events: EventsConfig::default(),
            revocations: RevocationsConfig::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    Memory,
    Redis,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CookieConfig {
    pub(crate) name: String,
    pub(crate) secure: Secure,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self { name: "iap-session".into(), secure: Secure::Auto }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Secure {
    /// Over TLS.
    Auto,
    /// Always: TLS ends in front of us.
    Always,
    Never,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LoginConfig {
    /// Sessions that one user may have at once.
    pub(crate) max_per_user: u32,
    pub(crate) on_limit: OnLimit,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self { max_per_user: 100, on_limit: OnLimit::EvictOldest }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnLimit {
    EvictOldest,
    RefuseNew,
}
