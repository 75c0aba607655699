//! `iap-host mcp`: from standard input and output to the server of a running host.

use std::io::{BufRead, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use iap_core::BoxError;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::cli::McpArgs;
use crate::client::{Connection, bearer};

/// The longest line, and answer.
const MAX_LINE: u64 = 256 << 10;
const MAX_ANSWER: usize = 4 << 20;
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(90);
/// The revision of a client that has not said which.
const REVISION: &str = "2025-11-25";
/// Where a message of the stateless revision names its own.
const REVISION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const INTERNAL_ERROR: i32 = -32_603;

/// Carries messages until standard input ends.
pub(crate) fn relay(args: &McpArgs) -> Result<ExitCode, BoxError> {
    let token = match &args.token_file {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?
        }
        None => std::env::var("IAP_MCP_TOKEN").map_err(|_| "give --token-file or set IAP_MCP_TOKEN")?,
    };
    let mut host =
        Host { url: args.url.clone(), token: token.trim().to_owned(), revision: REVISION.to_owned() };
    // One message after the other: the host answers in well under a second, and clients may rely on the order.
    let runtime = Runtime::new()?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    loop {
        let mut line = Vec::new();
        if (&mut input).take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            skip_line(&mut input)?;
            writeln!(output, "{}", not_a_message("it is too long"))?;
            output.flush()?;
            continue;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if let Some(answer) = runtime.block_on(host.ask(&line)) {
            writeln!(output, "{answer}")?;
            output.flush()?;
        }
    }
}

/// Reads on to the end of a line, and keeps nothing of it.
fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    let mut rest = Vec::new();
    loop {
        rest.clear();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut rest)?;
        if read == 0 || rest.last() == Some(&b'\n') {
            return Ok(());
        }
    }
}

fn not_a_message(why: &str) -> Value {
    let error = json!({ "code": -32_700, "message": format!("not a message: {why}") });
    json!({ "jsonrpc": "2.0", "id": null, "error": error })
}

/// A running host.
struct Host {
    url: String,
    token: String,
    revision: String,
}

impl Host {
    /// What is answered to a message, if it is one that is answered.
    async fn ask(&mut self, line: &[u8]) -> Option<Value> {
        let message: Value = match serde_json::from_slice(line) {
            Ok(message) => message,
            Err(error) => return Some(not_a_message(&error.to_string())),
        };
        let sent = tokio::time::timeout(PATIENCE, self.send(&message, line)).await;
        let answer = match sent.unwrap_or_else(|_| Err("no answer in time".into())) {
            Ok(answer) => answer,
            Err(error) => {
                let id = message.get("id").filter(|id| !id.is_null())?;
                let error = json!({ "code": INTERNAL_ERROR, "message": error.to_string() });
                json!({ "jsonrpc": "2.0", "id": id, "error": error })
            }
        };
        if let Some(revision) = answer["result"]["protocolVersion"].as_str() {
            revision.clone_into(&mut self.revision);
        }
        (!answer.is_null()).then_some(answer)
    }

    async fn send(&self, message: &Value, line: &[u8]) -> Result<Value, BoxError> {
        let mut host = Connection::open(&self.url).await?;
        let (method, params) = (message["method"].as_str(), &message["params"]);
        let own = params["_meta"][REVISION_KEY].as_str();
        let mut request = host
            .request(Method::POST, "/mcp")
            .header(header::AUTHORIZATION, bearer(&self.token)?)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream");
        if method != Some("initialize") {
            request = request.header("mcp-protocol-version", own.unwrap_or(&self.revision));
        }
        // The stateless revision repeats in the head what is called; elsewhere it does no harm.
        let name = params["name"].as_str().or(params["uri"].as_str());
        for (field, value) in [("mcp-method", method), ("mcp-name", name)] {
            if let Some(value) = value.filter(|_| own.is_some()) {
                request = request.header(field, value);
            }
        }
        let body = Full::new(Bytes::copy_from_slice(line));
        let response = host.sender.send_request(request.body(body)?).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        read(status, &body)
    }
}

/// The message in an answer: JSON, or the last one of an event stream; null for one without.
fn read(status: StatusCode, body: &[u8]) -> Result<Value, BoxError> {
    let text = std::str::from_utf8(body)?;
    let json = match text.trim_start().starts_with('{') {
        true => Some(text),
        false => text
            .lines()
            .rev()
            .filter_map(|line| line.strip_prefix("data:"))
            .find(|data| !data.trim().is_empty()),
    };
    let message: Value = json.map(serde_json::from_str).transpose()?.unwrap_or_default();
    if message.get("jsonrpc").is_some() || (status.is_success() && message.is_null()) {
        return Ok(message);
    }
    let detail = message["detail"].as_str().unwrap_or("no answer of the protocol");
    Err(format!("{}: {detail}", status.as_u16()).into())
}
