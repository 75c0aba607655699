//! What is said to a model and by it, whoever serves it.

use serde_json::{Map, Value};

/// A conversation so far.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    /// Who the model is, and what it may do.
    pub(crate) system: &'static str,
    /// What was said, in turn.
    pub(crate) turns: Vec<Turn>,
    /// Whether it may call the read-only tools.
    pub(crate) tools: bool,
}

/// One part of a conversation.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    /// Said by us: a document, in which what came from outside stands in `untrusted`.
    Ours(Value),
    /// Said by the model.
    Model(Reply),
    /// What a tool that it called has answered.
    Tool(Call, Value),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// How the answer names it.
    pub(crate) id: String,
    /// The tool.
    pub(crate) name: String,
    /// Its arguments.
    pub(crate) arguments: Map<String, Value>,
    /// What the provider wants back with it, as it was.
    pub(crate) signature: Option<String>,
}

/// What a model has said.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reply {
    /// In words.
    pub(crate) text: String,
    /// The tools that it calls.
    pub(crate) calls: Vec<Call>,
    /// Tokens that were read and written, as the provider has counted them.
    pub(crate) usage: Option<Usage>,
}

/// Tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Read by the model.
    pub(crate) input: u64,
    /// Written by it.
    pub(crate) output: u64,
}

impl Usage {
    /// Both.
    pub(crate) fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
