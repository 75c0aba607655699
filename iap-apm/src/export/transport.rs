//! One attempt to send one request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use iap_core::upstream::{Protocol, UpstreamSettings, UpstreamTls};
use iap_core::{Body, Upstream};

use super::answer::{self, Outcome};
use super::queue::Parcel;
use super::{ExportProtocol, ExportSettings, Signal};
use crate::error::{Error, ErrorKind};

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;

/// Where a receiver is.
pub(super) struct Endpoint {
    scheme: &'static str,
    /// With the port.
    authority: String,
    /// With the query.
    pub(super) path: String,
}

impl Endpoint {
    /// The port is that of the scheme where no other is usual. No error quotes the URL.
    pub(super) fn parse(url: &str, usual: Option<u16>) -> Result<Self, &'static str> {
        let uri: Uri = url.trim().parse().map_err(|_| "the endpoint is no URL")?;
        let (scheme, of_scheme) = match uri.scheme_str() {
            Some("http") => ("http", 80),
            Some("https") => ("https", 443),
            _ => return Err("the endpoint must begin with http:// or https://"),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the endpoint has no host")?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("the endpoint has a query or a user: send tokens as headers");
        }
        let port = uri.port_u16().or(usual).unwrap_or(of_scheme);
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { scheme, authority: format!("{host}:{port}"), path })
    }

    /// Of a collector: it has no query, and its path goes before those of OTLP.
    fn of_collector(url: &str, protocol: ExportProtocol) -> Result<Self, &'static str> {
        let grpc = protocol == ExportProtocol::Grpc;
        let mut endpoint = Self::parse(url, Some(if grpc { 4317 } else { 4318 }))?;
        if endpoint.path.contains('?') {
            return Err("the endpoint has a query or a user: send tokens as headers");
        }
        endpoint.path.truncate(endpoint.path.trim_end_matches('/').len());
        if grpc && !endpoint.path.is_empty() {
            return Err("an endpoint of gRPC has no path");
        }
        Ok(endpoint)
    }
}

/// Whether an endpoint can be used, without asking it anything.
///
/// # Errors
/// What is wrong with it.
pub fn check_endpoint(url: &str, protocol: ExportProtocol) -> Result<(), &'static str> {
    Endpoint::of_collector(url, protocol).map(|_| ())
}

/// What a server has answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    trailers: Option<HeaderMap>,
    body: Bytes,
    pub(super) now: SystemTime,
}

/// The way to one server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Wire {
    upstream: Arc<Upstream>,
    host: HeaderValue,
    headers: HeaderMap,
    timeout: Duration,
}

impl Wire {
    pub(super) fn open(
        name: &'static str,
        endpoint: &Endpoint,
        headers: HeaderMap,
        settings: UpstreamSettings,
    ) -> Result<Self, Error> {
        let timeout = settings.response_timeout;
        let server = format!("{}://{}", endpoint.scheme, endpoint.authority);
        let upstream = Upstream::new(name, [&server], settings)
            .map_err(|error| Error::with_source(ErrorKind::Export, error))?;
        let host =
            endpoint.authority.parse().map_err(|error| Error::with_source(ErrorKind::Export, error))?;
        Ok(Self { upstream: Arc::new(upstream), host, headers, timeout })
    }

    /// Sends a request once; `judge` says what its answer means.
    pub(super) async fn ask(
        &self,
        path: &str,
        fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
        judge: impl FnOnce(Answer) -> Outcome,
    ) -> Outcome {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.parse().unwrap_or_default();
        let all = request.headers_mut();
        all.extend(self.headers.clone());
        all.insert(header::HOST, self.host.clone());
        all.insert(header::USER_AGENT, HeaderValue::from_static(concat!("iap/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in fields {
            all.insert(name, value);
        }
        match tokio::time::timeout(self.timeout, self.attempt(request)).await {
            Ok(Ok(answer)) => judge(answer),
            Ok(Err(why)) => Outcome::Again { pause: None, why },
            Err(_) => Outcome::Again { pause: None, why: "no answer comes in time".to_owned() },
        }
    }

    async fn attempt(&self, request: Request<Body>) -> Result<Answer, String> {
        let chain = |error: &dyn std::error::Error| match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        let response = self.upstream.send(request).await.map_err(|error| chain(&error))?;
        let (head, body) = response.into_parts();
        let collected = match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(collected) => collected,
            // The status is known, and nothing else is needed of a failure.
            Err(_) if !head.status.is_success() => Default::default(),
            Err(error) => return Err(chain(&*error)),
        };
        let trailers = collected.trailers().cloned();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            trailers,
            body: collected.to_bytes(),
            now: SystemTime::now(),
        })
    }
}

/// The way to a collector. Cheap to clone.
#[derive(Clone)]
pub(super) struct Transport {
    wire: Wire,
    protocol: ExportProtocol,
    /// In front of the paths of OTLP/HTTP, without a `/` at its end.
    prefix: String,
}

impl Transport {
    pub(super) fn new(settings: &ExportSettings) -> Result<Self, Error> {
        let endpoint = Endpoint::of_collector(&settings.endpoint, settings.protocol)
            .map_err(|why| Error::with_source(ErrorKind::Export, why))?;
        let grpc = settings.protocol == ExportProtocol::Grpc;
        let upstream = UpstreamSettings {
            protocol: if grpc { Protocol::Http2 } else { Protocol::Auto },
            ..upstream(settings.timeout, settings.tls.clone())
        };
        let wire = Wire::open("apm.export", &endpoint, settings.headers.clone(), upstream)?;
        Ok(Self { wire, protocol: settings.protocol, prefix: endpoint.path })
    }

    /// Sends a request once.
    pub(super) async fn send(&self, parcel: &Parcel) -> Outcome {
        let text = |name: HeaderName, value| (name, HeaderValue::from_static(value));
        match self.protocol {
            ExportProtocol::Http => {
                let path = format!("{}/v1/{}", self.prefix, parcel.signal.as_str());
                let fields = [
                    text(header::CONTENT_TYPE, "application/x-protobuf"),
                    text(header::CONTENT_ENCODING, "gzip"),
                ];
                let judge = |answer: Answer| {
                    let Answer { status, headers, body, now, .. } = answer;
                    answer::http(parcel.signal, status, &headers, &body, now)
                };
                self.wire.ask(&path, fields, parcel.body.clone(), judge).await
            }
            ExportProtocol::Grpc => {
                let service = match parcel.signal {
                    Signal::Traces => "trace.v1.TraceService",
                    Signal::Logs => "logs.v1.LogsService",
                    Signal::Metrics | Signal::RemoteWrite => "metrics.v1.MetricsService",
                };
                let path = format!("/opentelemetry.proto.collector.{service}/Export");
                let fields = [
                    text(header::CONTENT_TYPE, "application/grpc"),
                    text(HeaderName::from_static("grpc-encoding"), "gzip"),
                    text(header::TE, "trailers"),
                ];
                let judge = |answer: Answer| {
                    let Answer { status, headers, trailers, body, .. } = answer;
                    let last =
                        trailers.filter(|trailers| trailers.contains_key("grpc-status")).unwrap_or(headers);
                    answer::grpc(parcel.signal, status, &last, &body)
                };
                self.wire.ask(&path, fields, framed(&parcel.body), judge).await
            }
        }
    }
}

/// Settings for one receiver, each of whose answers has the same time.
pub(super) fn upstream(timeout: Duration, tls: Option<UpstreamTls>) -> UpstreamSettings {
    UpstreamSettings {
        response_timeout: timeout,
        body_idle: timeout,
        connect_timeout: timeout,
        tls,
        ..UpstreamSettings::default()
    }
}

/// One compressed message, with what gRPC puts in front of it.
fn framed(message: &Bytes) -> Bytes {
    let mut bytes = BytesMut::with_capacity(message.len() + 5);
    bytes.put_u8(1);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}
