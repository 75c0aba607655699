//! What was not kept is never acknowledged.

use super::grpc::{call, export, framed};
use super::*;
use crate::history::{
    Batch, HistoryResult, MetricAnswer, MetricInfo, MetricNamesQuery, MetricQuery, SeriesQuery,
    TransactionPage,
};
use crate::model::{LogLine, RouteStats, SeriesPoint};

/// A history that refuses everything, or never answers.
pub(super) struct Refusing(pub(super) Option<HistoryErrorKind>);

impl History for Refusing {
    fn append(&self, _: Arc<Batch>) -> HistoryResult<'_, ()> {
        match self.0 {
            Some(kind) => Box::pin(std::future::ready(Err(HistoryError::new(kind, "refused")))),
            None => Box::pin(std::future::pending()),
        }
    }
    fn transactions<'a>(&'a self, _: &'a TransactionQuery) -> HistoryResult<'a, TransactionPage> {
        unreachable!("not asked")
    }
    fn trace(&self, _: iap_core::TraceId) -> HistoryResult<'_, Option<Trace>> {
        unreachable!("not asked")
    }
    fn route_stats(&self, _: Window) -> HistoryResult<'_, Vec<RouteStats>> {
        unreachable!("not asked")
    }
    fn route_counts<'a>(
        &'a self,
        _: Window,
        _: &'a [u64],
    ) -> HistoryResult<'a, Vec<crate::model::RouteCounts>> {
        unreachable!("not asked")
    }
    fn series<'a>(&'a self, _: &'a SeriesQuery) -> HistoryResult<'a, Vec<SeriesPoint>> {
        unreachable!("not asked")
    }
    fn logs<'a>(&'a self, _: &'a LogQuery) -> HistoryResult<'a, Vec<LogLine>> {
        unreachable!("not asked")
    }
    fn metric_names<'a>(&'a self, _: &'a MetricNamesQuery) -> HistoryResult<'a, Vec<MetricInfo>> {
        unreachable!("not asked")
    }
    fn metric<'a>(&'a self, _: &'a MetricQuery) -> HistoryResult<'a, MetricAnswer> {
        unreachable!("not asked")
    }
}

/// A request that has sent some bytes, and goes on when its channel says so.
fn slow_request(first: Vec<u8>) -> (Request<Body>, tokio::sync::mpsc::Sender<()>) {
    let (feed, mut more) = tokio::sync::mpsc::channel::<()>(1);
    let mut first = Some(Bytes::from(first));
    let body = StreamBody(Box::new(move |cx: &mut Context<'_>| match first.take() {
        Some(bytes) => Poll::Ready(Some(bytes)),
        None => more.poll_recv(cx).map(|_| None),
    }));
    let request = Request::post("/v1/traces").header(header::CONTENT_TYPE, PROTOBUF);
    (request.body(Body::new(body)).expect("a request"), feed)
}

type Poller = dyn FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send;

struct StreamBody(Box<Poller>);

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        (self.0)(cx).map(|bytes| bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}

#[tokio::test]
async fn what_was_not_kept_is_never_acknowledged() {
    let body = proto_request(vec![proto_span(1, 1, None)]).encode_to_vec();
    for kind in [HistoryErrorKind::Overloaded, HistoryErrorKind::Full, HistoryErrorKind::Closed] {
        let service = OtlpService::new(Arc::new(Refusing(Some(kind))));
        let (status, headers, answer) = send(&service, request("/v1/traces", PROTOBUF, body.clone())).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{kind:?}");
        assert_eq!(headers[header::RETRY_AFTER], "1");
        assert_eq!(Status::decode(answer).expect("a status").code, 14);
        let ended = export(
            &service,
            call("/opentelemetry.proto.collector.trace.v1.TraceService/Export", framed(0, &body)),
        );
        let ended = ended.await;
        assert_eq!(
            (ended.code.as_str(), ended.status.expect("details").details.len()),
            ("14", 1),
            "{kind:?}"
        );
    }
    // One request that is not complete yet holds the room that it takes.
    let (service, history) = receiver();
    let busy = service.max_pending_bytes(2 * 1_024);
    let (slow, feed) = slow_request(vec![0; 1_500]);
    let mut slow = Box::pin(send(&busy, slow));
    let noop = &mut Context::from_waker(std::task::Waker::noop());
    assert!(slow.as_mut().poll(noop).is_pending());
    let (status, headers, _) = send(&busy, request("/v1/traces", PROTOBUF, body.clone())).await;
    assert_eq!((status, headers.contains_key(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, true));
    assert_eq!(history.trace(trace_id(1)).await.expect("readable"), None);
    drop((slow, feed));
    assert_eq!(
        send(&busy, request("/v1/traces", PROTOBUF, body)).await.0,
        StatusCode::OK,
        "it is free again"
    );
}
