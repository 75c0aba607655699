//! One ClickHouse by its HTTP interface.
//!
//! Source: <https://clickhouse.com/docs/interfaces/http>. What comes from outside is never part of a statement: it is
//! bound to `{name:Type}` as `param_name`.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Limited};
use iap_core::upstream::{Protocol, UpstreamSettings};
use iap_core::{Body, Upstream};

use super::ClickHouseSettings;
use super::encode::Insert;
use super::failure::{self, broken, unavailable};
use super::place::Place;
use crate::error::{HistoryError, HistoryErrorKind};

/// Bytes of an answer that are read, before and after it is unpacked.
const MAX_ANSWER: usize = 512 << 20;
/// Bytes of an error that are read.
const MAX_ERROR: usize = 16 << 10;
/// How long a connection may be idle: less than what servers allow.
const IDLE: Duration = Duration::from_secs(5);
/// Attempts of one statement.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt; before the third it is four times as long.
const PAUSE: Duration = Duration::from_millis(100);

/// Values for the `{name:Type}` of a statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Vec<(&'static str, String)>);

impl Params {
    /// For `UInt64`.
    pub(super) fn number(mut self, name: &'static str, value: u64) -> Self {
        self.0.push((name, value.to_string()));
        self
    }

    /// For `Array(UInt64)`.
    pub(super) fn numbers(mut self, name: &'static str, values: &[u64]) -> Self {
        let values: Vec<_> = values.iter().map(u64::to_string).collect();
        self.0.push((name, format!("[{}]", values.join(","))));
        self
    }

    /// For `String`: what is bound is read as a field of `TabSeparated`.
    pub(super) fn text(mut self, name: &'static str, value: &str) -> Self {
        let mut escaped = String::with_capacity(value.len());
        for c in value.chars() {
            match c {
                '\\' => escaped.push_str("\\\\"),
                '\t' => escaped.push_str("\\t"),
                '\n' => escaped.push_str("\\n"),
                '\r' => escaped.push_str("\\r"),
                '\0' => escaped.push_str("\\0"),
                c => escaped.push(c),
            }
        }
        self.0.push((name, escaped));
        self
    }
}

/// The way to a server.
pub(super) struct Client {
    upstream: Arc<Upstream>,
    host: HeaderValue,
    /// User, password.
    headers: HeaderMap,
    database: HeaderValue,
    path: String,
    timeout: Duration,
}

impl Client {
    /// Does no I/O. No error quotes the URL or a secret.
    pub(super) fn new(settings: &ClickHouseSettings) -> Result<Self, HistoryError> {
        let place = Place::parse(&settings.url).map_err(unavailable)?;
        let upstream = UpstreamSettings {
            protocol: Protocol::Http1,
            tls: settings.tls.clone(),
            // An attempt is over before any of these: what is late is not asked again.
            connect_timeout: settings.timeout * 2,
            response_timeout: settings.timeout * 2,
            body_idle: settings.timeout * 2,
            idle_timeout: IDLE,
            // There is no other one to go to.
            fail_pause: Duration::ZERO,
            ..UpstreamSettings::default()
        };
        let server = format!("{}://{}", place.scheme, place.authority);
        let upstream = Upstream::new("apm.clickhouse", [&server], upstream)
            .map_err(|_| unavailable("the address of ClickHouse cannot be used"))?;
        let header = |value: &str| HeaderValue::try_from(value);
        let unusable = |_| unavailable("a name or the password cannot be sent as a header");
        let mut headers = HeaderMap::new();
        if let Some(user) = &settings.user {
            headers.insert("x-clickhouse-user", header(user).map_err(unusable)?);
        }
        if let Some(password) = &settings.password {
            let mut password = header(password).map_err(unusable)?;
            password.set_sensitive(true);
            headers.insert("x-clickhouse-key", password);
        }
        Ok(Self {
            upstream: Arc::new(upstream),
            host: header(&place.authority).map_err(unusable)?,
            headers,
            database: header(&settings.database).map_err(unusable)?,
            path: place.path,
            timeout: settings.timeout,
        })
    }

    /// What a query answers, as `RowBinary`. Whatever the user's profile says, `FINAL` merges what came on several days.
    pub(super) async fn select(&self, sql: &str, params: Params) -> Result<Bytes, HistoryError> {
        let mut query = format!(
            "wait_end_of_query=1&enable_http_compression=1&max_execution_time={}\
             &cancel_http_readonly_queries_on_client_close=1&do_not_merge_across_partitions_select_final=0",
            self.timeout.as_secs().max(1)
        );
        bind(&mut query, &params);
        let sql = Bytes::from(format!("{sql} FORMAT RowBinary"));
        self.ask(true, &query, sql, None).await
    }

    /// Runs a statement that has no answer and may run twice.
    pub(super) async fn command(&self, in_database: bool, sql: String) -> Result<(), HistoryError> {
        self.ask(in_database, "wait_end_of_query=1", Bytes::from(sql), None).await.map(drop)
    }

    /// Writes rows. The server takes a block with the `token` of an earlier one for the same, so that an attempt whose
    /// answer was lost is repeated without harm.
    pub(super) async fn insert(&self, insert: Insert, token: &str) -> Result<(), HistoryError> {
        let mut query = String::from("wait_end_of_query=1&async_insert=0&query=");
        encode(&mut query, insert.sql);
        let _ = write!(query, "&insert_deduplication_token={token}");
        self.ask(true, &query, insert.body, insert.encoding).await.map(drop)
    }

    /// Sends a request, again where no answer came. All that is asked may be done twice.
    async fn ask(
        &self,
        in_database: bool,
        query: &str,
        body: Bytes,
        encoding: Option<&'static str>,
    ) -> Result<Bytes, HistoryError> {
        let uri: Uri = format!("{}?{query}", self.path)
            .parse()
            .map_err(|_| HistoryError::new(HistoryErrorKind::InvalidQuery, "the query is too long"))?;
        let (mut attempt, mut pause) = (1, PAUSE);
        loop {
            let request = self.request(in_database, uri.clone(), body.clone(), encoding);
            let late = || unavailable("ClickHouse does not answer in time");
            let ended = tokio::time::timeout(self.timeout, self.attempt(request)).await;
            match ended.map_err(|_| late()).and_then(|ended| ended) {
                Err(error) if attempt < ATTEMPTS && failure::is_of_transport(&error) => {
                    tokio::time::sleep(pause).await;
                    (attempt, pause) = (attempt + 1, pause * 4);
                }
                ended => return ended,
            }
        }
    }

    fn request(
        &self,
        in_database: bool,
        uri: Uri,
        body: Bytes,
        encoding: Option<&'static str>,
    ) -> Request<Body> {
        let mut request = Request::new(Body::from(body));
        (*request.method_mut(), *request.uri_mut()) = (Method::POST, uri);
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("zstd"));
        let agent = concat!("iap/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        if in_database {
            headers.insert("x-clickhouse-database", self.database.clone());
        }
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        request
    }

    async fn attempt(&self, request: Request<Body>) -> Result<Bytes, HistoryError> {
        let response = self.upstream.send(request).await.map_err(failure::transport)?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let (head, body) = response.into_parts();
        let answer = Limited::new(body, MAX_ANSWER).collect().await.map_err(failure::transport)?.to_bytes();
        match head.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None => Ok(answer),
            Some(b"zstd") => unpack(&answer),
            Some(_) => Err(unavailable("the answer of ClickHouse has an unknown encoding")),
        }
    }
}

fn unpack(packed: &[u8]) -> Result<Bytes, HistoryError> {
    use std::io::Read;
    let broken = broken("the answer of ClickHouse cannot be unpacked");
    let mut unpacked = Vec::new();
    let read = zstd::Decoder::new(packed)
        .and_then(|decoder| decoder.take(MAX_ANSWER as u64 + 1).read_to_end(&mut unpacked));
    match read {
        Ok(read) if read > MAX_ANSWER => Err(failure::too_large()),
        Ok(_) => Ok(Bytes::from(unpacked)),
        Err(error) => Err(broken(error)),
    }
}

/// What an answer that is no success means.
async fn refused(response: Response<Body>) -> HistoryError {
    let (head, body) = response.into_parts();
    let code = head.headers.get("x-clickhouse-exception-code");
    let code = code.and_then(|code| code.to_str().ok()?.trim().parse().ok());
    let text = Limited::new(body, MAX_ERROR).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    failure::of_answer(head.status, code, &String::from_utf8_lossy(&text))
}

fn bind(query: &mut String, params: &Params) {
    for (name, value) in &params.0 {
        let _ = write!(query, "&param_{name}=");
        encode(query, value);
    }
}

/// RFC 3986, section 2: all but unreserved characters.
fn encode(query: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            query.push(char::from(byte));
        } else {
            let _ = write!(query, "%{byte:02X}");
        }
    }
}
