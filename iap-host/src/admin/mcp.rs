//! `/mcp`: assistants. Beside the guard of the console, since it has an allow-list of origins of its own.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header;

use super::AdminState;
use super::access::unauthorized;
use super::error::ApiError;
use super::guard;
use crate::mcp::Refusal;

pub(super) async fn serve(State(state): State<AdminState>, request: Request) -> Response {
    let Some(server) = state.0.mcp.load_full() else {
        return ApiError::not_found("ops.mcp.enabled is off").into_response();
    };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !guard::is_known_host(host, &state.0.hosts.load()) {
        return ApiError::forbidden(guard::UNKNOWN_HOST).into_response();
    }
    match server.admit(host, request.headers()) {
        Ok(()) => server.serve(request).await.map(axum::body::Body::new),
        Err(Refusal::Origin) => {
            ApiError::forbidden("this origin is not served: add it to `ops.mcp.origins`").into_response()
        }
        Err(Refusal::Token) => unauthorized("the token `ops.mcp.token` is needed").into_response(),
    }
}
