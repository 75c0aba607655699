//! What the tests have in common.
#![allow(dead_code, unreachable_pub)]

pub mod answering;

use std::sync::Arc;

use http::{Method, StatusCode, Version};
use iap_apm::{Apm, ApmHooks, ApmTransaction, Trace, TransactionQuery, TransactionSummary, Window};
use iap_core::hooks::{Begin, Finish, Hooks};
use iap_core::{Connection, Kind, TraceContext, TraceId};

/// Begins a `GET` of a path from 192.0.2.7.
pub fn begin(hooks: &ApmHooks, path: &str, parent: Option<TraceContext>) -> Arc<ApmTransaction> {
    let connection =
        Arc::new(Connection::new(([192, 0, 2, 7], 4711).into(), ([127, 0, 0, 1], 80).into(), false));
    let method = Method::GET;
    hooks.begin(&Begin {
        connection: &connection,
        method: &method,
        path,
        query: Some("token=secret"),
        host: "shop.example",
        version: Version::HTTP_11,
        parent,
    })
}

pub fn finish(status: u16, error: Option<Kind>) -> Finish {
    Finish { status: StatusCode::from_u16(status).expect("a status"), bytes_out: 12, error, message: None }
}

pub async fn listed(apm: &Apm) -> Vec<TransactionSummary> {
    apm.history().transactions(&TransactionQuery::new(Window::all())).await.expect("a page").items
}

pub async fn trace(apm: &Apm, id: TraceId) -> Trace {
    apm.history().trace(id).await.expect("readable").expect("present")
}
