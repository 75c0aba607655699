//! Keeps other web pages out: DNS rebinding by the `Host` header, cross-site requests by
//! `Sec-Fetch-Site` and `Origin`.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, header};

use super::AdminState;
use super::error::ApiError;

/// What is said to those who call by another name.
pub(super) const UNKNOWN_HOST: &str = "this host name is not served here: add it to `admin.hosts`";

/// Runs before every handler.
pub(super) async fn guard(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let host = header_text(&request, "host").unwrap_or_default();
    if !is_known_host(host, &state.0.hosts.load()) {
        return ApiError::forbidden(UNKNOWN_HOST).into_response();
    }
    let same_site = matches!(header_text(&request, "sec-fetch-site"), None | Some("same-origin" | "none"));
    let own_origin = header_text(&request, "origin")
        .is_none_or(|origin| origin.split_once("://").is_some_and(|(_, authority)| authority == host));
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let navigates = is_read && header_text(&request, "sec-fetch-mode") == Some("navigate");
    if !(own_origin && (same_site || navigates)) {
        return ApiError::forbidden("requests of other sites are not served").into_response();
    }
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
        ),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn header_text<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// An IP address cannot be rebound; a name must be `localhost` or configured.
pub(super) fn is_known_host(host: &str, configured: &[String]) -> bool {
    if host.parse::<std::net::SocketAddr>().is_ok() {
        return true;
    }
    let name = match host.rsplit_once(':') {
        Some((name, _)) if !host.ends_with(']') => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<std::net::IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || configured.iter().any(|known| known.eq_ignore_ascii_case(name))
}
