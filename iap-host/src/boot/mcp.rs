//! The server for AI assistants.

use std::sync::Arc;

use iap_ops::Assistant;
use iap_ops::masking::Masker;
use iap_ops::tools::Tools;

use super::secret::read_secret;
use super::{BootError, failed};
use crate::actions::Actions;
use crate::config::{Config, Environment};
use crate::mcp::McpServer;

/// Makes the server that the configuration asks for.
pub(super) fn make_mcp(
    config: &Config,
    environment: &Environment,
    assistant: Option<Assistant>,
    actions: Option<&Actions>,
) -> Result<Option<Arc<McpServer>>, BootError> {
    let (true, Some(assistant)) = (config.ops.mcp.enabled, assistant) else { return Ok(None) };
    let masker = Arc::new(Masker::without(&config.ops.masking.classes_off()));
    let tools = Tools::new(assistant, masker);
    let tools = match actions {
        Some(actions) => tools.with_actions(Arc::new(actions.clone())),
        None => tools,
    };
    let token = config.ops.mcp.token.as_ref().map(|token| read_secret(token, environment));
    let token = token.transpose().map_err(failed("ops.mcp.token"))?;
    let server = McpServer::new(&config.ops, tools, token.as_deref()).map_err(failed("ops.mcp.token"))?;
    Ok(Some(Arc::new(server)))
}
