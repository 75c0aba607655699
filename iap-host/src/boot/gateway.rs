//! The public server, from its settings.

use std::time::Duration;

use iap_apm::Apm;
use iap_core::pipeline::{Limits, RequestIds};
use iap_core::server::{
    ClientAuth, Listener, RunningServer, Sockets, StartError, Timeouts, TlsConfig, TlsError,
};
use iap_core::{RouteTable, Server};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::sessions::SessionLayers;
use super::{BootError, failed};
use crate::admin::certificates::Shown;
use crate::config::{ClientCertificates, Config, ServerConfig, ServerTlsConfig, TlsVersion, networks};

/// How often certificate files are looked at. A renewed one is in use within twice that time.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(2);

/// The public server, with what runs beside it.
pub(super) struct Gateway {
    pub(super) server: RunningServer,
    /// What its listener for TLS shows.
    pub(super) shown: Option<Shown>,
    certificates: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Drains; the number of connections that had to be closed hard.
    pub(super) async fn shutdown(self, deadline: Duration) -> usize {
        if let Some(watch) = &self.certificates {
            watch.abort();
        }
        self.server.shutdown(deadline).await
    }
}

/// Starts it, on `sockets` that are there already where they fit.
pub(super) fn start_gateway(
    config: &Config,
    routes: RouteTable,
    sessions: Option<SessionLayers>,
    apm: Option<&Apm>,
    sockets: Sockets,
    runtime: &Handle,
) -> Result<Gateway, BootError> {
    let server = &config.server;
    let limits = Limits { request_body: server.max_body.0, request_body_idle: server.timeouts.body.0 };
    let (head, write, tunnel) = (server.timeouts.head.0, server.timeouts.write.0, server.timeouts.tunnel.0);
    let timeouts = Timeouts { first_byte: head, head, write, tunnel, ..Timeouts::default() };
    let mut builder = Server::builder()
        .listener(listener(server, server.listen)?)
        .sockets(sockets)
        .routes(routes)
        .limits(limits)
        .timeouts(timeouts)
        .max_connections(server.max_connections)
        .trusted_proxies(networks(&server.trusted_proxies).map_err(failed("server.trusted_proxies"))?)
        .application(runtime.clone());
    if let Some(workers) = server.workers {
        builder = builder.workers(workers);
    }
    if let Some(most) = server.max_connections_per_client {
        builder = builder.max_connections_per_client(most);
    }
    if let Some(ids) = request_ids(server)? {
        builder = builder.request_ids(ids);
    }
    let mut watched = None;
    if let Some(tls) = &server.tls {
        let built = build_tls(tls).map_err(failed("server.tls"))?;
        builder = builder.listener(listener(server, tls.listen)?.tls(built.clone()));
        let files = tls.pairs().map(|(certificate, _)| certificate.clone()).collect();
        watched = Some(Shown { tls: built, files });
    }
    // Four servers, each compiled for what it does: what is off costs nothing.
    // Who comes is counted inside of the sessions, which know them.
    let layers = sessions.map(|layers| {
        tower::ServiceBuilder::new().layer(layers.session).option_layer(layers.audience).into_inner()
    });
    let started = match (apm, layers) {
        (None, None) => builder.start(),
        (None, Some(layer)) => builder.layer(layer).start(),
        (Some(apm), None) => builder.hooks(apm.hooks()).start(),
        (Some(apm), Some(layer)) => builder.hooks(apm.hooks()).layer(layer).start(),
    };
    let tls = server.tls.as_ref().map(|tls| tls.listen);
    let certificates = watched.as_ref().map(|shown| watch_certificates(shown.tls.clone(), runtime));
    started.map(|server| Gateway { server, shown: watched, certificates }).map_err(|error| match error {
        StartError::Busy(address) | StartError::Bind { address, .. } if Some(address) == tls => {
            failed("server.tls.listen")(error)
        }
        error => failed("server.listen")(error),
    })
}

fn listener(server: &ServerConfig, address: std::net::SocketAddr) -> Result<Listener, BootError> {
    let listener = Listener::new(address);
    if server.proxy_protocol.is_empty() {
        return Ok(listener);
    }
    let proxies = networks(&server.proxy_protocol).map_err(failed("server.proxy_protocol"))?;
    Ok(listener.proxy_protocol(proxies))
}

fn request_ids(server: &ServerConfig) -> Result<Option<RequestIds>, BootError> {
    let config = &server.request_id;
    if !config.enabled {
        return Ok(None);
    }
    let mut ids = RequestIds::default();
    ids.header = config.header.parse().map_err(failed("server.request_id.header"))?;
    ids.accept_from = networks(&config.accept_from).map_err(failed("server.request_id.accept_from"))?;
    Ok(Some(ids))
}

fn build_tls(config: &ServerTlsConfig) -> Result<TlsConfig, TlsError> {
    let mut builder = TlsConfig::builder();
    for (certificate, key) in config.pairs() {
        builder = builder.certificate_files(certificate, key);
    }
    if config.min_version == TlsVersion::Tls13 {
        builder = builder.only_tls13();
    }
    if let Some(clients) = &config.clients {
        let auth = match clients.mode {
            ClientCertificates::Required => ClientAuth::Required,
            ClientCertificates::Optional => ClientAuth::Optional,
        };
        builder = builder.client_ca_file(&clients.ca, auth)?;
    }
    builder.build()
}

/// Takes up renewed certificates while the server runs. A pair that does not fit is refused, once, and
/// what was in use stays.
fn watch_certificates(tls: TlsConfig, runtime: &Handle) -> JoinHandle<()> {
    runtime.spawn(async move {
        let mut last_error = None;
        loop {
            tokio::time::sleep(CERTIFICATES_EVERY).await;
            let files = tls.clone();
            let Ok(result) = tokio::task::spawn_blocking(move || files.reload()).await else { return };
            match result {
                Ok(true) => tracing::info!("renewed certificates are in use"),
                Ok(false) => {}
                Err(error) => {
                    let text = error.to_string();
                    if last_error.as_ref() != Some(&text) {
                        tracing::error!(error = %text, "certificates were not renewed: those in use stay");
                    }
                    last_error = Some(text);
                    continue;
                }
            }
            last_error = None;
        }
    })
}
