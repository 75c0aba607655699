//! Active checks: one task a server asks it whether it is well.

use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};

use super::super::Upstream;
use super::super::connect::{Fresh, open_connection};
use super::super::h2::to_http2;
use super::super::server::Server;
use crate::body::Body;
use crate::error::BoxError;

/// How servers are asked whether they are well. A server counts as well until its checks say
/// otherwise; while they do, no request goes to it. Needs [`Upstream::start`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for by `GET`; `None` is content with a connection. Default: `/`.
    pub path: Option<Uri>,
    /// The `Host` field. Default: the host of the server's address, `localhost` for a socket in
    /// the file system.
    pub host: Option<HeaderValue>,
    /// The time between two checks. Default: 5 s.
    pub interval: Duration,
    /// How long one check may take. Default: 2 s.
    pub timeout: Duration,
    /// The status codes of a server that is well. Default: 200 to 399.
    pub expect: RangeInclusive<u16>,
    /// How many checks in a row must go well before requests go to a server again. Default: 2.
    pub rise: u32,
    /// How many checks in a row must fail before no more requests go to a server. Default: 3.
    pub fall: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: Some(Uri::from_static("/")),
            host: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            expect: 200..=399,
            rise: 2,
            fall: 3,
        }
    }
}

/// Checks one server until its upstream is gone.
pub(in super::super) async fn watch(upstream: Weak<Upstream>, index: usize, check: HealthCheck) {
    // How many results in a row contradict what is believed.
    let mut contrary = 0;
    loop {
        {
            let Some(upstream) = upstream.upgrade() else { return };
            let server = &upstream.servers[index];
            if server.is_absent() {
                contrary = 0;
                drop(upstream);
                tokio::time::sleep(check.interval).await;
                continue;
            }
            let result = probe(&upstream, index, &check).await;
            let healthy = result.is_ok();
            if let Err(error) = &result {
                server.note_error(&format_args!("health check: {error}"));
            }
            contrary = if healthy == server.is_unhealthy() { contrary + 1 } else { 0 };
            let enough = if healthy { check.rise } else { check.fall };
            if contrary >= enough && server.set_healthy(healthy) {
                contrary = 0;
                say(&upstream, server, result);
            }
        }
        tokio::time::sleep(check.interval).await;
    }
}

fn say(upstream: &Upstream, server: &Server, result: Result<(), BoxError>) {
    let (upstream, server) = (&*upstream.name, &*server.address.shown);
    match result {
        Ok(()) => tracing::info!(upstream, server, "the health checks of a server go well again"),
        Err(error) => tracing::warn!(upstream, server, %error, "the health checks of a server fail"),
    }
}

async fn probe(upstream: &Arc<Upstream>, index: usize, check: &HealthCheck) -> Result<(), BoxError> {
    let server = &upstream.servers[index];
    let attempt = async {
        let fresh = open_connection(upstream, server, false, &()).await?;
        let Some(path) = &check.path else { return Ok(()) };
        let host = match &check.host {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(server.address.authority())?,
        };
        let mut request = question(path, host);
        let status = match fresh {
            Fresh::Http1(mut connection, _open) => connection.ask(&mut request).await?,
            Fresh::Http2(mut made) => {
                let scheme = server.address.uri_scheme();
                made.sender.send_request(to_http2(request, scheme)).await?.status()
            }
        };
        is_expected(status, &check.expect)
    };
    tokio::time::timeout(check.timeout, attempt).await.map_err(|_| BoxError::from("no answer in time"))?
}

/// What a server is asked that has to say how it is.
pub(crate) fn question(path: &Uri, host: HeaderValue) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.clone();
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("iap-health-check"));
    request
}

/// Whether it has said that it is well.
pub(crate) fn is_expected(status: StatusCode, expect: &RangeInclusive<u16>) -> Result<(), BoxError> {
    let status = status.as_u16();
    if expect.contains(&status) { Ok(()) } else { Err(format!("answered {status}").into()) }
}
