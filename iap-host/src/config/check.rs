//! Checks across settings, which types alone cannot make.

use iap_core::upstream::UpstreamSettings;
use iap_core::{Route, RouteTable, Target, Upstream};

use super::{Config, RouteConfig, StoreKind};

/// What is wrong, and with which route.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) route: Option<usize>,
    pub(super) message: String,
}

pub(super) fn check(config: &Config) -> Result<(), Problem> {
    let general = |message: &str| Err(Problem { route: None, message: message.to_owned() });
    if config.server.workers == Some(0) {
        return general("server.workers: at least one worker is needed");
    }
    check_durations(config)?;
    check_addresses(config)?;
    if config.sessions.enabled {
        check_sessions(config)?;
    }
    let mut seen = Vec::new();
    for (index, route) in config.routes.iter().enumerate() {
        let wrong = |message| Problem { route: Some(index), message };
        check_route(route).map_err(wrong)?;
        seen.push(route);
        // Building the table again for each route keeps the place of the error; configurations
        // are short and this runs once.
        RouteTable::new(seen.iter().map(|route| placeholder(route)))
            .map_err(|error| wrong(error.to_string()))?;
    }
    Ok(())
}

/// A time of zero would end everything at once; none of these means "no limit" by it.
fn check_durations(config: &Config) -> Result<(), Problem> {
    let timeouts = &config.server.timeouts;
    let settings = [
        ("server.timeouts.head", timeouts.head),
        ("server.timeouts.body", timeouts.body),
        ("server.timeouts.write", timeouts.write),
        ("sessions.idle", config.sessions.idle),
        ("sessions.absolute", config.sessions.absolute),
        ("apm.max_age", config.apm.max_age),
    ];
    match settings.iter().find(|(_, span)| span.0.is_zero()) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Problem { route: None, message: format!("{name} must be longer than zero, like `60s`") })
        }
    }
}

fn check_addresses(config: &Config) -> Result<(), Problem> {
    let mut addresses = vec![("server.listen", config.server.listen), ("admin.listen", config.admin.listen)];
    addresses.extend(config.server.tls.iter().map(|tls| ("server.tls.listen", tls.listen)));
    addresses.extend(config.sessions.enabled.then_some(("sessions.api", config.sessions.api)));
    addresses.extend(config.apm.enabled.then_some(("apm.otlp", config.apm.otlp)));
    for (index, (name, address)) in addresses.iter().enumerate() {
        let same = addresses[..index].iter().find(|(_, other)| other == address && address.port() != 0);
        if let Some((first, _)) = same {
            let message = format!("{name} and {first} are both {address}: each needs an address of its own");
            return Err(Problem { route: None, message });
        }
    }
    Ok(())
}

fn check_sessions(config: &Config) -> Result<(), Problem> {
    let sessions = &config.sessions;
    let wrong = |message: &str| Err(Problem { route: None, message: message.to_owned() });
    match (&sessions.store, &sessions.redis) {
        (StoreKind::Redis, None) => {
            return wrong("sessions.store is `redis`: sessions.redis.url must say where it is");
        }
        (StoreKind::Redis, Some(_)) if sessions.secret.is_none() => {
            return wrong(
                "sessions.store is `redis`: sessions.secret is needed, the same on all nodes, \
                 like `secret: {env: IAP_SESSION_SECRET}`",
            );
        }
        _ => {}
    }
    let authority = sessions.redis.as_ref().map(|redis| redis.url.split('/').nth(2).unwrap_or_default());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return wrong(
            "sessions.redis.url holds a user name or password: use sessions.redis.username and \
             sessions.redis.password, like `password: {env: REDIS_PASSWORD}`",
        );
    }
    if sessions.login.max_per_user == 0 {
        return wrong("sessions.login.max_per_user: a user needs at least one session");
    }
    if sessions.idle > sessions.absolute {
        return wrong("sessions.idle is longer than sessions.absolute");
    }
    let name = &sessions.cookie.name;
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return wrong("sessions.cookie.name is not a valid cookie name");
    }
    Ok(())
}

fn check_route(route: &RouteConfig) -> Result<(), String> {
    let name = &route.name;
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        return Err("a route needs a name of 1 to 64 printable characters".to_owned());
    }
    let targets =
        [route.upstream.is_some(), route.files.is_some(), route.respond.is_some(), route.service.is_some()];
    match targets.iter().filter(|set| **set).count() {
        0 => {
            return Err(format!(
                "route `{name}` leads nowhere: give it `upstream`, `files`, `respond` or `service`"
            ));
        }
        1 => {}
        _ => {
            return Err(format!(
                "route `{name}` has more than one of `upstream`, `files`, `respond` and `service`"
            ));
        }
    }
    if let Some(upstream) = &route.upstream {
        Upstream::new(name.as_str(), &upstream.servers, UpstreamSettings::default())
            .map_err(|error| format!("route `{name}`: {error}"))?;
        let times = [upstream.connect_timeout, upstream.response_timeout, upstream.body_timeout];
        if times.iter().any(|span| span.0.is_zero()) {
            return Err(format!("route `{name}`: a time-out must be longer than zero, like `60s`"));
        }
    }
    if let Some(respond) = &route.respond {
        http::StatusCode::from_u16(respond.status)
            .map_err(|_| format!("route `{name}`: {} is not a status code", respond.status))?;
    }
    Ok(())
}

fn placeholder(route: &RouteConfig) -> Route {
    let target = Target::respond(http::StatusCode::OK, "");
    let built = Route::new(route.name.as_str(), route.path.as_str(), target);
    match &route.host {
        Some(host) => built.host(host),
        None => built,
    }
}
