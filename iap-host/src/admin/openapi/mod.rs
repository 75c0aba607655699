//! The description of the admin API, as OpenAPI 3.1: what a route is, in a form that programs read.
//!
//! | module | what it has |
//! |---|---|
//! | [`operation`] | one method of one path: what it takes, answers and refuses |
//! | [`table`] | operations with their handlers: the router and the description are made of the same |
//! | [`shape`] | schemas of what handlers put together themselves |
//! | [`mod@text`] | descriptions of types, as readers of it need them |
//! | [`document`] | the whole of it |
//!
//! `docs/openapi.json` has what `GET /api/openapi.json` answers.

mod document;
mod operation;
pub(super) mod shape;
mod table;
mod text;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;

pub(super) use operation::{Shape, delete, get, post, put};
pub(super) use shape::{joined, list_of, object, of, parameters};
pub(super) use table::Table;

use super::routes;

/// The type of its media. It is the same for everybody: there is nothing to be taken out of it for those who may not know people.
pub(super) const FORM: &str = "application/openapi+json";

/// Answers with the description. It is about this version of the program and not about what is configured.
pub(super) async fn serve() -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
        let tables = routes::tables();
        document::document(tables.iter().flat_map(Table::operations)).to_string().into()
    });
    ([(header::CONTENT_TYPE, FORM)], DOCUMENT.clone()).into_response()
}

#[cfg(test)]
mod tests;
