//! Anthropic's messages (<https://docs.anthropic.com/en/api/messages-streaming>).

use http::HeaderName;
use serde_json::{Value, json};

use super::{Asked, Partial, Stop, Wire, number, text};
use crate::llm::chat::{Call, Turn, Usage};
use crate::tools::TOOLS;

pub(super) struct Anthropic;

impl Wire for Anthropic {
    fn path(&self, _model: &str) -> String {
        "/v1/messages".to_owned()
    }

    fn key(&self, key: &str) -> (HeaderName, String) {
        (HeaderName::from_static("x-api-key"), key.to_owned())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn body(&self, asked: &Asked<'_>) -> Value {
        let mut messages: Vec<Value> = Vec::new();
        for turn in &asked.chat.turns {
            let (role, parts) = parts(turn);
            // The same side does not speak twice in a row: answers of several tools are one message.
            match messages.last_mut().filter(|last| last["role"] == role) {
                Some(last) => {
                    if let Some(before) = last["content"].as_array_mut() {
                        before.extend(parts);
                    }
                }
                None => messages.push(json!({ "role": role, "content": parts })),
            }
        }
        let mut body = json!({
            "model": asked.model, "max_tokens": asked.max_output, "system": asked.chat.system,
            "messages": messages, "stream": true,
        });
        if asked.chat.tools {
            let tool = |tool: &crate::tools::Tool| json!({ "name": tool.name, "description": tool.help, "input_schema": tool.input_schema() });
            body["tools"] = TOOLS.iter().map(tool).collect();
        }
        body
    }

    fn read(&self, event: &Value, into: &mut Partial) -> Option<()> {
        let at = number(event, "/index");
        match text(event, "/type") {
            "error" => return None,
            "message_start" => {
                let usage = into.usage.get_or_insert_default();
                usage.input = number(event, "/message/usage/input_tokens");
            }
            "content_block_start" if text(event, "/content_block/type") == "tool_use" => {
                let call = into.call(at)?;
                text(event, "/content_block/id").clone_into(&mut call.id);
                text(event, "/content_block/name").clone_into(&mut call.name);
            }
            "content_block_delta" => match text(event, "/delta/type") {
                "text_delta" => into.text.push_str(text(event, "/delta/text")),
                "input_json_delta" => {
                    into.call(at)?.arguments.push_str(text(event, "/delta/partial_json"));
                }
                _ => {}
            },
            "message_delta" => {
                let usage: &mut Usage = into.usage.get_or_insert_default();
                usage.output = number(event, "/usage/output_tokens");
                match text(event, "/delta/stop_reason") {
                    "" => {}
                    "max_tokens" | "model_context_window_exceeded" => into.stop = Some(Stop::Length),
                    "refusal" => into.stop = Some(Stop::Withheld),
                    _ => into.stop = Some(Stop::Done),
                }
            }
            _ => {}
        }
        Some(())
    }
}

fn parts(turn: &Turn) -> (&'static str, Vec<Value>) {
    let said = |text: String| json!({ "type": "text", "text": text });
    match turn {
        Turn::Ours(document) => ("user", vec![said(document.to_string())]),
        Turn::Model(reply) => {
            let call = |call: &Call| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments });
            // An empty text is refused.
            let words = (!reply.text.trim().is_empty()).then(|| said(reply.text.clone()));
            ("assistant", words.into_iter().chain(reply.calls.iter().map(call)).collect())
        }
        Turn::Tool(call, answer) => {
            let part =
                json!({ "type": "tool_result", "tool_use_id": call.id, "content": answer.to_string() });
            ("user", vec![part])
        }
    }
}
