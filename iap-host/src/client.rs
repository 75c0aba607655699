//! The admin API of a running host, as the command line reaches it.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use http::{HeaderValue, Method, StatusCode, Uri, header, request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use iap_core::BoxError;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// The longest wait for an answer: a report reads much history.
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest answer.
pub(crate) const MAX_ANSWER: usize = 32 << 20;
/// The variable with the token of `admin.access.tokens`.
const TOKEN: &str = "IAP_TOKEN";

/// A connection for one request.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    authority: String,
    base: String,
}

impl Connection {
    /// Connects to an address such as `http://127.0.0.1:9900`.
    pub(crate) async fn open(url: &str) -> Result<Self, BoxError> {
        let known: Uri = url.parse().map_err(|_| format!("{url}: not an address"))?;
        let authority = known.authority().filter(|_| known.scheme_str() == Some("http"));
        let authority =
            authority.ok_or_else(|| format!("{url}: an address such as http://127.0.0.1:9900 is needed"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await;
        let stream = stream.map_err(|error| format!("{url}: {error}: is the host running?"))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let base = known.path().trim_end_matches('/').to_owned();
        Ok(Self { sender, authority: authority.to_string(), base })
    }

    /// A request for a path of the API.
    pub(crate) fn request(&self, method: http::Method, path: &str) -> request::Builder {
        let target = format!("{}{path}", self.base);
        http::Request::builder().method(method).uri(target).header(header::HOST, &self.authority)
    }
}

/// The field for a token.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, BoxError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| "the token holds characters that cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}

/// The token of the one who calls, if there is one.
pub(crate) fn own_token() -> Option<String> {
    std::env::var(TOKEN).ok().filter(|token| !token.is_empty())
}

/// Sends one request with the token of the one who calls, and reads the JSON of its answer. What is refused is an answer as
/// well.
pub(crate) async fn call(
    url: &str,
    method: Method,
    path: &str,
    sent: (Option<&str>, Option<&Value>),
) -> Result<(StatusCode, Value), BoxError> {
    call_as(url, (method, path), sent, (own_token().as_deref(), MAX_ANSWER)).await
}

/// The same with some token, and an answer of at most so many bytes.
pub(crate) async fn call_as(
    url: &str,
    (method, path): (Method, &str),
    (seen, body): (Option<&str>, Option<&Value>),
    (token, most): (Option<&str>, usize),
) -> Result<(StatusCode, Value), BoxError> {
    let mut host = Connection::open(url).await?;
    let mut request = host.request(method, path).header(header::ACCEPT, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, bearer(token)?);
    }
    if let Some(seen) = seen {
        request = request.header(header::IF_MATCH, seen);
    }
    let sent = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Bytes::from(serde_json::to_vec(body)?)
        }
        None => Bytes::new(),
    };
    let response = host.sender.send_request(request.body(Full::new(sent))?).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), most).collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// What a problem document says.
pub(crate) fn problem(url: &str, status: StatusCode, problem: &Value) -> String {
    let detail = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or("no answer");
    let is_unknown = status == StatusCode::UNAUTHORIZED;
    let hint = if is_unknown { " (IAP_TOKEN, a token of admin.access.tokens)" } else { "" };
    format!("{url}: {}: {}{hint}", status.as_u16(), printable(detail))
}

/// Runs what asks a host, and waits no longer than one should.
pub(crate) fn patiently<T>(
    url: &str,
    asked: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let runtime = Runtime::new()?;
    let result = runtime.block_on(async {
        let late = |_| format!("{url}: no answer within {} seconds", PATIENCE.as_secs());
        tokio::time::timeout(PATIENCE, asked).await.map_err(late)?
    });
    runtime.shutdown_background();
    result
}

/// Names of routes and texts of errors come from outside: no control sequence reaches the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

/// A value of an argument, as it is written.
pub(crate) fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A text as a part of a query.
pub(crate) fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    let mut out = String::new();
    for b in text.bytes() {
        match plain(b) {
            true => out.push(b.into()),
            false => {
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
    out
}
