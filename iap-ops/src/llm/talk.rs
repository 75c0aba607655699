//! Calls until there is an answer, with tools in between.

use std::collections::BTreeSet;
use std::time::Duration;

use metrics::counter;
use serde_json::{Value, json};
use tokio::time::{timeout, timeout_at};

use super::chat::{Call, Chat, Reply, Turn};
use super::error::{CallError, ErrorKind};
use super::{Llm, Scenario, Watched};
use crate::assistant::{Progress, Step};
use crate::tools::{TOOLS, Tools};

/// Calls of tools for one answer.
const MAX_STEPS: usize = 6;
/// Times that it may make a call again that it has made: then it goes round in circles.
const MAX_REPEATS: usize = 2;
/// How long a tool may take.
const TOOL_PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that all answers of tools may have together.
const MAX_TOLD: usize = 48_000;

/// What came of it.
#[derive(Debug)]
pub(super) struct Told {
    /// The last reply.
    pub(super) text: String,
    /// Whose it is.
    pub(super) provider: String,
    /// What the tools have answered.
    pub(super) seen: Vec<Value>,
}

impl Llm {
    /// Lets a model speak, and answers what it asks of the tools, until it has said what it has to say.
    pub(super) async fn talk(
        &self,
        scenario: Scenario,
        chat: Chat,
        tools: &Tools,
        (progress, until): Watched<'_>,
    ) -> Result<Told, CallError> {
        let Ok(_turn) = self.turns.try_acquire() else { return Err(ErrorKind::Busy.into()) };
        let talk = Talk { llm: self, scenario, tools, progress, made: BTreeSet::new(), repeats: 0, told: 0 };
        timeout_at(until, talk.run(chat)).await.unwrap_or_else(|_| Err(ErrorKind::Timeout.into()))
    }
}

struct Talk<'a> {
    llm: &'a Llm,
    scenario: Scenario,
    tools: &'a Tools,
    progress: Option<&'a Progress>,
    /// The calls that were made, with their arguments.
    made: BTreeSet<String>,
    repeats: usize,
    /// Bytes of answers so far.
    told: usize,
}

impl Talk<'_> {
    async fn run(mut self, mut chat: Chat) -> Result<Told, CallError> {
        let mut seen = Vec::new();
        loop {
            let asked = self.llm.ask(self.scenario, &chat, self.progress).await;
            let (reply, provider) = match asked {
                // A small model may do without the tools.
                Err(error) if error.kind == ErrorKind::Context && chat.tools && chat.turns.len() == 1 => {
                    chat.tools = false;
                    continue;
                }
                other => other?,
            };
            if reply.calls.is_empty() {
                return Ok(Told { text: reply.text, provider: provider.to_owned(), seen });
            }
            let Reply { calls, .. } = &reply;
            let calls = calls.clone();
            chat.turns.push(Turn::Model(reply));
            for call in calls {
                let answer = self.answer(&call).await?;
                if answer.get("error").is_none() {
                    seen.push(answer.clone());
                }
                chat.turns.push(Turn::Tool(call, answer));
            }
        }
    }

    async fn answer(&mut self, call: &Call) -> Result<Value, ErrorKind> {
        let arguments = Value::Object(call.arguments.clone()).to_string();
        if !self.made.insert(format!("{} {arguments}", call.name)) {
            self.repeats += 1;
            if self.repeats > MAX_REPEATS {
                return Err(ErrorKind::Steps);
            }
            return Ok(json!({ "error": "this call was made before: its answer stands above" }));
        }
        if self.made.len() > MAX_STEPS {
            return Err(ErrorKind::Steps);
        }
        let known = TOOLS.iter().find(|tool| tool.name == call.name).map(|tool| tool.name);
        counter!("iap_ops_llm_tool_calls_total", "tool" => known.unwrap_or("unknown")).increment(1);
        if let Some(tool) = known {
            Progress::tell(self.progress, Step::LookedAt { what: tool });
        }
        let called = timeout(TOOL_PATIENCE, self.tools.call(&call.name, call.arguments.clone())).await;
        let answer = match called {
            Ok(Ok(answer)) => answer.into_value(),
            Ok(Err(error)) => json!({ "error": error.to_string() }),
            Err(_) => json!({ "error": "no answer in time: ask about a shorter time" }),
        };
        let bytes = answer.to_string().len();
        if self.told + bytes > MAX_TOLD {
            return Ok(json!({ "error": "there is no room for this answer: ask for less, or answer" }));
        }
        self.told += bytes;
        Ok(answer)
    }
}
