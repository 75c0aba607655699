//! Routes: what they match and where they lead.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::UpstreamRef;

/// One route. Exactly one of `upstream`, `files`, `respond` and `service` says where it leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteConfig {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) host: Option<String>,
    #[serde(default = "root")]
    pub(crate) path: String,
    /// The name of an upstream, or one of its own.
    #[serde(default)]
    pub(crate) upstream: Option<UpstreamRef>,
    #[serde(default)]
    pub(crate) files: Option<PathBuf>,
    #[serde(default)]
    pub(crate) respond: Option<RespondConfig>,
    #[serde(default)]
    pub(crate) service: Option<Builtin>,
    /// Whether sessions are used here; on by default, off for files.
    #[serde(default)]
    pub(crate) session: Option<SessionMode>,
}

fn root() -> String {
    "/".into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionMode {
    On,
    Off,
}

/// Services that are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Builtin {
    /// The demo shop.
    DemoShop,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RespondConfig {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) body: String,
}
