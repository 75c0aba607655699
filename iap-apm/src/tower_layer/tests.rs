use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use iap_core::hooks::Stage;
use iap_core::{BoxError, Transaction};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::Apm;
use crate::history::TransactionQuery;
use crate::model::{TransactionSummary, Window};

fn request(path: &str) -> Request<Empty<Bytes>> {
    let request = Request::get(path).header("host", "shop.example");
    let mut request = request.body(Empty::new()).expect("a request");
    request.extensions_mut().insert::<Arc<str>>("orders".into());
    request.extensions_mut().insert(SocketAddr::from(([192, 0, 2, 7], 4711)));
    request
}

fn layer(apm: &Apm) -> ApmTowerLayer {
    apm.tower_layer().route_of(|extensions| extensions.get::<Arc<str>>().cloned())
}

async fn rows(apm: &Apm) -> Vec<TransactionSummary> {
    apm.flush().await.expect("flushed");
    apm.history().transactions(&TransactionQuery::new(Window::all())).await.expect("a page").items
}

#[tokio::test]
async fn a_request_is_a_transaction_until_the_end_of_its_body() {
    let apm = Apm::builder().build().expect("an APM");
    let service = layer(&apm).layer(service_fn(async |request: Request<Empty<Bytes>>| {
        assert!(request.extensions().get::<Transaction>().is_some());
        drop(Transaction::current().expect("current").span(Stage::Handler));
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
    }));
    let mut request = request("/orders/7?token=secret");
    let caller = TraceContext::root();
    request.headers_mut().insert("traceparent", caller.to_header());
    let response = service.oneshot(request).await.expect("an answer");
    assert!(rows(&apm).await.is_empty(), "the body has not been read");
    assert_eq!(apm.live().active_count, 1);
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(body, "hello");

    let rows = rows(&apm).await;
    let [row] = rows.as_slice() else { panic!("one transaction: {rows:?}") };
    assert_eq!((row.trace_id, row.route.as_str(), row.status), (caller.trace_id, "orders", 200));
    assert_eq!((row.path.as_str(), row.host.as_str(), row.bytes_out), ("/orders/7", "shop.example", 5));
    assert_eq!((row.client.as_deref(), row.error.as_deref()), (Some("192.0.2.7"), None));
    let trace = apm.history().trace(row.trace_id).await.expect("readable").expect("present");
    assert_eq!(trace.tree().roots[0].children[0].span.name, "handler");
}

#[tokio::test]
async fn failures_and_clients_that_left_are_told_apart() {
    let apm = Apm::builder().build().expect("an APM");
    let failing = layer(&apm).layer(service_fn(async |_: Request<Empty<Bytes>>| {
        Err::<Response<Full<Bytes>>, BoxError>("no database".into())
    }));
    failing.oneshot(request("/fails")).await.expect_err("fails");
    let hanging = layer(&apm).layer(service_fn(async |_: Request<Empty<Bytes>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>().await
    }));
    let mut call = Box::pin(hanging.oneshot(request("/hangs")));
    let noop = &mut Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(noop).is_pending());
    drop(call);
    let answering = layer(&apm).layer(service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
    }));
    drop(answering.clone().oneshot(request("/unread")).await.expect("an answer"));
    let mut head = request("/head");
    *head.method_mut() = Method::HEAD;
    drop(answering.oneshot(head).await.expect("an answer"));
    let empty = layer(&apm).layer(service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    let response = empty.oneshot(request("/empty")).await.expect("an answer");

    let panicking = layer(&apm).layer(service_fn(async |_: Request<Empty<Bytes>>| {
        assert!(Transaction::current().is_none(), "a bug");
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    tokio::spawn(async move { panicking.oneshot(request("/panics")).await.is_ok() })
        .await
        .expect_err("panics");

    let rows = rows(&apm).await;
    let row =
        |path: &str| rows.iter().find(|row| row.path == path).unwrap_or_else(|| panic!("{path}: {rows:?}"));
    assert_eq!((row("/fails").failed, row("/fails").message.as_deref()), (true, Some("no database")));
    assert_eq!((row("/panics").failed, row("/panics").status), (true, 500));
    assert_eq!((row("/hangs").failed, row("/hangs").error.as_deref()), (false, Some("client_gone")));
    assert_eq!((row("/unread").failed, row("/unread").error.as_deref()), (false, Some("client_gone")));
    assert_eq!((row("/empty").failed, row("/empty").error.as_deref()), (false, None), "nothing to wait for");
    assert_eq!((row("/head").failed, row("/head").error.as_deref()), (false, None), "no body is sent");
    drop(response);
}
