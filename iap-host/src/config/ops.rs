//! What AI assistants may ask, what is taken out of the answers, and what helps our own.

use iap_ops::masking::Class;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions::ActionsConfig;
use super::{LlmConfig, RunbooksConfig, SecretRef};

/// The operations assistant towards others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OpsConfig {
    pub(crate) masking: MaskingConfig,
    pub(crate) mcp: McpConfig,
    pub(crate) actions: ActionsConfig,
    pub(crate) llm: LlmConfig,
    pub(crate) runbooks: RunbooksConfig,
}

/// Personal data in what leaves the platform. All classes are masked but those that are named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MaskingConfig {
    /// Classes that are not masked.
    pub(crate) off: Vec<String>,
}

/// The server of the Model Context Protocol, at `/mcp` of the admin listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct McpConfig {
    pub(crate) enabled: bool,
    /// What clients show: at least 16 characters. A token of `admin.access.tokens` does as well.
    pub(crate) token: Option<SecretRef>,
    /// Origins of web pages that may ask, besides the admin listener's own.
    pub(crate) origins: Vec<String>,
    /// Whether definitions of tools say what answers look like.
    pub(crate) output_schema: bool,
}

impl Default for McpConfig {
    fn default() -> Self {
        Self { enabled: false, token: None, origins: Vec::new(), output_schema: true }
    }
}

impl MaskingConfig {
    /// The classes that are not masked; those that do not exist were refused before.
    pub(crate) fn classes_off(&self) -> Vec<Class> {
        self.off.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

impl OpsConfig {
    /// What it needs to be read from elsewhere.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.mcp.token.iter().chain(self.llm.providers.iter().filter_map(|provider| provider.key.as_ref()))
    }

    /// What is wrong with it, if anything.
    pub(super) fn check(&self, has_apm: bool, has_tokens: bool) -> Result<(), String> {
        if let Some(error) = self.masking.off.iter().find_map(|name| name.parse::<Class>().err()) {
            return Err(format!("ops.masking.off: {error}"));
        }
        self.actions.check()?;
        let is_origin = |origin: &String| {
            let parsed = origin.parse::<http::Uri>().ok();
            parsed.is_some_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https"))
                    && !origin.ends_with('/')
                    && uri.path() == "/"
            })
        };
        if !self.mcp.origins.iter().all(is_origin) {
            return Err("ops.mcp.origins: write origins like `https://assistant.example`".to_owned());
        }
        self.llm.check()?;
        self.runbooks.check()?;
        if !has_apm && (self.llm.is_used() || self.runbooks.directory.is_some()) {
            return Err(
                "ops.llm, ops.runbooks: they are about what apm records, which is switched off".to_owned()
            );
        }
        match (self.mcp.enabled, self.mcp.token.is_some() || has_tokens, has_apm) {
            (true, false, _) => {
                Err("ops.mcp.token is needed, like `token: {env: IAP_MCP_TOKEN}`, or `admin.access.tokens`"
                    .to_owned())
            }
            (true, _, false) => {
                Err("ops.mcp: it tells of what apm records, which is switched off".to_owned())
            }
            _ => Ok(()),
        }
    }
}
