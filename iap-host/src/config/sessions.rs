//! The session cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use iap_session::audience::By;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::session_policy::{Bound, CookieConfig, GroupConfig, NoSessionsConfig, SignConfig};
use super::{
    AdoptConfig, ByteSize, EventsConfig, RecordAddressConfig, RedisConfig, RevocationsConfig, SecretRef, Span,
};

/// The session cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SessionsConfig {
    pub(crate) enabled: bool,
    pub(crate) store: StoreKind,
    pub(crate) redis: Option<RedisConfig>,
    /// The key that session ids are hashed with; the same on all nodes of a cluster.
    pub(crate) secret: Option<SecretRef>,
    pub(crate) cookie: CookieConfig,
    /// The header of routes whose sessions travel in one.
    pub(crate) header: String,
    /// Ids are signed with it.
    pub(crate) sign: Option<SignConfig>,
    /// At the end of ids, behind a dot, for a balancer in front.
    pub(crate) jvm_route: Option<String>,
    /// A session ends after this long without a request.
    pub(crate) idle: Span,
    /// A session ends after this long whatever happens.
    pub(crate) absolute: Span,
    pub(crate) login: LoginConfig,
    /// Other rules for some users: the application says whose, when it logs them in.
    pub(crate) groups: BTreeMap<String, GroupConfig>,
    /// Who gets none.
    pub(crate) none_for: NoSessionsConfig,
    /// What of a client must stay the same.
    pub(crate) bind: Vec<Bound>,
    /// Where applications in other languages reach their session.
    pub(crate) api: SocketAddr,
    /// Most sessions in the memory store.
    pub(crate) max_count: usize,
    /// Most bytes in the memory store.
    pub(crate) max_memory: ByteSize,
    /// A file for the sessions of the memory store while the process is restarted.
    pub(crate) snapshot: Option<PathBuf>,
    pub(crate) audience: AudienceConfig,
    /// Sessions of another system go on here, when their clients come with the old cookie.
    pub(crate) adopt: Option<AdoptConfig>,
    /// The name of this gateway, which sessions are noted with; the host's when absent.
    pub(crate) node: Option<String>,
    /// How much sessions keep of the addresses of clients.
    pub(crate) record_address: RecordAddressConfig,
    pub(crate) events: EventsConfig,
    pub(crate) revocations: RevocationsConfig,
}

/// How users are counted that are there at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
            header: "x-auth-token".into(),
            sign: None,
            jvm_route: None,
            idle: Span::seconds(30 * 60),
            absolute: Span::seconds(12 * 3600),
            login: LoginConfig::default(),
            groups: BTreeMap::new(),
            none_for: NoSessionsConfig::default(),
            bind: Vec::new(),
            api: ([127, 0, 0, 1], 9901).into(),
            max_count: 100_000,
            max_memory: ByteSize(256 << 20),
            snapshot: None,
            audience: AudienceConfig::default(),
            adopt: None,
            node: None,
            record_address: RecordAddressConfig::default(),
            events: EventsConfig::default(),
            revocations: RevocationsConfig::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    Memory,
    Redis,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnLimit {
    EvictOldest,
    RefuseNew,
}
