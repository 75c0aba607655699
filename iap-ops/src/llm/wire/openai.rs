//! Chat completions, as OpenAI defines them and vLLM, Ollama and llama.cpp speak them too
//! (<https://platform.openai.com/docs/api-reference/chat>).

use std::collections::BTreeMap;

use http::{HeaderName, header};
use serde_json::{Value, json};

use super::{Asked, MAX_CALLS, Partial, PartialCall, Stop, Wire, number, text};
use crate::llm::chat::{Call, Turn, Usage};
use crate::tools::TOOLS;

pub(super) struct OpenAi {
    /// What the bound on output is called.
    pub(super) limit: &'static str,
}

impl Wire for OpenAi {
    fn path(&self, _model: &str) -> String {
        "/chat/completions".to_owned()
    }

    fn key(&self, key: &str) -> (HeaderName, String) {
        (header::AUTHORIZATION, format!("Bearer {key}"))
    }

    fn body(&self, asked: &Asked<'_>) -> Value {
        let mut messages = vec![json!({ "role": "system", "content": asked.chat.system })];
        messages.extend(asked.chat.turns.iter().map(message));
        let mut body = json!({
            "model": asked.model, "messages": messages, "stream": true,
            "stream_options": { "include_usage": true },
        });
        body[self.limit] = json!(asked.max_output);
        if asked.chat.tools {
            let tool = |tool: &crate::tools::Tool| {
                json!({ "type": "function", "function": {
                    "name": tool.name, "description": tool.help, "parameters": tool.input_schema() } })
            };
            body["tools"] = TOOLS.iter().map(tool).collect();
        }
        body
    }

    fn read(&self, event: &Value, into: &mut Partial) -> Option<()> {
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return None;
        }
        if event["usage"].is_object() {
            into.usage = Some(Usage {
                input: number(event, "/usage/prompt_tokens"),
                output: number(event, "/usage/completion_tokens"),
            });
        }
        // The last event may be about usage alone.
        let Some(choice) = event["choices"].get(0) else { return Some(()) };
        into.text.push_str(text(choice, "/delta/content"));
        for part in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let id = text(part, "/id");
            let call = into.call(place(number(part, "/index"), id, &into.calls))?;
            // Some say who they are in each part.
            if call.id.is_empty() {
                id.clone_into(&mut call.id);
            }
            if call.name.is_empty() {
                text(part, "/function/name").clone_into(&mut call.name);
            }
            call.arguments.push_str(text(part, "/function/arguments"));
        }
        match text(choice, "/finish_reason") {
            "" => {}
            "length" => into.stop = Some(Stop::Length),
            "content_filter" => into.stop = Some(Stop::Withheld),
            _ => into.stop = Some(Stop::Done),
        }
        Some(())
    }
}

/// Where a part of a call belongs. Ollama gives all calls of a reply the index 0: there another id is another call.
fn place(index: u64, id: &str, calls: &BTreeMap<u64, PartialCall>) -> u64 {
    let index = index.min(MAX_CALLS as u64);
    let (first, last) = (index << 8, (index << 8) | 0xff);
    match calls.range(first..=last).next_back() {
        Some((at, call)) if id.is_empty() || call.id.is_empty() || call.id == id => *at,
        Some((at, _)) => at + 1,
        None => first,
    }
}

fn message(turn: &Turn) -> Value {
    match turn {
        Turn::Ours(document) => json!({ "role": "user", "content": document.to_string() }),
        Turn::Model(reply) => {
            let call = |call: &Call| {
                let arguments = Value::Object(call.arguments.clone()).to_string();
                json!({ "id": call.id, "type": "function",
                        "function": { "name": call.name, "arguments": arguments } })
            };
            let mut message = json!({ "role": "assistant", "content": reply.text });
            if !reply.calls.is_empty() {
                message["tool_calls"] = reply.calls.iter().map(call).collect();
            }
            message
        }
        Turn::Tool(call, answer) => {
            json!({ "role": "tool", "tool_call_id": call.id, "content": answer.to_string() })
        }
    }
}
