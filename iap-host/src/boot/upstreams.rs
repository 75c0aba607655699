//! Upstreams, from their settings. Each begins its background work on the application runtime.

use std::collections::HashMap;
use std::sync::Arc;

use iap_core::Upstream;
use iap_core::upstream::UpstreamTls;
use tokio::runtime::Handle;

use super::{BootError, failed};
use crate::config::{Config, TextOr, UpstreamConfig, UpstreamRef};

/// The upstreams that have a name of their own. Routes that refer to one share it.
pub(super) struct Upstreams {
    named: HashMap<String, Arc<Upstream>>,
    runtime: Handle,
}

impl Upstreams {
    pub(super) fn start(config: &Config, runtime: &Handle) -> Result<Self, BootError> {
        let start = |(name, config): (&String, &UpstreamConfig)| {
            let upstream = start(name, config, runtime);
            upstream
                .map(|upstream| (name.clone(), upstream))
                .map_err(|error| failed("upstreams")(format!("upstream `{name}`: {error}")))
        };
        let named = config.upstreams.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self { named, runtime: runtime.clone() })
    }

    /// The one that a route leads to; one of its own is named like the route.
    pub(super) fn of_route(&self, route: &str, upstream: &UpstreamRef) -> Result<Arc<Upstream>, BootError> {
        let found = match upstream {
            TextOr::Text(name) => {
                self.named.get(name).cloned().ok_or_else(|| format!("there is no upstream `{name}`"))
            }
            TextOr::Block(config) => start(route, config, &self.runtime),
        };
        found.map_err(|error| failed("routes")(format!("route `{route}`: {error}")))
    }
}

fn start(name: &str, config: &UpstreamConfig, runtime: &Handle) -> Result<Arc<Upstream>, String> {
    let mut settings = config.settings()?;
    if let Some(tls) = config.tls() {
        if tls.insecure_skip_verify {
            tracing::warn!(upstream = name, "tls.insecure_skip_verify: the servers are not verified");
        }
        settings.tls = Some(UpstreamTls::load(&tls).map_err(|error| format!("tls: {error}"))?);
    }
    let upstream = Upstream::with_servers(name, config.servers()?, settings);
    let upstream = Arc::new(upstream.map_err(|error| error.to_string())?);
    upstream.start(runtime);
    Ok(upstream)
}
