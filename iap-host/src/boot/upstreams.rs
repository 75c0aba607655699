//! Upstreams, from their settings. Each begins its background work on the application runtime.

use std::collections::HashMap;
use std::sync::Arc;

use iap_core::Upstream;
use iap_core::upstream::UpstreamTls;
use tokio::runtime::Handle;

use super::{BootError, failed};
use crate::config::{Config, TextOr, UpstreamConfig, UpstreamRef};

/// All upstreams that run.
pub(super) struct Upstreams(HashMap<Key, (UpstreamConfig, Arc<Upstream>)>);

/// Whose an upstream is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// It has a name of its own. Routes that refer to it share it.
    Named(String),
    /// It belongs to a route, and is named like it.
    OfRoute(String),
}

impl Upstreams {
    /// Starts those that do not run yet with the same settings. The connections and the health of the
    /// others stay.
    pub(super) fn start(config: &Config, before: Option<&Self>, runtime: &Handle) -> Result<Self, BootError> {
        let named = config.upstreams.iter().map(|(name, config)| (Key::Named(name.clone()), config));
        let own = config.routes.iter().filter_map(|route| match &route.upstream {
            Some(TextOr::Block(config)) => Some((Key::OfRoute(route.name.clone()), &**config)),
            _ => None,
        });
        let start = |(key, config): (Key, &UpstreamConfig)| {
            let running = before.and_then(|before| before.0.get(&key)).filter(|(same, _)| same == config);
            let upstream = match running {
                Some((_, upstream)) => upstream.clone(),
                None => start(key.name(), config, runtime).map_err(|error| key.blame(&error))?,
            };
            Ok((key, (config.clone(), upstream)))
        };
        named.chain(own).map(start).collect::<Result<_, _>>().map(Self)
    }

    /// What was done by hand to servers of those before stays, where an upstream of the same name replaces another.
    pub(super) fn take_over(&self, before: &Self) {
        for (key, (_, upstream)) in &self.0 {
            let replaced = before.0.get(key).filter(|(_, known)| !Arc::ptr_eq(known, upstream));
            if let Some((_, known)) = replaced {
                upstream.take_over(known);
            }
        }
    }

    /// All of them, by name.
    pub(super) fn list(&self) -> Vec<Arc<Upstream>> {
        let mut all: Vec<_> = self.0.values().map(|(_, upstream)| upstream.clone()).collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// The one that a route leads to.
    pub(super) fn of_route(&self, route: &str, upstream: &UpstreamRef) -> Result<Arc<Upstream>, BootError> {
        let key = match upstream {
            TextOr::Text(name) => Key::Named(name.clone()),
            TextOr::Block(_) => Key::OfRoute(route.to_owned()),
        };
        let found = self.0.get(&key).map(|(_, upstream)| upstream.clone());
        found.ok_or_else(|| {
            failed("routes")(format!("route `{route}`: there is no upstream `{}`", key.name()))
        })
    }
}

impl Key {
    fn name(&self) -> &str {
        let (Self::Named(name) | Self::OfRoute(name)) = self;
        name
    }

    fn blame(&self, error: &str) -> BootError {
        match self {
            Self::Named(name) => failed("upstreams")(format!("upstream `{name}`: {error}")),
            Self::OfRoute(name) => failed("routes")(format!("route `{name}`: {error}")),
        }
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
