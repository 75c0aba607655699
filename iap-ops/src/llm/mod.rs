//! A language model beside the assistant, where one is set up. It never adds a number: it chooses what a question means
//! where the rules did not understand it, and words what the assistant has found. What it says is checked
//! ([`crate::grounding`]), and whatever it does there is an answer.
//!
//! | module | what |
//! |---|---|
//! | `chat`, `wire` | what is said, and how each provider wants it |
//! | `exit` | the one way out: what is sent is masked there |
//! | `http`, `sse` | one call, bounded in time and bytes |
//! | `policy` | budgets, and who is left alone for a while |
//! | `ask` | one call by the rules of the policy: **start reading here** |
//! | `talk` | calls until there is an answer, with tools in between |
//! | `understand`, `word` | what it is asked |

mod ask;
mod chat;
mod error;
mod exit;
mod http;
mod policy;
mod sse;
mod talk;
mod understand;
mod wire;
mod word;

use std::fmt;
use std::time::Duration;

use iap_core::upstream::UpstreamTls;
use tokio::time::Instant;

pub use self::ask::{Llm, LlmStatus, ProviderStatus};
pub use self::error::{CallError, ErrorKind};
pub use self::policy::breaker::BreakerSettings;
pub use self::policy::budget::{Bounds, BudgetSettings, Spent};
pub use self::sse::Events;
pub(crate) use self::word::{Unworded, Wanted};
use crate::assistant::Progress;

/// How a provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderKind {
    /// OpenAI's chat completions.
    Openai,
    /// The same as others speak it: vLLM, Ollama, llama.cpp.
    OpenaiCompatible,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
}

/// A provider.
#[derive(Clone)]
pub struct ProviderSettings {
    /// What it is called by.
    pub name: String,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// Where it is: `https://api.openai.com/v1`, `http://127.0.0.1:11434/v1`, `https://api.anthropic.com`,
    /// `https://generativelanguage.googleapis.com`.
    pub url: String,
    /// The model.
    pub model: String,
    /// What is shown to it; never told to anybody else.
    pub key: Option<String>,
    /// Whom to trust; needed with `https`.
    pub tls: Option<UpstreamTls>,
    /// Tokens that the model can have before it, those that it writes included.
    pub context_tokens: u64,
    /// The most tokens that it may write in one reply.
    pub max_output_tokens: u32,
    /// The most bytes of one reply.
    pub max_reply_bytes: usize,
    /// How long the first byte of a reply may take, and a pause in it.
    pub first_byte: Duration,
    /// How long a whole reply may take.
    pub total: Duration,
    /// The price of a million tokens that it reads, and that it writes.
    pub price: Option<(f64, f64)>,
    /// Where it runs: `kr`, `on-premises`, whatever the operator calls it.
    pub residency: Option<String>,
}

impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("name", &self.name)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// What a model is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scenario {
    /// To find out what a question means that the rules did not understand.
    Understand,
    /// To word what was found.
    Word,
    /// To sum up a report.
    Report,
}

/// Where steps are told, and until when there has to be an answer.
pub(crate) type Watched<'a> = (Option<&'a Progress>, Instant);

/// Providers and the rules by which they are asked.
#[derive(Debug, Clone, Default)]
pub struct LlmSettings {
    /// The providers.
    pub providers: Vec<ProviderSettings>,
    /// Names of those that are asked what a question means, the first choice first.
    pub understand: Vec<String>,
    /// Those that word an answer.
    pub word: Vec<String>,
    /// Those that sum up a report.
    pub report: Vec<String>,
    /// How much may be asked.
    pub budget: BudgetSettings,
    /// When a provider is left alone.
    pub breaker: BreakerSettings,
    /// Where data may go; anywhere when absent. A provider that does not say where it is is nowhere.
    pub allow_residency: Option<Vec<String>>,
    /// How long all calls for one answer may take together.
    pub patience: Option<Duration>,
}

/// Why settings cannot work. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LlmError(pub(crate) String);
