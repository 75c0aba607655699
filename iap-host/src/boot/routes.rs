//! Routes and their targets, from their settings.

use iap_core::{Route, RouteTable, Target};
use iap_session::{Mode, SessionPolicy};

use super::upstreams::Upstreams;
use super::{BootError, failed};
use crate::config::{Builtin, RouteConfig, SessionMode};
use crate::demo::shop;

pub(super) async fn build_routes(
    configs: &[RouteConfig],
    upstreams: &Upstreams,
    // Several routes may lead to the one shop.
    shop: &mut Option<Target>,
) -> Result<RouteTable, BootError> {
    let mut routes = Vec::with_capacity(configs.len());
    for config in configs {
        let target = build_target(config, upstreams, shop).await?;
        let sessions = config.session.unwrap_or(match target {
            Target::Service(_) | Target::Upstream(_) => SessionMode::On,
            _ => SessionMode::Off,
        });
        let policy = SessionPolicy {
            mode: if sessions == SessionMode::On { Mode::On } else { Mode::Off },
            forward: matches!(target, Target::Upstream(_)),
            ..SessionPolicy::default()
        };
        let route = Route::new(config.name.as_str(), config.path.as_str(), target).with_policy(policy);
        routes.push(match &config.host {
            Some(host) => route.host(host),
            None => route,
        });
    }
    RouteTable::new(routes).map_err(failed("routes"))
}

async fn build_target(
    config: &RouteConfig,
    upstreams: &Upstreams,
    shop: &mut Option<Target>,
) -> Result<Target, BootError> {
    if let Some(upstream) = &config.upstream {
        return Ok(Target::Upstream(upstreams.of_route(&config.name, upstream)?));
    }
    if let Some(Builtin::DemoShop) = config.service {
        if shop.is_none() {
            *shop = Some(shop::open().await.map_err(failed("routes: the demo shop"))?);
        }
        return shop.clone().ok_or("it was just opened").map_err(failed("routes: the demo shop"));
    }
    if let Some(root) = &config.files {
        if !root.is_dir() {
            return Err(failed("routes")(format!(
                "route `{}`: {} is not a directory",
                config.name,
                root.display()
            )));
        }
        return Ok(Target::files(root));
    }
    let respond = config.respond.clone().ok_or("a route leads nowhere").map_err(failed("routes"))?;
    let status = http::StatusCode::from_u16(respond.status).map_err(failed("routes"))?;
    Ok(Target::respond(status, respond.body))
}
