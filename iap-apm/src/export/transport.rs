//! One attempt to send one request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Limited};
use iap_core::upstream::{Protocol, UpstreamSettings};
use iap_core::{Body, Upstream};

use super::answer::{self, Outcome};
use super::queue::Parcel;
use super::{ExportProtocol, ExportSettings, Signal};
use crate::error::{Error, ErrorKind};

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;

/// Where a collector is.
struct Endpoint {
    scheme: &'static str,
    /// With the port.
    authority: String,
    /// Without a `/` at its end.
    prefix: String,
}

impl Endpoint {
    fn parse(url: &str, protocol: ExportProtocol) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "the endpoint is no URL")?;
        let scheme = match uri.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            _ => return Err("the endpoint must begin with http:// or https://"),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the endpoint has no host")?;
        if uri.query().is_some() || uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err("the endpoint has a query or a user: send tokens as headers");
        }
        let grpc = protocol == ExportProtocol::Grpc;
        let port = uri.port_u16().unwrap_or(if grpc { 4317 } else { 4318 });
        let prefix = uri.path().trim_end_matches('/').to_owned();
        if grpc && !prefix.is_empty() {
            return Err("an endpoint of gRPC has no path");
        }
        Ok(Self { scheme, authority: format!("{host}:{port}"), prefix })
    }
}

/// Whether an endpoint can be used, without asking it anything.
///
/// # Errors
/// What is wrong with it.
pub fn check_endpoint(url: &str, protocol: ExportProtocol) -> Result<(), &'static str> {
    Endpoint::parse(url, protocol).map(|_| ())
}

/// The way to a collector. Cheap to clone.
#[derive(Clone)]
pub(super) struct Transport {
    upstream: Arc<Upstream>,
    protocol: ExportProtocol,
    host: HeaderValue,
    /// In front of the paths of OTLP/HTTP, without a `/` at its end.
    prefix: String,
    headers: HeaderMap,
    timeout: Duration,
}

impl Transport {
    pub(super) fn new(settings: &ExportSettings) -> Result<Self, Error> {
        let endpoint = Endpoint::parse(&settings.endpoint, settings.protocol)
            .map_err(|why| Error::with_source(ErrorKind::Export, why))?;
        let grpc = settings.protocol == ExportProtocol::Grpc;
        let upstream_settings = UpstreamSettings {
            protocol: if grpc { Protocol::Http2 } else { Protocol::Auto },
            response_timeout: settings.timeout,
            body_idle: settings.timeout,
            connect_timeout: settings.timeout,
            tls: settings.tls.clone(),
            ..UpstreamSettings::default()
        };
        let server = format!("{}://{}", endpoint.scheme, endpoint.authority);
        let upstream = Upstream::new("apm.export", [&server], upstream_settings)
            .map_err(|error| Error::with_source(ErrorKind::Export, error))?;
        let host =
            endpoint.authority.parse().map_err(|error| Error::with_source(ErrorKind::Export, error))?;
        Ok(Self {
            upstream: Arc::new(upstream),
            protocol: settings.protocol,
            host,
            prefix: endpoint.prefix,
            headers: settings.headers.clone(),
            timeout: settings.timeout,
        })
    }

    /// Sends a request once.
    pub(super) async fn send(&self, parcel: &Parcel) -> Outcome {
        match tokio::time::timeout(self.timeout, self.attempt(parcel)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Again { pause: None, why: "the collector does not answer in time".to_owned() },
        }
    }

    async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let failed = |error: &dyn std::error::Error| {
            let why = match error.source() {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            };
            Outcome::Again { pause: None, why }
        };
        let response = match self.upstream.send(self.request(parcel)).await {
            Ok(response) => response,
            Err(error) => return failed(&error),
        };
        let (head, body) = response.into_parts();
        let collected = match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(collected) => collected,
            // The status is known, and nothing else is needed of a failure.
            Err(_) if !head.status.is_success() => Default::default(),
            Err(error) => return failed(&*error),
        };
        let trailers = collected.trailers().cloned();
        let body = collected.to_bytes();
        match self.protocol {
            ExportProtocol::Http => {
                answer::http(parcel.signal, head.status, &head.headers, &body, SystemTime::now())
            }
            ExportProtocol::Grpc => {
                let last =
                    trailers.filter(|trailers| trailers.contains_key("grpc-status")).unwrap_or(head.headers);
                answer::grpc(parcel.signal, head.status, &last, &body)
            }
        }
    }

    fn request(&self, parcel: &Parcel) -> Request<Body> {
        let (path, content_type, encoding, body) = match self.protocol {
            ExportProtocol::Http => {
                let path = format!("{}/v1/{}", self.prefix, parcel.signal.as_str());
                (path, "application/x-protobuf", header::CONTENT_ENCODING, parcel.body.clone())
            }
            ExportProtocol::Grpc => {
                let service = match parcel.signal {
                    Signal::Metrics => "metrics.v1.MetricsService",
                    Signal::Traces => "trace.v1.TraceService",
                };
                let path = format!("/opentelemetry.proto.collector.{service}/Export");
                (
                    path,
                    "application/grpc",
                    http::HeaderName::from_static("grpc-encoding"),
                    framed(&parcel.body),
                )
            }
        };
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.parse().unwrap_or_default();
        let fields = request.headers_mut();
        fields.extend(self.headers.clone());
        fields.insert(header::HOST, self.host.clone());
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        fields.insert(encoding, HeaderValue::from_static("gzip"));
        fields
            .insert(header::USER_AGENT, HeaderValue::from_static(concat!("iap/", env!("CARGO_PKG_VERSION"))));
        if self.protocol == ExportProtocol::Grpc {
            fields.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        request
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
