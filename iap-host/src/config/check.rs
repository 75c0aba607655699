//! Checks across settings, which types alone cannot make.

use iap_core::{Route, RouteTable, Target};

use super::layers::{listeners, overlap};
use super::session_policy::{Prefix, check_lives};
use super::{AdoptConfig, Config, RedisConfig, RouteConfig, SessionsConfig, StoreKind, TextOr, check_server};

/// What is wrong, and with which route.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) route: Option<usize>,
    pub(super) message: String,
}

pub(super) fn check(config: &Config) -> Result<(), Problem> {
    let general = |message: &str| Err(Problem { route: None, message: message.to_owned() });
    check_server::check(&config.server).map_err(|message| Problem { route: None, message })?;
    if !is_log_filter(&config.log.level) {
        return general(
            "log.level: write off, error, warn, info, debug or trace, or a list like `info,iap_core=debug`",
        );
    }
    config.apm.check().map_err(|message| Problem { route: None, message })?;
    let routes = config.routes.iter().map(|route| route.name.as_str()).collect();
    config.alerts.check(&routes).map_err(|message| Problem { route: None, message })?;
    let channels = config.alerts.channels.keys().map(String::as_str).collect();
    config.reports.check(&channels).map_err(|message| Problem { route: None, message })?;
    if !config.reports.schedules.is_empty() && !config.apm.enabled {
        return general("reports.schedules: they are made of what apm records, which is switched off");
    }
    if !config.alerts.rules.is_empty() && !config.apm.enabled {
        return general("alerts.rules: they are judged by what apm records, which is switched off");
    }
    if config.ops.actions.four_eyes && config.admin.access.is_none() {
        return general("ops.actions.four_eyes: without admin.access everybody is the same person");
    }
    let has_tokens = config.admin.access.as_ref().is_some_and(|access| !access.tokens.is_empty());
    config.ops.check(config.apm.enabled, has_tokens).map_err(|message| Problem { route: None, message })?;
    if config.admin.hosts.iter().any(|host| host.is_empty() || !host.bytes().all(is_host_byte)) {
        return general("admin.hosts: write host names like `ops.example`, without scheme, port or `*`");
    }
    if let Some(access) = &config.admin.access {
        access.check(&config.admin.hosts).map_err(|message| Problem { route: None, message })?;
    }
    config.admin.revisions.check().map_err(|message| Problem { route: None, message })?;
    check_durations(config)?;
    check_addresses(config)?;
    if config.sessions.enabled {
        check_sessions(config)?;
    }
    for (index, route) in config.routes.iter().enumerate() {
        check_route(config, route).map_err(|message| Problem { route: Some(index), message })?;
    }
    let mut placeholders = Vec::with_capacity(config.routes.len());
    for (index, route) in config.routes.iter().enumerate() {
        placeholders.push(placeholder(route).map_err(|message| Problem { route: Some(index), message })?);
    }
    match RouteTable::new(placeholders) {
        Ok(_) => Ok(()),
        Err(error) => {
            // Of two routes with one name the second is to blame.
            let place = config.routes.iter().rposition(|route| route.name == **error.route());
            Err(Problem { route: place, message: error.to_string() })
        }
    }
}

/// A time of zero would end everything at once; none of these means "no limit" by it.
fn check_durations(config: &Config) -> Result<(), Problem> {
    let timeouts = &config.server.timeouts;
    let settings = [
        ("server.timeouts.head", timeouts.head),
        ("server.timeouts.body", timeouts.body),
        ("server.timeouts.write", timeouts.write),
        ("server.timeouts.tunnel", timeouts.tunnel),
        ("sessions.idle", config.sessions.idle),
        ("sessions.absolute", config.sessions.absolute),
        ("apm.max_age", config.apm.max_age),
        ("apm.slow", config.apm.slow),
        ("apm.apdex", config.apm.apdex),
    ];
    match settings.iter().find(|(_, span)| span.0.is_zero()) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Problem { route: None, message: format!("{name} must be longer than zero, like `60s`") })
        }
    }
}

fn check_addresses(config: &Config) -> Result<(), Problem> {
    let addresses = listeners(config);
    for (index, (name, address)) in addresses.iter().enumerate() {
        let same = addresses[..index].iter().find(|(_, other)| overlap(*address, *other));
        if let Some((first, _)) = same {
            let port = address.port();
            let message = format!("{name} and {first} both listen on port {port}: each needs one of its own");
            return Err(Problem { route: None, message });
        }
    }
    Ok(())
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// A level, or `target=level`, or a list of them. The filter's own parser takes any word for a
/// target, and so a mistyped level for "nothing at all".
fn is_log_filter(filter: &str) -> bool {
    let is_level = |level: &str| {
        matches!(level.to_ascii_lowercase().as_str(), "off" | "error" | "warn" | "info" | "debug" | "trace")
    };
    let is_target =
        |target: &str| !target.is_empty() && target.bytes().all(|byte| is_host_byte(byte) || byte == b':');
    filter.split(',').map(str::trim).all(|part| match part.split_once('=') {
        None => is_level(part),
        Some((target, level)) => is_target(target) && is_level(level),
    })
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
    if sessions.snapshot.is_some() && (sessions.store != StoreKind::Memory || sessions.secret.is_none()) {
        return wrong(
            "sessions.snapshot is for sessions in memory, and needs sessions.secret: without it no cookie fits \
             after a restart",
        );
    }
    if let Some(Err(message)) = sessions.redis.as_ref().map(RedisConfig::check) {
        return wrong(&format!("sessions.redis.{message}"));
    }
    if sessions.api.ip().is_unspecified() {
        return wrong("sessions.api: applications are told this address, so it must be one they can reach");
    }
    if sessions.login.max_per_user == 0 {
        return wrong("sessions.login.max_per_user: a user needs at least one session");
    }
    if sessions.idle > sessions.absolute {
        return wrong("sessions.idle is longer than sessions.absolute");
    }
    if let Some(Err(message)) = sessions.adopt.as_ref().map(AdoptConfig::check) {
        return wrong(&format!("sessions.adopt.{message}"));
    }
    if sessions.node.as_ref().is_some_and(|node| !is_node_name(node)) {
        return wrong("sessions.node: a name of 1 to 64 printable characters");
    }
    if !(1..=1_000_000).contains(&sessions.events.keep) {
        return wrong("sessions.events.keep: 1 to 1000000; to keep none write `enabled: false`");
    }
    if sessions.revocations.token.is_some() && !sessions.events.enabled {
        return wrong(
            "sessions.revocations.token: applications are told by `sessions.events`, which are not enabled",
        );
    }
    check_ids(sessions).map_err(|message| Problem { route: None, message })
}

/// How session ids travel, and the groups of users.
fn check_ids(sessions: &SessionsConfig) -> Result<(), String> {
    let wrong = |message: &str| Err(message.to_owned());
    let cookie = &sessions.cookie;
    let name = &cookie.name;
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) || name.starts_with("__") {
        return wrong("sessions.cookie.name is no cookie name (`cookie.prefix` is put before it over TLS)");
    }
    if cookie.domain.is_some() && cookie.prefix == Prefix::Host {
        return wrong(
            "sessions.cookie.domain: browsers refuse a domain with the prefix `__Host-`; set `prefix: secure`",
        );
    }
    if sessions.header.parse::<http::HeaderName>().is_err() {
        return wrong("sessions.header is no name of a header");
    }
    for (name, group) in &sessions.groups {
        if group.max_per_user == 0 {
            return Err(format!("sessions.groups.{name}.max_per_user: a user needs at least one session"));
        }
        check_lives(group.idle, group.absolute, sessions)
            .map_err(|error| format!("sessions.groups.{name}: {error}"))?;
    }
    Ok(())
}

fn is_node_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn check_route(config: &Config, route: &RouteConfig) -> Result<(), String> {
    let name = &route.name;
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        return Err("a route needs a name of 1 to 64 printable characters".to_owned());
    }
    let targets = [
        route.upstream.is_some(),
        route.process.is_some(),
        route.files.is_some(),
        route.respond.is_some(),
        route.redirect.is_some(),
        route.split.is_some(),
        route.service.is_some(),
    ];
    match targets.iter().filter(|set| **set).count() {
        0 => {
            return Err(format!(
                "route `{name}` leads nowhere: give it `upstream`, `process`, `files`, `respond`, \
                 `redirect`, `split` or `service`"
            ));
        }
        1 => {}
        _ => {
            return Err(format!(
                "route `{name}` has more than one of `upstream`, `process`, `files`, `respond`, \
                 `redirect`, `split` and `service`"
            ));
        }
    }
    match &route.upstream {
        Some(TextOr::Block(upstream)) => {
            upstream.check().map_err(|message| format!("route `{name}`: {message}"))?;
        }
        Some(TextOr::Text(upstream)) => check_reference(config, name, upstream)?,
        None => {}
    }
    if let Some(split) = &route.split {
        split.check().map_err(|message| format!("route `{name}`: {message}"))?;
        split.variants.iter().try_for_each(|variant| check_reference(config, name, &variant.upstream))?;
    }
    if let Some(files) = &route.files {
        files.check().map_err(|message| format!("route `{name}`: {message}"))?;
    }
    if let Some(process) = &route.process {
        process.check().map_err(|message| format!("route `{name}`: process: {message}"))?;
    }
    if let Some(status) = route.respond.as_ref().map(|respond| respond.status)
        && !(200..600).contains(&status)
    {
        return Err(format!("route `{name}`: {status} is not a final status code"));
    }
    if route.rewrite.is_some() && route.files.is_some() {
        return Err(format!(
            "route `{name}`: files are found below the route's path: `rewrite` has no place here"
        ));
    }
    if route.limits.response.is_some()
        && route.upstream.is_none()
        && route.process.is_none()
        && route.split.is_none()
    {
        return Err(format!(
            "route `{name}`: limits.response is about a server behind us: use `limits.total` here"
        ));
    }
    route.rules().map_err(|message| format!("route `{name}`: {message}"))?;
    route.session().check(&config.sessions).map_err(|message| format!("route `{name}`: {message}"))?;
    route.check_identity(config.sessions.enabled).map_err(|message| format!("route `{name}`: {message}"))
}

/// Whether an upstream that a route names is there.
fn check_reference(config: &Config, route: &str, upstream: &str) -> Result<(), String> {
    if config.upstreams.contains_key(upstream) {
        return Ok(());
    }
    let known: Vec<String> = config.upstreams.keys().map(|known| format!("`{known}`")).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(format!("route `{route}`: there is no upstream `{upstream}` in upstreams, only {known}"))
}

fn placeholder(route: &RouteConfig) -> Result<Route, String> {
    let built =
        Route::new(route.name.as_str(), route.path.as_str(), Target::respond(http::StatusCode::OK, ""));
    let built = if route.exact { built.exact() } else { built };
    let conditions =
        route.when.conditions().map_err(|message| format!("route `{}`: {message}", route.name))?;
    let built = built.when(conditions);
    Ok(match &route.host {
        Some(host) => built.host(host),
        None => built,
    })
}
