//! Errors of the admin API, as problem documents.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use iap_apm::{HistoryError, HistoryErrorKind};
use iap_core::{Error, Kind, Origin};
use iap_session::StoreError;
use serde_json::json;

/// An error of a handler.
#[derive(Debug)]
pub(super) struct ApiError {
    error: Error,
    /// What is wrong with this very request, in place of the error's own text.
    detail: Option<String>,
}

pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn bad_request(message: &'static str) -> Self {
        Error::new(Kind::BadRequest, Origin::Client, message).into()
    }

    pub(super) fn not_found(message: &'static str) -> Self {
        Error::new(Kind::NotFound, Origin::Client, message).into()
    }

    pub(super) fn forbidden(message: &'static str) -> Self {
        Error::new(Kind::Forbidden, Origin::Client, message).into()
    }

    /// A request that says something impossible, and what.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::bad_request("the request is not valid") }
    }
}

impl From<HistoryError> for ApiError {
    fn from(error: HistoryError) -> Self {
        match error.kind() {
            HistoryErrorKind::InvalidQuery => Self::bad_request("the query is not valid"),
            _ => Error::new(Kind::Unavailable, Origin::Internal, "the history cannot be read now")
                .with_source(error)
                .into(),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self { error, detail: None }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.error.origin() != Origin::Client {
            tracing::warn!(error = %self.error, "an admin request failed");
        }
        if let Some(detail) = self.detail {
            let body = json!({
                "type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail, "kind": "bad_request",
            });
            let kind = [(header::CONTENT_TYPE, "application/problem+json")];
            return (StatusCode::BAD_REQUEST, kind, body.to_string()).into_response();
        }
        self.error.into_response(None).map(axum::body::Body::new)
    }
}
