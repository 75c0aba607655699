//! The server for AI assistants.

use std::sync::Arc;

use iap_ops::Assistant;

use super::secret::read_secret;
use super::{BootError, failed};
use crate::config::{Config, Environment};
use crate::mcp::McpServer;

/// Makes the server that the configuration asks for.
pub(super) fn make_mcp(
    config: &Config,
    environment: &Environment,
    assistant: Option<Assistant>,
) -> Result<Option<Arc<McpServer>>, BootError> {
    let (true, Some(token), Some(assistant)) = (config.ops.mcp.enabled, &config.ops.mcp.token, assistant)
    else {
        return Ok(None);
    };
    let token = read_secret(token, environment).map_err(failed("ops.mcp.token"))?;
    let server = McpServer::new(&config.ops, assistant, &token).map_err(failed("ops.mcp.token"))?;
    Ok(Some(Arc::new(server)))
}
