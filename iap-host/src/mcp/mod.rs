//! The server of the Model Context Protocol: who may ask, and how answers are carried. What is answered is
//! [`iap_ops::tools`].

mod handler;
mod prompts;
mod relay;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::combinators::BoxBody;
use iap_core::{BoxError, rules::Bearer};
use iap_ops::Assistant;
use iap_ops::masking::Masker;
use iap_ops::tools::Tools;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use self::handler::Handler;
pub(crate) use self::relay::relay;
use crate::config::OpsConfig;

/// The largest request.
const MAX_REQUEST: usize = 256 << 10;

/// A server that runs.
pub(crate) struct McpServer {
    service: StreamableHttpService<Handler, NeverSessionManager>,
    token: Bearer,
    origins: Vec<String>,
}

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A page of another site asks.
    Origin,
    /// The token is missing or wrong.
    Token,
}

impl McpServer {
    /// Serves what the assistant reads, to those who know the token.
    pub(crate) fn new(config: &OpsConfig, assistant: Assistant, token: &str) -> Result<Self, BoxError> {
        let masker = Arc::new(Masker::without(&config.masking.classes_off()));
        let handler = Handler::new(Tools::new(assistant, masker), config.mcp.output_schema);
        // Hosts and origins are checked by us, before the token; sessions are not kept, so nothing is to be cleared away.
        let settings = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_max_request_body_bytes(MAX_REQUEST);
        let service = StreamableHttpService::new(move || Ok(handler.clone()), Arc::default(), settings);
        let token = Bearer::new([("mcp", token)])?;
        Ok(Self { service, token, origins: config.mcp.origins.clone() })
    }

    /// Whether a request may be served that has come to this host.
    pub(crate) fn admit(&self, host: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let text = |name| headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap_or("?"));
        let own = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| authority == host);
        let listed = |origin: &str| self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin));
        if text(header::ORIGIN).is_some_and(|origin| !own(origin) && !listed(origin)) {
            return Err(Refusal::Origin);
        }
        match text(header::AUTHORIZATION) {
            Some(given) if self.token.allows(given) => Ok(()),
            _ => Err(Refusal::Token),
        }
    }

    /// Answers a request.
    pub(crate) async fn serve<B>(&self, request: Request<B>) -> Response<BoxBody<Bytes, Infallible>>
    where
        B: http_body::Body + Send + 'static,
        B::Error: std::fmt::Display,
    {
        self.service.handle(request).await
    }
}
