//! The admin API of a running host, as the command line reaches it.

use bytes::Bytes;
use http::{HeaderValue, Uri, header, request};
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use iap_core::BoxError;
use tokio::net::TcpStream;

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
