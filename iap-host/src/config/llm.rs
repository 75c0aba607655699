//! Language models beside the assistant.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::upstream::UpstreamTlsConfig;
use super::{ByteSize, SecretRef, Span};

/// Providers, and the rules by which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LlmConfig {
    pub(crate) providers: Vec<ProviderConfig>,
    #[serde(rename = "use")]
    pub(crate) uses: UseConfig,
    pub(crate) budget: BudgetConfig,
    pub(crate) breaker: BreakerConfig,
    /// Labels of places where data may go; anywhere when absent.
    pub(crate) allow_residency: Option<Vec<String>>,
    /// How long all calls for one answer may take together.
    pub(crate) timeout: Option<Span>,
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderConfig {
    pub(crate) name: String,
    pub(crate) kind: LlmKind,
    /// Where it is; that of the provider itself when absent.
    #[serde(default)]
    pub(crate) url: Option<String>,
    pub(crate) model: String,
    #[serde(default)]
    pub(crate) key: Option<SecretRef>,
    #[serde(default)]
    pub(crate) tls: Option<UpstreamTlsConfig>,
    /// Tokens that the model can have before it.
    #[serde(default = "context")]
    pub(crate) context_tokens: u64,
    #[serde(default = "output")]
    pub(crate) max_output_tokens: u32,
    #[serde(default = "reply")]
    pub(crate) max_reply: ByteSize,
    /// How long the first byte may take, and a pause.
    #[serde(default = "first_byte")]
    pub(crate) first_byte: Span,
    /// How long a whole reply may take.
    #[serde(default = "total")]
    pub(crate) total: Span,
    #[serde(default)]
    pub(crate) price: Option<PriceConfig>,
    /// What the place where it runs is called.
    #[serde(default)]
    pub(crate) residency: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LlmKind {
    Openai,
    OpenaiCompatible,
    Anthropic,
    Gemini,
}

impl LlmKind {
    /// Where the provider itself is.
    pub(crate) fn usual_url(self) -> Option<&'static str> {
        match self {
            Self::Openai => Some("https://api.openai.com/v1"),
            Self::OpenaiCompatible => None,
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com"),
        }
    }
}

/// The price of a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceConfig {
    pub(crate) input: f64,
    pub(crate) output: f64,
}

/// Names of providers, the first choice first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UseConfig {
    pub(crate) understand: Vec<String>,
    pub(crate) word: Vec<String>,
    pub(crate) report: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BudgetConfig {
    pub(crate) hour: BoundsConfig,
    pub(crate) day: BoundsConfig,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BoundsConfig {
    pub(crate) requests: Option<u64>,
    pub(crate) tokens: Option<u64>,
    pub(crate) cost: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BreakerConfig {
    pub(crate) failures: u32,
    pub(crate) pause: Span,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 3, pause: Span::seconds(30) }
    }
}

fn context() -> u64 {
    8_192
}

fn output() -> u32 {
    1_024
}

fn reply() -> ByteSize {
    ByteSize(1 << 20)
}

fn first_byte() -> Span {
    Span::seconds(20)
}

fn total() -> Span {
    Span::seconds(45)
}

/// Providers of one configuration.
const MAX_PROVIDERS: usize = 16;
/// The longest that an answer may wait for models; the terminal and the console wait longer.
const LONGEST: Span = Span::seconds(100);

impl LlmConfig {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.providers.len() > MAX_PROVIDERS {
            return Err(format!("ops.llm.providers: at most {MAX_PROVIDERS}"));
        }
        let mut names = BTreeSet::new();
        for provider in &self.providers {
            let name = &provider.name;
            provider.check().map_err(|error| format!("ops.llm.providers: `{name}`: {error}"))?;
            if !names.insert(name.as_str()) {
                return Err(format!("ops.llm.providers: `{name}`: another provider has the same name"));
            }
        }
        for (scenario, used) in
            [("understand", &self.uses.understand), ("word", &self.uses.word), ("report", &self.uses.report)]
        {
            if let Some(unknown) = used.iter().find(|name| !names.contains(name.as_str())) {
                return Err(format!(
                    "ops.llm.use.{scenario}: there is no provider `{unknown}` in ops.llm.providers"
                ));
            }
        }
        let costs = [self.budget.hour.cost, self.budget.day.cost];
        if costs.into_iter().flatten().any(|cost| !is_amount(cost)) {
            return Err("ops.llm.budget: a cost is a number from 0 on".to_owned());
        }
        if self.breaker.failures == 0 || self.breaker.pause.0.is_zero() {
            return Err("ops.llm.breaker: at least one failure, and a pause".to_owned());
        }
        if self.timeout.is_some_and(|timeout| timeout.0.is_zero() || timeout > LONGEST) {
            return Err(format!("ops.llm.timeout: longer than zero, and at most {LONGEST}"));
        }
        Ok(())
    }

    /// Whether a model is asked for anything.
    pub(crate) fn is_used(&self) -> bool {
        !(self.uses.understand.is_empty() && self.uses.word.is_empty() && self.uses.report.is_empty())
    }
}

impl ProviderConfig {
    fn check(&self) -> Result<(), String> {
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 50 || !self.name.chars().all(letter) {
            return Err(
                "name: 1 to 50 letters, digits, `-` or `_`, since metrics are called by it".to_owned()
            );
        }
        if self.url.is_none() && self.kind.usual_url().is_none() {
            return Err("url: say where it is, like `http://127.0.0.1:11434/v1`".to_owned());
        }
        if self.model.is_empty() || self.model.len() > 200 || self.model.contains(char::is_whitespace) {
            return Err("model: the name of a model".to_owned());
        }
        if u64::from(self.max_output_tokens) >= self.context_tokens || self.max_output_tokens == 0 {
            return Err("max_output_tokens: at least 1, and less than context_tokens".to_owned());
        }
        if self.max_reply.0 == 0 || self.first_byte.0.is_zero() || self.total.0.is_zero() {
            return Err("max_reply, first_byte, total: more than zero".to_owned());
        }
        match self.price {
            Some(price) if !(is_amount(price.input) && is_amount(price.output)) => {
                Err("price: numbers from 0 on, of a million tokens".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn is_amount(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

#[cfg(test)]
mod tests;
