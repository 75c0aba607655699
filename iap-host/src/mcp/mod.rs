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
    token: Option<Bearer>,
    origins: Vec<String>,
}

impl McpServer {
    /// Serves tools, to those who know the token or are known elsewhere.
    pub(crate) fn new(config: &OpsConfig, tools: Tools, token: Option<&str>) -> Result<Self, BoxError> {
        let handler = Handler::new(tools, config.mcp.output_schema);
        // Hosts and origins are checked by us, before the token; sessions are not kept, so nothing is to be cleared away.
        let settings = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_max_request_body_bytes(MAX_REQUEST);
        let service = StreamableHttpService::new(move || Ok(handler.clone()), Arc::default(), settings);
        let token = token.map(|token| Bearer::new([("mcp", token)])).transpose()?;
        Ok(Self { service, token, origins: config.mcp.origins.clone() })
    }

    /// Whether requests of this page are served; of none, too.
    pub(crate) fn serves_origin(&self, host: &str, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let origin = origin.to_str().unwrap_or("?");
        let is_own = origin.split_once("://").is_some_and(|(_, authority)| authority == host);
        is_own || self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// Whether a request shows the token.
    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
        self.token.as_ref().zip(given).is_some_and(|(token, given)| token.allows(given))
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
