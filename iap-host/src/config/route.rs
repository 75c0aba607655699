//! Routes: what they match and where they lead.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{
    AuthConfig, CompressConfig, CorsConfig, EditsConfig, LimitsConfig, RateConfig, RedirectConfig, WhenConfig,
};
use super::split::SplitConfig;
use super::{FilesRef, ProcessConfig, RouteSession, SessionMode, SessionRef, UpstreamRef};

/// One route. Exactly one of `upstream`, `process`, `files`, `respond`, `redirect`, `split`
/// and `service` says where it leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RouteConfig {
    pub(crate) name: String,
    pub(crate) host: Option<String>,
    /// A prefix of whole segments; `{name}` stands for any segment, `{*name}` at its end for all that follow.
    pub(crate) path: String,
    /// The path alone, nothing below it.
    pub(crate) exact: bool,
    pub(crate) when: WhenConfig,
    /// The name of an upstream, or one of its own.
    pub(crate) upstream: Option<UpstreamRef>,
    /// An application that the host starts itself.
    pub(crate) process: Option<Box<ProcessConfig>>,
    /// A directory, or how it is served.
    pub(crate) files: Option<FilesRef>,
    pub(crate) respond: Option<RespondConfig>,
    pub(crate) redirect: Option<RedirectConfig>,
    /// Several upstreams, by shares.
    pub(crate) split: Option<SplitConfig>,
    pub(crate) service: Option<Builtin>,
    /// Whether sessions are used here; on by default, off for files.
    pub(crate) session: Option<SessionRef>,
    /// Networks that may come, and networks that may not.
    pub(crate) allow: Vec<String>,
    pub(crate) deny: Vec<String>,
    pub(crate) auth: Option<AuthConfig>,
    pub(crate) cors: Option<CorsConfig>,
    pub(crate) rate_limits: Vec<RateConfig>,
    pub(crate) limits: LimitsConfig,
    pub(crate) rewrite: Option<String>,
    pub(crate) request_headers: EditsConfig,
    pub(crate) response_headers: EditsConfig,
    pub(crate) compress: CompressConfig,
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            host: None,
            path: "/".into(),
            exact: false,
            when: WhenConfig::default(),
            upstream: None,
            process: None,
            files: None,
            respond: None,
            redirect: None,
            split: None,
            service: None,
            session: None,
            allow: Vec::new(),
            deny: Vec::new(),
            auth: None,
            cors: None,
            rate_limits: Vec::new(),
            limits: LimitsConfig::default(),
            rewrite: None,
            request_headers: EditsConfig::default(),
            response_headers: EditsConfig::default(),
            compress: CompressConfig::default(),
        }
    }
}

impl RouteConfig {
    /// What is done with sessions here.
    pub(crate) fn session(&self) -> RouteSession {
        let default = || {
            let no_application = self.files.is_some() || self.respond.is_some() || self.redirect.is_some();
            if no_application { SessionMode::Off } else { SessionMode::On }.into()
        };
        self.session.as_ref().map_or_else(default, |session| session.0.clone())
    }
}

/// Services that are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Builtin {
    /// The demo shop.
    DemoShop,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RespondConfig {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) body: String,
}
