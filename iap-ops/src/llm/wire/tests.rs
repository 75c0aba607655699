use serde_json::{Value, json};

use super::{Partial, ProviderKind, of};
use crate::llm::error::ErrorKind;

/// The names and arguments of the calls that events hold.
fn calls(kind: ProviderKind, events: &[Value]) -> Result<Vec<(String, Value)>, ErrorKind> {
    let (wire, mut partial) = (of(kind), Partial::default());
    for event in events {
        wire.read(event, &mut partial).ok_or(ErrorKind::Malformed)?;
    }
    let reply = partial.finish()?;
    Ok(reply.calls.into_iter().map(|call| (call.name, Value::Object(call.arguments))).collect())
}

fn openai(parts: &[Value]) -> Vec<Value> {
    let delta = |part: &Value| json!({ "choices": [{ "delta": { "content": null, "tool_calls": [part] } }] });
    let mut events: Vec<Value> = parts.iter().map(delta).collect();
    events.push(json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }], "usage": null }));
    events
}

#[test]
fn calls_are_told_apart_however_servers_number_them() {
    let whole = |index: Value, id: &str, last: &str| {
        let arguments = format!("{{\"last\":\"{last}\"}}");
        json!({ "index": index, "id": id, "function": { "name": "list_fields", "arguments": arguments } })
    };
    let right = ["1h", "2h"].map(|last| ("list_fields".to_owned(), json!({ "last": last })));
    // As OpenAI does; all with index 0; without an index.
    for indexes in [[json!(0), json!(1)], [json!(0), json!(0)], [Value::Null, Value::Null]] {
        let [first, second] = indexes.clone();
        let events = openai(&[whole(first, "a", "1h"), whole(second, "b", "2h")]);
        assert_eq!(calls(ProviderKind::OpenaiCompatible, &events), Ok(right.to_vec()), "{indexes:?}");
    }
    // One call in parts, each of which says whose it is.
    let part = |text: &str| json!({ "index": 0, "id": "a", "function": { "name": "list_fields", "arguments": text } });
    let events = openai(&[part("{\"last\":"), part("\"1h\"}")]);
    assert_eq!(calls(ProviderKind::OpenaiCompatible, &events), Ok(right[..1].to_vec()));
}

#[test]
fn what_is_no_whole_reply_is_none() {
    use ErrorKind::{Cut, Malformed, Refused};
    let done =
        |reason: &str| json!({ "choices": [{ "delta": { "content": "x" }, "finish_reason": reason }] });
    let gemini = |reason: &str| json!({ "candidates": [{ "content": { "parts": [{ "text": "x" }] }, "finishReason": reason }] });
    let anthropic = |reason: &str| json!({ "type": "message_delta", "delta": { "stop_reason": reason } });
    for (kind, event, why) in [
        (ProviderKind::Openai, done("content_filter"), Refused),
        (ProviderKind::Openai, done("length"), Cut),
        (ProviderKind::Openai, json!({ "choices": [{ "delta": { "content": "x" } }] }), Malformed),
        (ProviderKind::Openai, json!({ "error": { "message": "no" } }), Malformed),
        (ProviderKind::Gemini, gemini("SAFETY"), Refused),
        (ProviderKind::Gemini, gemini("MALFORMED_FUNCTION_CALL"), Malformed),
        (ProviderKind::Gemini, json!({ "promptFeedback": { "blockReason": "OTHER" } }), Malformed),
        (ProviderKind::Anthropic, anthropic("refusal"), Refused),
        (ProviderKind::Anthropic, anthropic("end_turn"), Malformed),
        (ProviderKind::Anthropic, json!({ "type": "error" }), Malformed),
    ] {
        assert_eq!(calls(kind, std::slice::from_ref(&event)), Err(why), "{event}");
    }
    for wrong in ["[]", "{", "1"] {
        let events =
            openai(&[json!({ "index": 0, "id": "a", "function": { "name": "x", "arguments": wrong } })]);
        assert_eq!(calls(ProviderKind::OpenaiCompatible, &events), Err(Malformed), "{wrong}");
    }
}
