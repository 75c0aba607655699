//! What others have.

use std::time::Duration;

use fastrace::collector::{Config, Reporter, SpanRecord};
use fastrace::prelude::{LocalSpan, Span, SpanContext};
use opentelemetry::trace::{Span as _, Tracer, TracerProvider as _};
use opentelemetry::{Context, KeyValue, trace::TraceContextExt};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};
use tracing::{Dispatch, info_span};
use tracing_subscriber::layer::SubscriberExt;

use super::DETAIL;

/// Drops what it is given.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        drop(batch);
        Ok(())
    }
}

impl Reporter for Nowhere {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        drop(spans);
    }
}

fn tracer() -> SdkTracer {
    let often = BatchConfigBuilder::default()
        .with_max_queue_size(1 << 16)
        .with_scheduled_delay(Duration::from_millis(20));
    let processor = BatchSpanProcessor::builder(Nowhere).with_batch_config(often.build()).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let tracer = provider.tracer("bench");
    // It would be shut down with the last handle.
    std::mem::forget(provider);
    tracer
}

fn traced() {
    let _root = info_span!("request", path = "/orders/7").entered();
    drop(info_span!("session.load").entered());
    {
        let _upstream = info_span!("upstream").entered();
        drop(info_span!("queue").entered());
        drop(info_span!("connect", detail = DETAIL).entered());
    }
    drop(info_span!("session.commit").entered());
    drop(info_span!("response").entered());
}

fn dispatched(dispatch: Dispatch) -> Box<dyn FnMut()> {
    Box::new(move || tracing::dispatcher::with_default(&dispatch, traced))
}

pub(super) fn tracing_alone() -> Box<dyn FnMut()> {
    Box::new(traced)
}

pub(super) fn tracing_registry() -> Box<dyn FnMut()> {
    dispatched(Dispatch::new(tracing_subscriber::registry()))
}

pub(super) fn tracing_opentelemetry() -> Box<dyn FnMut()> {
    let layer = tracing_opentelemetry::layer().with_tracer(tracer());
    dispatched(Dispatch::new(tracing_subscriber::registry().with(layer)))
}

pub(super) fn sdk() -> Box<dyn FnMut()> {
    let tracer = tracer();
    Box::new(move || {
        let within = |parent: &Context, name: &'static str| tracer.start_with_context(name, parent);
        let root = Context::new().with_span(tracer.start("request"));
        drop(within(&root, "session.load"));
        let upstream = root.with_span(within(&root, "upstream"));
        drop(within(&upstream, "queue"));
        let mut connect = within(&upstream, "connect");
        connect.set_attribute(KeyValue::new("server.address", DETAIL));
        drop((connect, upstream));
        drop(within(&root, "session.commit"));
        drop(within(&root, "response"));
    })
}

pub(super) fn fastrace() -> Box<dyn FnMut()> {
    fastrace::set_reporter(Nowhere, Config::default().report_interval(Duration::from_millis(20)));
    Box::new(|| {
        let root = Span::root("request", SpanContext::random());
        let _here = root.set_local_parent();
        drop(LocalSpan::enter_with_local_parent("session.load"));
        {
            let _upstream = LocalSpan::enter_with_local_parent("upstream");
            drop(LocalSpan::enter_with_local_parent("queue"));
            drop(LocalSpan::enter_with_local_parent("connect").with_property(|| ("server.address", DETAIL)));
        }
        drop(LocalSpan::enter_with_local_parent("session.commit"));
        drop(LocalSpan::enter_with_local_parent("response"));
    })
}
