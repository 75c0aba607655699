//! The web console, embedded at build time.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri, header};
use include_dir::{Dir, include_dir};

use super::error::ApiError;

/// What `build.rs` made of `console/`: the built application, or a page that says how to get it.
static FILES: Dir<'static> = include_dir!("$OUT_DIR/console");

/// The application itself, whatever it shows at this path.
pub(super) async fn page(status: StatusCode, uri: Uri) -> Response {
    let mut response = serve(uri).await;
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

pub(super) async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return ApiError::not_found("there is no such endpoint").into_response();
    }
    let asset = FILES.get_file(path);
    // Unknown paths are views of the application, which routes them itself.
    let Some(file) = asset.or_else(|| FILES.get_file("index.html")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match file.path().extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    // Built assets carry a hash in their name; the page itself must be asked for again.
    let hashed = file.path().starts_with("assets");
    let cache = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], file.contents()).into_response()
}
