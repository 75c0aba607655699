//! Errors of the admin API, as problem documents.

use axum::response::{IntoResponse, Response};
use iap_apm::{HistoryError, HistoryErrorKind};
use iap_core::{Error, Kind, Origin};
use iap_session::StoreError;

/// An error of a handler.
#[derive(Debug)]
pub(super) struct ApiError(Error);

pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn bad_request(message: &'static str) -> Self {
        Self(Error::new(Kind::BadRequest, Origin::Client, message))
    }

    pub(super) fn not_found(message: &'static str) -> Self {
        Self(Error::new(Kind::NotFound, Origin::Client, message))
    }

    pub(super) fn forbidden(message: &'static str) -> Self {
        Self(Error::new(Kind::Forbidden, Origin::Client, message))
    }
}

impl From<HistoryError> for ApiError {
    fn from(error: HistoryError) -> Self {
        match error.kind() {
            HistoryErrorKind::InvalidQuery => Self::bad_request(error.message()),
            _ => Self(
                Error::new(Kind::Unavailable, Origin::Internal, "the history cannot be read now")
                    .with_source(error),
            ),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.0.origin() != Origin::Client {
            tracing::warn!(error = %self.0, "an admin request failed");
        }
        self.0.into_response(None).map(axum::body::Body::new)
    }
}
