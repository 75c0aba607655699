//! Errors of the admin API, as problem documents.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use iap_apm::{HistoryError, HistoryErrorKind};
use iap_core::{Error, Kind, Origin};
use iap_session::StoreError;

/// An error of a handler.
#[derive(Debug)]
pub(super) struct ApiError(Error);

pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// A request that says something impossible, and what.
    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::BadRequest, Origin::Client, message).into()
    }

    pub(super) fn not_found(message: &'static str) -> Self {
        Error::new(Kind::NotFound, Origin::Client, message).into()
    }

    pub(super) fn forbidden(message: &'static str) -> Self {
        Error::new(Kind::Forbidden, Origin::Client, message).into()
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
        Self(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        if error.origin() != Origin::Client {
            tracing::warn!(%error, "an admin request failed");
        }
        error.into_response(None).map(axum::body::Body::new)
    }
}
