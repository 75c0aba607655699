//! What requests say: unknown and malformed parameters are refused by name, not ignored.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::response::Json;
use http::request::Parts;
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

use super::error::{ApiError, ApiResult};
use crate::config::{ByteSize, Span};

/// The query of a request. The types of it deny unknown fields.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(value)| Self(value)).map_err(|error| refused("query", &error))
    }
}

/// The body of a request, as JSON.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = Json::<T>::from_request(request, state).await;
        body.map(|Json(value)| Self(value)).map_err(|error| refused("body", &error))
    }
}

/// The outermost error says that something cannot be read, the next one which parameter, and why.
fn refused(place: &str, error: &dyn Error) -> ApiError {
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    ApiError::bad_request(format!("{place}: {cause} (docs/admin-api.md has what there is)"))
}

/// Parameters by name: taken one after the other, and none may be left.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Named(BTreeMap<String, Written>);

/// As it is written in a query, or in JSON.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Number(u64),
    Flag(bool),
}

impl<S: Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Params::from_request_parts(parts, state).await.map(|Params(named)| named)
    }
}

impl Named {
    /// A parameter in its own form. An empty one is as good as none: forms send them.
    pub(super) fn take<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> ApiResult<Option<T>> {
        let text = match self.0.remove(name) {
            None => return Ok(None),
            Some(Written::Text(text)) => text,
            Some(Written::Number(number)) => number.to_string(),
            Some(Written::Flag(flag)) => flag.to_string(),
        };
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|error| ApiError::bad_request(format!("{name}: {error}")))
    }

    /// Refuses what was not taken.
    pub(super) fn finish(self) -> ApiResult<()> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::bad_request(format!("`{name}`: there is no such parameter"))),
        }
    }
}

/// A time: seconds, or with a unit as in the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Duration);

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span = match text.parse::<u64>() {
            Ok(seconds) => Ok(Span::seconds(seconds)),
            Err(_) => Span::deserialize::<StrDeserializer<'_, ValueError>>(text.into_deserializer()),
        };
        span.map(|span| Self(span.0)).map_err(|_| "write seconds, or a time like `30m` or `12h`")
    }
}

/// A size: bytes, or with a unit as in the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub(super) usize);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size = ByteSize::deserialize::<StrDeserializer<'_, ValueError>>(text.into_deserializer()).ok();
        let bytes = size.and_then(|size| usize::try_from(size.0).ok());
        bytes.map(Self).ok_or("write bytes, or a size like `64KiB`")
    }
}
