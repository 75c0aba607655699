//! A model's server: speaks the formats of the providers, and does what it is told to.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use iap_ops::llm::ProviderKind;
use serde_json::{Value, json};

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Says a text.
    Say(String),
    /// Says what comes of the request.
    Reply(Arc<dyn Fn(&Value) -> String + Send + Sync>),
    /// Calls tools.
    Call(Vec<(&'static str, Value)>),
    /// Says nothing at all, and keeps the connection.
    Stall,
    /// Says a part, and then nothing more.
    StallMidway,
    /// Says a part, and closes.
    BreakOff,
    /// Writes events as long as somebody reads, up to so many bytes.
    Flood(usize),
    /// Writes an event that is no JSON.
    BrokenJson,
    /// Writes an event of another kind: an error in the stream.
    ErrorEvent,
    /// Answers with HTML.
    Html,
    /// Stops since it has written all that it may.
    Cut(String),
    /// Answers with a status and headers.
    Status(u16, &'static str),
}

pub(crate) fn say(text: &str) -> Act {
    Act::Say(text.to_owned())
}

pub(crate) fn call(name: &'static str, arguments: Value) -> Act {
    Act::Call(vec![(name, arguments)])
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The server; its threads end with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    written: Arc<Mutex<usize>>,
    left: Arc<Mutex<usize>>,
}

impl Server {
    /// Acts in order; the last one again and again.
    pub(crate) fn start(kind: ProviderKind, acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (got, written) = (Arc::<Mutex<Vec<Got>>>::default(), Arc::<Mutex<usize>>::default());
        let acts = Arc::new(Mutex::new(VecDeque::from(acts)));
        let left = Arc::<Mutex<usize>>::default();
        let shared = (got.clone(), written.clone(), left.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (acts, (got, written, left)) = (acts.clone(), shared.clone());
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    got.lock().unwrap().push(request.clone());
                    let act = {
                        let mut acts = acts.lock().unwrap();
                        if acts.len() > 1 { acts.pop_front().unwrap() } else { acts[0].clone() }
                    };
                    let asked = serde_json::from_str(&request.body).unwrap_or_default();
                    let _ = perform(kind, &act, &asked, stream, &written);
                    *left.lock().unwrap() += usize::from(matches!(act, Act::Stall));
                });
            }
        });
        Self { address, got, written, left }
    }

    /// The requests so far.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Those who have waited for an answer, and gone.
    pub(crate) fn left(&self) -> usize {
        *self.left.lock().unwrap()
    }

    /// Bytes that the flood has got rid of.
    pub(crate) fn written(&self) -> usize {
        *self.written.lock().unwrap()
    }
}

fn read(stream: &TcpStream) -> Option<Got> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let lower = head.to_lowercase();
    let length = lower.split("content-length:").nth(1)?.split("\r\n").next()?.trim().parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Got { head, body: String::from_utf8(body).unwrap() })
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn perform(
    kind: ProviderKind,
    act: &Act,
    asked: &Value,
    mut stream: TcpStream,
    written: &Mutex<usize>,
) -> std::io::Result<()> {
    let all = |events: Vec<Value>| events.iter().map(|event| frame(kind, event)).collect::<String>();
    match act {
        Act::Say(text) => {
            write!(stream, "{STREAM}{}", all(said(kind, text, &[], "end")))
        }
        Act::Reply(reply) => write!(stream, "{STREAM}{}", all(said(kind, &reply(asked), &[], "end"))),
        Act::Call(calls) => write!(stream, "{STREAM}{}", all(said(kind, "", calls, "tools"))),
        Act::Cut(text) => write!(stream, "{STREAM}{}", all(said(kind, text, &[], "length"))),
        Act::Stall => hold(stream),
        Act::StallMidway => {
            let events = said(kind, "Half of a sentence that never", &[], "end");
            write!(stream, "{STREAM}{}", all(events[..2].to_vec()))?;
            hold(stream)
        }
        Act::BreakOff => {
            let events = said(kind, "Half of a sentence that never", &[], "end");
            write!(stream, "{STREAM}{}", all(events[..2].to_vec()))
        }
        Act::Flood(most) => {
            let events = said(kind, &"flood ".repeat(10_000), &[], "end");
            let part = frame(kind, &events[1]);
            stream.write_all(STREAM.as_bytes())?;
            let mut sent = 0;
            while sent < *most {
                stream.write_all(part.as_bytes())?;
                sent += part.len();
                *written.lock().unwrap() = sent;
            }
            Ok(())
        }
        Act::BrokenJson => write!(stream, "{STREAM}data: {{\"choices\": [\n\n"),
        Act::ErrorEvent => {
            let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "x" } });
            write!(stream, "{STREAM}{}", frame(kind, &error))
        }
        Act::Html => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi")
        }
        Act::Status(status, headers) => {
            let echo = asked.to_string();
            let length = echo.len();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{echo}"
            )
        }
    }
}

/// Waits until the other side closes.
fn hold(mut stream: TcpStream) -> std::io::Result<()> {
    stream.flush()?;
    let mut byte = [0];
    while stream.read(&mut byte)? > 0 {}
    Ok(())
}

fn frame(kind: ProviderKind, event: &Value) -> String {
    match kind {
        ProviderKind::Anthropic => {
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
        }
        ProviderKind::Gemini => format!("data: {event}\r\n\r\n"),
        _ => format!("data: {event}\n\n"),
    }
}

/// The events of a reply: a beginning, the text in two parts, the calls, the end. At least four.
fn said(kind: ProviderKind, text: &str, calls: &[(&str, Value)], end: &str) -> Vec<Value> {
    let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (first, second) = text.split_at(half);
    match kind {
        ProviderKind::Anthropic => anthropic([first, second], calls, end),
        ProviderKind::Gemini => gemini([first, second], calls, end),
        _ => openai([first, second], calls, end),
    }
}

fn openai(texts: [&str; 2], calls: &[(&str, Value)], end: &str) -> Vec<Value> {
    let delta = |delta: Value, reason: Value| json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }], "usage": null });
    let mut events = vec![delta(json!({ "role": "assistant", "content": "" }), Value::Null)];
    events.extend(texts.map(|text| delta(json!({ "content": text }), Value::Null)));
    for (at, (name, arguments)) in calls.iter().enumerate() {
        let arguments = arguments.to_string();
        let (first, second) = arguments.split_at(1);
        let call = |part: Value| delta(json!({ "tool_calls": [part] }), Value::Null);
        events.push(call(json!({ "index": at, "id": format!("c{at}"), "type": "function",
                                 "function": { "name": name, "arguments": first } })));
        events.push(call(json!({ "index": at, "function": { "arguments": second } })));
    }
    let reason = match end {
        "tools" => "tool_calls",
        "length" => "length",
        _ => "stop",
    };
    events.push(delta(json!({}), json!(reason)));
    events.push(json!({ "choices": [], "usage": { "prompt_tokens": 100, "completion_tokens": 20 } }));
    events
}

fn anthropic(texts: [&str; 2], calls: &[(&str, Value)], end: &str) -> Vec<Value> {
    let mut events = vec![
        json!({ "type": "message_start", "message": { "usage": { "input_tokens": 100, "output_tokens": 1 } } }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
    ];
    let delta = |text: &str| json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } });
    // The flood repeats the second event.
    events.insert(1, delta(texts[0]));
    events.push(delta(texts[1]));
    events.push(json!({ "type": "content_block_stop", "index": 0 }));
    for (at, (name, arguments)) in calls.iter().enumerate() {
        let (at, arguments) = (at + 1, arguments.to_string());
        let (first, second) = arguments.split_at(1);
        events.push(json!({ "type": "content_block_start", "index": at,
                            "content_block": { "type": "tool_use", "id": format!("t{at}"), "name": name, "input": {} } }));
        for part in [first, second] {
            events.push(json!({ "type": "content_block_delta", "index": at,
                                "delta": { "type": "input_json_delta", "partial_json": part } }));
        }
        events.push(json!({ "type": "ping" }));
    }
    let reason = match end {
        "tools" => "tool_use",
        "length" => "max_tokens",
        _ => "end_turn",
    };
    events.push(json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": { "output_tokens": 20 } }));
    events.push(json!({ "type": "message_stop" }));
    events
}

fn gemini(texts: [&str; 2], calls: &[(&str, Value)], end: &str) -> Vec<Value> {
    let usage = json!({ "promptTokenCount": 100, "candidatesTokenCount": 20 });
    let event = |parts: Value, reason: Option<&str>| {
        let mut event = json!({ "candidates": [{ "content": { "role": "model", "parts": parts } }], "usageMetadata": usage });
        if let Some(reason) = reason {
            event["candidates"][0]["finishReason"] = json!(reason);
        }
        event
    };
    let mut events = vec![event(json!([{ "text": "(thinking)", "thought": true }]), None)];
    events.extend(texts.map(|text| event(json!([{ "text": text }]), None)));
    for (name, arguments) in calls {
        let part = json!({ "functionCall": { "name": name, "args": arguments }, "thoughtSignature": "c2ln" });
        events.push(event(json!([part]), None));
    }
    events.push(event(json!([]), Some(if end == "length" { "MAX_TOKENS" } else { "STOP" })));
    events
}

/// The document that we have sent, wherever the format has put it.
pub(crate) fn document(asked: &Value) -> Value {
    let places = ["/messages/1/content", "/messages/0/content/0/text", "/contents/0/parts/0/text"];
    let text = places.iter().find_map(|place| asked.pointer(place).and_then(Value::as_str));
    serde_json::from_str(text.expect("a document")).expect("JSON")
}
