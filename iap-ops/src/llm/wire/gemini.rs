//! Gemini's `generateContent` (<https://ai.google.dev/api/generate-content>).

use http::HeaderName;
use serde_json::{Value, json};

use super::{Asked, Partial, Stop, Wire, number, text};
use crate::llm::chat::{Call, Turn, Usage};
use crate::tools::TOOLS;

pub(super) struct Gemini;

impl Wire for Gemini {
    fn path(&self, model: &str) -> String {
        format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
    }

    fn key(&self, key: &str) -> (HeaderName, String) {
        (HeaderName::from_static("x-goog-api-key"), key.to_owned())
    }

    fn body(&self, asked: &Asked<'_>) -> Value {
        let mut contents: Vec<Value> = Vec::new();
        for turn in &asked.chat.turns {
            let (role, parts) = parts(turn);
            // Answers of several tools are one content.
            match contents.last_mut().filter(|last| last["role"] == role) {
                Some(last) => {
                    if let Some(before) = last["parts"].as_array_mut() {
                        before.extend(parts);
                    }
                }
                None => contents.push(json!({ "role": role, "parts": parts })),
            }
        }
        let mut body = json!({
            "systemInstruction": { "parts": [{ "text": asked.chat.system }] },
            "contents": contents,
            "generationConfig": { "maxOutputTokens": asked.max_output },
        });
        if asked.chat.tools {
            let tool = |tool: &crate::tools::Tool| {
                json!({ "name": tool.name, "description": tool.help,
                        "parametersJsonSchema": tool.input_schema() })
            };
            let declared: Vec<Value> = TOOLS.iter().map(tool).collect();
            body["tools"] = json!([{ "functionDeclarations": declared }]);
        }
        body
    }

    fn read(&self, event: &Value, into: &mut Partial) -> Option<()> {
        if event.get("error").is_some() || event.pointer("/promptFeedback/blockReason").is_some() {
            return None;
        }
        if event["usageMetadata"].is_object() {
            let written = number(event, "/usageMetadata/candidatesTokenCount");
            let thought = number(event, "/usageMetadata/thoughtsTokenCount");
            into.usage = Some(Usage {
                input: number(event, "/usageMetadata/promptTokenCount"),
                output: written.saturating_add(thought),
            });
        }
        let Some(candidate) = event["candidates"].get(0) else { return Some(()) };
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            if part["thought"] != true {
                into.text.push_str(text(part, "/text"));
            }
            let called = &part["functionCall"];
            if called.is_object() {
                let at = into.calls.len() as u64;
                let call = into.call(at)?;
                text(called, "/id").clone_into(&mut call.id);
                text(called, "/name").clone_into(&mut call.name);
                call.arguments = called.get("args").map(Value::to_string).unwrap_or_default();
                call.signature = part["thoughtSignature"].as_str().map(str::to_owned);
            }
        }
        match text(candidate, "/finishReason") {
            "" => {}
            "STOP" => into.stop = Some(Stop::Done),
            "MAX_TOKENS" => into.stop = Some(Stop::Length),
            "MALFORMED_FUNCTION_CALL" => return None,
            _ => into.stop = Some(Stop::Withheld),
        }
        Some(())
    }
}

fn parts(turn: &Turn) -> (&'static str, Vec<Value>) {
    match turn {
        Turn::Ours(document) => ("user", vec![json!({ "text": document.to_string() })]),
        Turn::Model(reply) => {
            let call = |call: &Call| {
                let mut part = json!({ "functionCall": { "name": call.name, "args": call.arguments } });
                if let Some(signature) = &call.signature {
                    part["thoughtSignature"] = json!(signature);
                }
                part
            };
            let words = (!reply.text.trim().is_empty()).then(|| json!({ "text": reply.text }));
            ("model", words.into_iter().chain(reply.calls.iter().map(call)).collect())
        }
        Turn::Tool(call, answer) => {
            let part = json!({ "functionResponse": { "name": call.name, "response": answer } });
            ("user", vec![part])
        }
    }
}
