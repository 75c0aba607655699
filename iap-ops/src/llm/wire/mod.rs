//! How providers are spoken to: one module for each format.

mod anthropic;
mod gemini;
mod openai;

use std::collections::BTreeMap;

use http::HeaderName;
use serde_json::{Map, Value};

use super::ProviderKind;
use super::chat::{Call, Chat, Reply, Usage};
use super::error::ErrorKind;

/// Calls of tools in one reply.
const MAX_CALLS: usize = 8;

/// What a provider is asked for.
pub(super) struct Asked<'a> {
    pub(super) chat: &'a Chat,
    pub(super) model: &'a str,
    /// The most tokens that it may write.
    pub(super) max_output: u32,
}

/// A format: a request as JSON, and an answer as events of JSON.
pub(super) trait Wire: Send + Sync {
    /// The path below the provider's URL.
    fn path(&self, model: &str) -> String;
    /// The header that shows the key.
    fn key(&self, key: &str) -> (HeaderName, String);
    /// Headers besides.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// The body of a request.
    fn body(&self, asked: &Asked<'_>) -> Value;
    /// Takes up an event. `None` where it says that there is no answer.
    fn read(&self, event: &Value, into: &mut Partial) -> Option<()>;
}

/// The format of a kind of provider.
pub(super) fn of(kind: ProviderKind) -> Box<dyn Wire> {
    match kind {
        ProviderKind::Openai => Box::new(openai::OpenAi { limit: "max_completion_tokens" }),
        ProviderKind::OpenaiCompatible => Box::new(openai::OpenAi { limit: "max_tokens" }),
        ProviderKind::Anthropic => Box::new(anthropic::Anthropic),
        ProviderKind::Gemini => Box::new(gemini::Gemini),
    }
}

/// How a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// As the model wanted.
    Done,
    /// It has written all that it may.
    Length,
    /// The provider has held it back.
    Withheld,
}

/// A reply that is not over.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub(super) text: String,
    pub(super) calls: BTreeMap<u64, PartialCall>,
    pub(super) usage: Option<Usage>,
    pub(super) stop: Option<Stop>,
}

/// A call whose arguments still come.
#[derive(Debug, Default)]
pub(super) struct PartialCall {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON, as far as it has come.
    pub(super) arguments: String,
    pub(super) signature: Option<String>,
}

impl Partial {
    /// The call at a place, in the order of the reply.
    pub(super) fn call(&mut self, at: u64) -> Option<&mut PartialCall> {
        if self.calls.len() >= MAX_CALLS && !self.calls.contains_key(&at) {
            return None;
        }
        Some(self.calls.entry(at).or_default())
    }

    /// The whole reply; one that did not come to its end is none.
    pub(super) fn finish(self) -> Result<Reply, ErrorKind> {
        match self.stop {
            Some(Stop::Done) => {}
            Some(Stop::Length) => return Err(ErrorKind::Cut),
            Some(Stop::Withheld) => return Err(ErrorKind::Refused),
            None => return Err(ErrorKind::Malformed),
        }
        let call = |(at, partial): (u64, PartialCall)| {
            let arguments: Map<String, Value> = match partial.arguments.trim() {
                "" => Map::new(),
                text => serde_json::from_str(text).map_err(|_| ErrorKind::Malformed)?,
            };
            let id = if partial.id.is_empty() { format!("call_{at}") } else { partial.id };
            Ok(Call { id, name: partial.name, arguments, signature: partial.signature })
        };
        let calls = self.calls.into_iter().map(call).collect::<Result<Vec<_>, ErrorKind>>()?;
        if calls.is_empty() && self.text.trim().is_empty() {
            return Err(ErrorKind::Malformed);
        }
        Ok(Reply { text: self.text, calls, usage: self.usage })
    }
}

/// A text at a path of an event; empty where there is none.
fn text<'a>(event: &'a Value, path: &str) -> &'a str {
    event.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn number(event: &Value, path: &str) -> u64 {
    event.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests;
