//! Which path leads where, and what one needs for it.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, post, put};

use super::{
    AdminState, access, actions, active, alerts, ask, audience, config, console, drill, events, followed,
    guard, health, incidents, logs, mcp, metrics, oidc, preview, processes, reload, report, runtime,
    sessions, status, telemetry, timeline, upstreams,
};
use crate::access::{CALLBACK, Right};

/// All of the admin side. What a request meets, in order: [`guard`] (other web pages stay out), [`access`] (who asks; what
/// they may not know is taken out of answers), then the right that each part of the API asks for, then its handler.
pub(crate) fn router(state: AdminState) -> Router {
    let needs = |right| from_fn_with_state((state.clone(), right), access::needs);
    Router::new()
        .merge(views().route_layer(needs(Right::View)))
        .merge(details().route_layer(needs(Right::Detail)))
        .merge(people().route_layer(needs(Right::Person)))
        .merge(operations().route_layer(needs(Right::Operate)))
        .merge(administration().route_layer(needs(Right::Administer)))
        .merge(open())
        .fallback(console::serve)
        .layer(from_fn_with_state(state.clone(), access::identify))
        .layer(from_fn_with_state(state.clone(), guard::guard))
        .route("/mcp", any(mcp::serve))
        .with_state(state)
}

/// For everybody: whether it lives, who one is, and how to sign in.
fn open() -> Router<AdminState> {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/api/access", get(access::who))
        .route("/api/access/sign-in", post(access::sign_in))
        .route("/api/access/sign-out", post(access::sign_out))
        .route("/api/access/oidc", post(oidc::begin))
        .route(CALLBACK, get(oidc::finish))
        .route("/sign-in/{failure}", get(oidc::failed))
}

/// [`Right::View`]
fn views() -> Router<AdminState> {
    Router::new()
        .route("/metrics", get(telemetry::metrics))
        .route("/api/status", get(status))
        .route("/api/live", get(telemetry::live))
        .route("/api/timeline", get(timeline::timeline))
        .route("/api/runtime", get(runtime::runtime))
        .route("/api/routes", get(telemetry::routes))
        .route("/api/series", get(telemetry::series))
        .route("/api/map", get(drill::map))
        .route("/api/metrics/names", get(metrics::names))
        .route("/api/metrics/query", get(metrics::query))
        .route("/api/audience", get(audience::audience))
        .route("/api/processes", get(processes::list))
        .route("/api/alerts", get(alerts::list))
        .route("/api/alerts/events", get(alerts::events))
        .route("/api/incidents", get(incidents::list))
        .route("/api/incidents/{id}", get(incidents::one))
        .route("/api/upstreams", get(upstreams::list))
        .route("/api/actions", get(actions::list))
        .route("/api/actions/limits", get(actions::limits))
        .route("/api/config", get(config::running))
        .route("/api/config/revisions", get(config::list))
        .route("/api/config/revisions/{number}", get(config::one))
        .route("/api/config/diff", get(config::diff))
        .route("/api/config/schema", get(config::schema))
        .route("/api/access/sign-ins", get(access::sign_ins))
        .route("/api/access/sign-ins/{id}", delete(access::end))
}

/// [`Right::Detail`]
fn details() -> Router<AdminState> {
    Router::new()
        .route("/api/requests/active", get(active::active))
        .route("/api/requests/interrupted", get(active::interrupted))
        .route("/api/followed", get(followed::list))
        .route("/api/transactions", get(telemetry::transactions))
        .route("/api/transactions/{trace_id}", get(telemetry::transaction))
        .route("/api/points", get(drill::points))
        .route("/api/statements", get(drill::statements))
        .route("/api/statements/{fingerprint}", get(drill::statement))
        .route("/api/errors", get(drill::errors))
        .route("/api/logs", get(logs::logs))
        .route("/api/logs/patterns", get(logs::patterns))
        .route("/api/config/preview", get(preview::preview))
        .route("/api/config/validate", post(config::validate))
        .route("/api/ask", get(ask::ask).post(ask::posted))
        .route("/api/reports", get(report::kept))
        .route("/api/reports/kept/{file}", get(report::one))
        .route("/api/reports/{kind}", get(report::report))
}

/// [`Right::Person`]
fn people() -> Router<AdminState> {
    Router::new()
        .route("/api/sessions", get(sessions::list))
        .route("/api/sessions/events", get(events::events))
        .route("/api/sessions/{key}", get(sessions::one))
}

/// [`Right::Operate`]
fn operations() -> Router<AdminState> {
    Router::new()
        .route("/api/jvms/{pid}/threads", post(runtime::threads))
        .route("/api/jvms/{pid}/histogram", post(runtime::histogram))
        .route("/api/sessions/revoke", post(sessions::revoke))
        .route("/api/sessions/{key}", delete(sessions::end))
        .route("/api/processes/{name}/restart", post(processes::restart))
        .route("/api/alerts/silences", post(alerts::silence))
        .route("/api/alerts/silences/{id}", delete(alerts::unsilence))
        .route("/api/alerts/channels/{name}/test", post(alerts::test))
        .route("/api/incidents/{id}/ack", post(incidents::acknowledge))
        .route("/api/changes", post(incidents::changed))
        .route("/api/followed", post(followed::follow).delete(followed::unfollow))
        .route("/api/actions", post(actions::propose))
        .route("/api/actions/{id}/approve", post(actions::approve))
        .route("/api/actions/{id}/reject", post(actions::reject))
        .route(
            "/api/upstreams/{name}/servers/{server}/drain",
            post(upstreams::drain).delete(upstreams::undrain),
        )
        .route(
            "/api/upstreams/{name}/servers/{server}/weight",
            put(upstreams::weigh).delete(upstreams::unweigh),
        )
}

/// [`Right::Administer`]
fn administration() -> Router<AdminState> {
    Router::new()
        .route("/api/config", post(config::apply))
        .route("/api/config/rollback", post(config::rollback))
        .route("/api/config/reload", post(reload::reload))
        .route("/api/audit", get(access::audit))
}
