//! Routes and their targets, from their settings.

use std::sync::Arc;

use iap_core::files::Files;
use iap_core::rules::Rules;
use iap_core::{Route, RouteTable, Target};

use super::auth::{self, Material, build_auth};
use super::processes::Processes;
use super::session_policy::session_policy;
use super::upstreams::Upstreams;
use super::{BootError, failed};
use crate::config::{Builtin, Config, Environment, RouteConfig, TextOr};
use crate::demo::shop;

/// Builds all routes, in the place of those `before`; says from which [`Material`], so that a reload can
/// tell whether that is another now.
pub(super) async fn build_routes(
    config: &Config,
    before: &RouteTable,
    environment: &Environment,
    upstreams: &Upstreams,
    processes: &Processes,
    // Several routes may lead to the one shop.
    shop: &mut Option<Target>,
) -> Result<(RouteTable, Material), BootError> {
    // First, so that a file that changes meanwhile is seen as changed.
    let material = auth::material(config);
    let sessions = &config.sessions;
    let mut routes = Vec::with_capacity(config.routes.len());
    for config in &config.routes {
        let target = build_target(config, upstreams, processes, shop).await?;
        let policy = session_policy(&config.session(), sessions, target.is_proxied());
        let blame = |error: String| failed("routes")(format!("route `{}`: {error}", config.name));
        let mut route = Route::new(config.name.as_str(), config.path.as_str(), target).with_policy(policy);
        if config.exact {
            route = route.exact();
        }
        route = route.when(config.when.conditions().map_err(blame)?);
        if let Some(rules) = build_rules(config, environment).map_err(blame)? {
            route = route.with_rules(rules);
        }
        routes.push(match &config.host {
            Some(host) => route.host(host),
            None => route,
        });
    }
    Ok((RouteTable::replacing(before, routes).map_err(failed("routes"))?, material))
}

/// The rules of a route, with the secrets that they need.
fn build_rules(config: &RouteConfig, environment: &Environment) -> Result<Option<Rules>, String> {
    let Some(mut rules) = config.rules()? else { return Ok(None) };
    rules.auth = config.auth.as_ref().map(|auth| build_auth(&config.name, auth, environment)).transpose()?;
    Ok(Some(rules))
}

async fn build_target(
    config: &RouteConfig,
    upstreams: &Upstreams,
    processes: &Processes,
    shop: &mut Option<Target>,
) -> Result<Target, BootError> {
    if let Some(upstream) = &config.upstream {
        return Ok(Target::Upstream(upstreams.of_route(&config.name, upstream)?));
    }
    if config.process.is_some() {
        return Ok(Target::Upstream(processes.of_route(&config.name)?));
    }
    if let Some(split) = &config.split {
        let upstream = |name: &str| {
            let found = upstreams.of_route(&config.name, &TextOr::Text(name.to_owned()));
            found.map_err(|error| error.to_string())
        };
        let blame = |error: String| failed("routes")(format!("route `{}`: {error}", config.name));
        return Ok(Target::Split(Arc::new(split.build(&config.name, upstream).map_err(blame)?)));
    }
    if let Some(Builtin::DemoShop) = config.service {
        if shop.is_none() {
            *shop = Some(shop::open().await.map_err(failed("routes: the demo shop"))?);
        }
        return shop.clone().ok_or("it was just opened").map_err(failed("routes: the demo shop"));
    }
    if let Some(files) = &config.files {
        let root = files.root();
        if !root.is_dir() {
            return Err(failed("routes")(format!(
                "route `{}`: {} is not a directory",
                config.name,
                root.display()
            )));
        }
        let files = Files::with_settings(root, files.settings()).map_err(failed("routes"))?;
        return Ok(Target::Files(Arc::new(files)));
    }
    if config.redirect.is_some() {
        // Its rule answers before the target is asked.
        return Ok(Target::respond(http::StatusCode::NOT_FOUND, ""));
    }
    let respond = config.respond.clone().ok_or("a route leads nowhere").map_err(failed("routes"))?;
    let status = http::StatusCode::from_u16(respond.status).map_err(failed("routes"))?;
    Ok(Target::respond(status, respond.body))
}
