//! `/mcp`: assistants. Beside the guard of the console, since it has an allow-list of origins of its own.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header;

use super::AdminState;
use super::access::unauthorized;
use super::error::ApiError;
use super::guard;
use crate::access::{Right, Via};

pub(super) async fn serve(State(state): State<AdminState>, request: Request) -> Response {
    let Some(server) = state.0.mcp.load_full() else {
        return ApiError::not_found("ops.mcp.enabled is off").into_response();
    };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !guard::is_known_host(host, &state.0.hosts.load()) {
        return ApiError::forbidden(guard::UNKNOWN_HOST).into_response();
    }
    if !server.serves_origin(host, request.headers()) {
        return ApiError::forbidden("this origin is not served: add it to `ops.mcp.origins`").into_response();
    }
    if !server.knows(request.headers()) && !is_program(&state, &request) {
        return unauthorized("a token is needed: `ops.mcp.token`, or one of `admin.access.tokens`")
            .into_response();
    }
    server.serve(request).await.map(axum::body::Body::new)
}

/// Whether it comes from a program that may see whose requests they are: tools tell. Never by a cookie: that is for pages.
fn is_program(state: &AdminState, request: &Request) -> bool {
    let access = state.0.access.load_full();
    let caller = access.and_then(|access| access.caller(request.headers()));
    caller.is_some_and(|caller| caller.via == Via::Token && caller.may(Right::Person))
}
