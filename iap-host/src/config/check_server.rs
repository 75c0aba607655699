//! Checks of the public side.

use iap_core::Networks;

use super::ServerConfig;

/// What is wrong, if anything.
pub(super) fn check(server: &ServerConfig) -> Result<(), String> {
    if server.workers == Some(0) {
        return Err("server.workers: at least one worker is needed".to_owned());
    }
    if server.max_connections == 0 {
        return Err("server.max_connections: at least one connection is needed".to_owned());
    }
    if server.max_connections_per_client == Some(0) {
        return Err(
            "server.max_connections_per_client: at least one connection is needed; leave it out for no \
                    limit"
                .to_owned(),
        );
    }
    let lists = [
        ("server.trusted_proxies", &server.trusted_proxies),
        ("server.proxy_protocol", &server.proxy_protocol),
        ("server.request_id.accept_from", &server.request_id.accept_from),
    ];
    for (name, list) in lists {
        named_networks(name, list)?;
    }
    let header = &server.request_id.header;
    let takes_part = ["host", "content-length", "transfer-encoding", "connection", "cookie", "set-cookie"];
    if header.parse::<http::HeaderName>().is_err()
        || takes_part.contains(&header.to_ascii_lowercase().as_str())
    {
        return Err(format!("server.request_id.header: `{header}` is no field for it: write `x-request-id`"));
    }
    Ok(())
}

/// Networks, where `private` stands for all private ones.
pub(crate) fn networks(list: &[String]) -> Result<Networks, iap_core::networks::NetworkError> {
    let (words, others): (Vec<_>, Vec<_>) = list.iter().partition(|text| *text == "private");
    let networks = Networks::parse(others)?;
    Ok(if words.is_empty() { networks } else { networks.and(Networks::private()) })
}

/// The same for a setting, which an error names.
pub(crate) fn named_networks(setting: &str, list: &[String]) -> Result<Networks, String> {
    networks(list).map_err(|error| format!("{setting}: {error}, or `private`"))
}
