//! Our own.

use std::sync::Arc;

use http::{Method, StatusCode, Version};
use iap_apm::{Apm, Keeping};
use iap_core::Connection;
use iap_core::hooks::{Begin, Finish, Hooks, SpanEnd, Stage};

use super::DETAIL;

fn finish() -> Finish {
    Finish { status: StatusCode::OK, bytes_out: 12, error: None, message: None }
}

fn begin<H: Hooks>(hooks: &H, connection: &Arc<Connection>, method: &Method) -> H::Transaction {
    hooks.begin(&Begin {
        connection,
        method,
        path: "/orders/7",
        query: None,
        host: "shop.example",
        version: Version::HTTP_11,
        parent: None,
    })
}

fn connection() -> Arc<Connection> {
    Arc::new(Connection::new(([192, 0, 2, 7], 4711).into(), ([127, 0, 0, 1], 80).into(), false))
}

/// The shape of a proxied request: two stages of the session, an upstream with two below it, the response.
fn hooked<H: Hooks>(hooks: H) -> Box<dyn FnMut()> {
    let (connection, route): (_, Arc<str>) = (connection(), "orders".into());
    let (detail, method): (Arc<str>, _) = (DETAIL.into(), Method::GET);
    Box::new(move || {
        let transaction = begin(&hooks, &connection, &method);
        hooks.routed(&transaction, &route);
        let stage = |stage, parent| hooks.start(&transaction, stage, parent);
        let end = |span, detail| hooks.end(&transaction, span, SpanEnd { detail, ..SpanEnd::default() });
        end(stage(Stage::SessionLoad, None), None);
        let upstream = stage(Stage::Upstream, None);
        let below = hooks.span_id(&upstream);
        end(stage(Stage::UpstreamQueue, below), None);
        end(stage(Stage::UpstreamConnect, below), Some(detail.clone()));
        end(upstream, None);
        end(stage(Stage::SessionCommit, None), None);
        end(stage(Stage::Response, None), None);
        hooks.finish(transaction, finish());
    })
}

fn apm() -> Apm {
    // Every transaction goes to the collector; with few kept, the history is not what is measured.
    Apm::builder().keeping(Keeping::per_second(1)).ring_capacity(1 << 16).build().expect("an APM")
}

pub(super) fn off() -> Box<dyn FnMut()> {
    hooked(())
}

pub(super) fn on() -> Box<dyn FnMut()> {
    hooked(apm().hooks())
}

pub(super) fn handle() -> Box<dyn FnMut()> {
    let (hooks, connection, method, route): (_, _, _, Arc<str>) =
        (apm().hooks(), connection(), Method::GET, "orders".into());
    let detail: Arc<str> = DETAIL.into();
    Box::new(move || {
        let transaction = begin(&hooks, &connection, &method);
        hooks.routed(&transaction, &route);
        let handle = hooks.handle(&transaction).expect("recorded");
        drop(handle.span(Stage::SessionLoad));
        let upstream = handle.span(Stage::Handler);
        let below = upstream.transaction();
        drop(below.span(Stage::Custom("price".into())));
        let mut query = below.span(Stage::Custom("query".into()));
        query.detail(detail.clone());
        drop((query, upstream));
        drop(handle.span(Stage::SessionCommit));
        drop(handle.span(Stage::Response));
        drop(handle);
        hooks.finish(transaction, finish());
    })
}
