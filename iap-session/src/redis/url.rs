//! URLs of Redis. fred reads them; TLS is taken out before, so that a URL is read without files, and
//! what fred would pass over in silence is refused.

use fred::types::config::{ClusterDiscoveryPolicy, Config, ServerConfig};

use crate::error::{StoreError, StoreErrorKind};

use super::config::Credentials;

/// What a URL says.
pub(super) struct Place {
    pub(super) config: Config,
    pub(super) tls: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Unix,
    Sentinel,
    Cluster,
}

/// Schemes, and whether they mean TLS. Those of Valkey are the same with another name.
const SCHEMES: [(&str, Kind, bool); 8] = [
    ("redis", Kind::Server, false),
    ("rediss", Kind::Server, true),
    ("redis-cluster", Kind::Cluster, false),
    ("rediss-cluster", Kind::Cluster, true),
    ("redis-sentinel", Kind::Sentinel, false),
    ("rediss-sentinel", Kind::Sentinel, true),
    ("redis+unix", Kind::Unix, false),
    ("unix", Kind::Unix, false),
];

impl Place {
    pub(super) fn addresses(&self) -> String {
        if let ServerConfig::Unix { path } = &self.config.server {
            return path.display().to_string();
        }
        let hosts = self.config.server.hosts();
        let hosts: Vec<_> = hosts.iter().map(|server| format!("{}:{}", server.host, server.port)).collect();
        hosts.join(", ")
    }
}

pub(super) fn parse(url: &str) -> Result<Place, StoreError> {
    let known = url.split_once("://").and_then(|(scheme, rest)| {
        let scheme = scheme.replacen("valkey", "redis", 1);
        SCHEMES.iter().find(|(name, ..)| *name == scheme).map(|(_, kind, tls)| (*kind, *tls, rest))
    });
    let Some((kind, tls, rest)) = known else {
        return Err(invalid(
            "write redis://host:port, rediss:// for TLS, redis-cluster://, redis-sentinel:// or unix:///path",
        ));
    };
    let scheme = match kind {
        Kind::Server => "redis",
        Kind::Unix => "redis+unix",
        Kind::Sentinel => "redis-sentinel",
        Kind::Cluster => "redis-cluster",
    };
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = before_query.find('/').map(|at| &before_query[at + 1..]);
    if kind == Kind::Sentinel && !query.split('&').any(|pair| pair.starts_with("sentinelServiceName=")) {
        return Err(invalid("redis-sentinel:// needs the name of the service: ?sentinelServiceName=name"));
    }
    if kind == Kind::Cluster && path.is_some_and(|path| !matches!(path, "" | "0")) {
        return Err(invalid("a cluster has no databases but 0"));
    }
    if kind == Kind::Unix && path.is_none_or(str::is_empty) {
        return Err(invalid("a Unix socket is written with three slashes: unix:///path"));
    }
    // The parser's own message may quote the URL, and with it a password.
    let mut config =
        Config::from_url(&format!("{scheme}://{rest}")).map_err(|_| invalid("the Redis URL is not valid"))?;
    if kind == Kind::Unix
        && let Some(number) = query.split('&').find_map(|pair| pair.strip_prefix("db="))
    {
        config.database = Some(number.parse().map_err(|_| invalid("db is a number from 0 to 255"))?);
    }
    // The nodes of the URL may all have gone since: those that were seen last are asked, too.
    let _ = config.server.set_cluster_discovery_policy(ClusterDiscoveryPolicy::UseCache);
    Ok(Place { config, tls })
}

pub(super) fn set_sentinel_credentials(config: &mut Config, credentials: &Credentials) {
    if let ServerConfig::Sentinel { username, password, .. } = &mut config.server {
        username.clone_from(&credentials.username);
        *password = Some(credentials.password.clone());
    }
}

fn invalid(text: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, text)
}
