//! Errors of the admin API, as problem documents.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use iap_apm::{HistoryError, HistoryErrorKind};
use iap_core::{Error, Kind, Origin};
use iap_session::StoreError;
use serde_json::json;

/// An error of a handler.
#[derive(Debug)]
pub(super) enum ApiError {
    Plain(Error),
    /// What is wrong with this very request.
    Invalid(String),
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
        Self::Invalid(detail.into())
    }
}

impl From<HistoryError> for ApiError {
    fn from(error: HistoryError) -> Self {
        match error.kind() {
            HistoryErrorKind::InvalidQuery => Self::bad_request(error.message()),
            _ => Error::new(Kind::Unavailable, Origin::Internal, "the history cannot be read now")
                .with_source(error)
                .into(),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Plain(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Plain(error) => error,
            Self::Invalid(detail) => return problem(&detail),
        };
        if error.origin() != Origin::Client {
            tracing::warn!(%error, "an admin request failed");
        }
        error.into_response(None).map(axum::body::Body::new)
    }
}

fn problem(detail: &str) -> Response {
    let body = json!({
        "type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail, "kind": "bad_request",
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::BAD_REQUEST, kind, body.to_string()).into_response()
}
