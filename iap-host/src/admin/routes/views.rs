//! [`Right::View`]: how things are.

use std::collections::BTreeMap;

use iap_apm::history::ServiceMap;
use iap_apm::{Dropped, Ledger, LiveSnapshot, MetricAnswer, MetricInfo, RecentPoints, RuntimeView};
use iap_apm::{SeriesPoint, TimelineEvent, Window};
use iap_ops::actions::Proposal;
use iap_ops::alerts::{AlertEvent, RuleState, Silence};
use iap_ops::llm::LlmStatus;
use iap_ops::notify::ChannelStatus;
use iap_ops::runbooks::RunbooksStatus;
use iap_session::StoreStats;
use serde_json::{Map, Value};

use super::{Right, Table, delete, get, list_of, object, of, parameters};
use crate::access::SignIn;
use crate::actions::Limit;
use crate::admin::{
    Facts, access, actions, alerts, audience, certificates, config, drill, incidents, metrics, openapi,
    processes, reload, runtime, status, store, telemetry, timeline, upstreams,
};
use crate::revisions::{Revision, Setting, SettingChange, Shown};

/// What requests do, in figures.
pub(super) fn requests() -> Table {
    const NO_APM: &str = "The APM is switched off.";
    Table::of(Right::View)
        .add(
            get("/api/live", "The last two minutes, what runs, and what has just ended")
                .about("A call has at most 2,000 points: ask again with `recent.next_seq` until none comes.")
                .query(of::<telemetry::LiveQuery>)
                .answers(object! {
                    "live": LiveSnapshot, "recent": RecentPoints, "sessions": Option<StoreStats>,
                    "users": Option<Vec<audience::Now>>, "dropped": Dropped,
                })
                .fails(404, NO_APM),
            telemetry::live,
        )
        .add(
            get("/api/routes", "Routes with counts, errors, percentiles and Apdex")
                .query(of::<telemetry::WindowQuery>)
                .answers(object! { "window": Window, "routes": Vec<telemetry::RouteRow>, "apdex_us": u64 })
                .fails(404, NO_APM),
            telemetry::routes,
        )
        .add(
            get("/api/series", "Counts, errors and percentiles, step by step")
                .query(of::<telemetry::WindowQuery>)
                .answers(object! { "window": Window, "step_us": u64, "points": Vec<SeriesPoint> })
                .fails(404, NO_APM),
            telemetry::series,
        )
        .add(
            get("/api/map", "Who calls whom")
                .query(of::<drill::MapParams>)
                .answers(of::<ServiceMap>)
                .fails(404, NO_APM),
            drill::map,
        )
        .add(
            get("/api/timeline", "Events that overlap a time, oldest first")
                .query(of::<timeline::TimelineQuery>)
                .answers(object! { "window": Window, "events": Vec<TimelineEvent> })
                .fails(404, NO_APM),
            timeline::timeline,
        )
        .add(
            get("/api/metrics/names", "Which metrics of applications there are")
                .query(metrics::NAMES)
                .answers(object! { "window": Window, "metrics": Vec<MetricInfo> })
                .fails(404, NO_APM),
            metrics::names,
        )
        .add(
            get("/api/metrics/query", "One metric of applications, step by step")
                .query(metrics::QUERY)
                .answers(of::<MetricAnswer>)
                .fails(404, NO_APM),
            metrics::query,
        )
        .add(
            get("/api/audience", "Different users: now, and step by step")
                .query(of::<audience::AudienceQuery>)
                .answers(object! {
                    "application": Option<String>, "applications": Vec<String>, "scope": String, "now_s": u64,
                    "window_s": u64, "step_s": u64, "kinds": Vec<audience::Counted>,
                })
                .fails(404, "Users are not counted."),
            audience::audience,
        )
}

/// How the platform is.
pub(super) fn platform() -> Table {
    Table::of(Right::View)
        .add(
            get("/api/openapi.json", "This description").answers_as(openapi::FORM, of::<Map<String, Value>>),
            openapi::serve,
        )
        .add(
            get("/metrics", "Metrics for Prometheus; OpenMetrics for those who accept it")
                .in_forms(&["text/plain", "application/openmetrics-text"]),
            telemetry::metrics,
        )
        .add(
            get("/api/status", "What runs, and what could not be kept").answers(object! {
                "facts": Option<Facts>, "dropped": Option<Dropped>, "ledger": Option<Ledger>,
                "export": Option<Map<String, Value>>,
                "llm": Option<LlmStatus>, "runbooks": Option<RunbooksStatus>, "ready": bool,
                "config": reload::ReloadState,
            }),
            status,
        )
        .add(
            get("/api/runtime", "The last sample of the runtime, and the JVMs there are")
                .answers(of::<RuntimeView>)
                .fails(404, "It is not sampled."),
            runtime::runtime,
        )
        .add(
            get(
                "/api/session-store",
                "The store of the sessions: whether it answers, and what is asked of it",
            )
            .answers(of::<store::Shown>)
            .fails(404, "There are no sessions."),
            store::shown,
        )
        .add(
            get("/api/processes", "Managed processes").answers(list_of!("processes", processes::Shown)),
            processes::list,
        )
        .add(
            get("/api/upstreams", "Upstreams and their servers")
                .answers(list_of!("upstreams", upstreams::Row)),
            upstreams::list,
        )
}

/// What was found out of order.
pub(super) fn findings() -> Table {
    Table::of(Right::View)
        .add(
            get("/api/alerts", "Rules with what they have found, silences, and channels")
                .answers(object! {
                    "rules": Vec<RuleState>, "silences": Vec<Silence>, "channels": BTreeMap<String, ChannelStatus>
                })
                .fails(404, "Alerts need the APM."),
            alerts::list,
        )
        .add(
            get("/api/alerts/events", "Alerts that have begun and ended, the latest first")
                .query(parameters! {
                    "limit": usize, "How many: 100, at most 500.";
                    "rule": String, "Of this rule alone.";
                })
                .answers(list_of!("events", AlertEvent))
                .fails(404, "Alerts need the APM."),
            alerts::events,
        )
        .add(
            get("/api/incidents", "What was found out of order, the latest first")
                .about("Without a time, all that are kept.")
                .query(of::<incidents::ListQuery>)
                .answers(object! {
                    "incidents": Vec<incidents::Told>, "more": usize, "next": Option<u64>, "watched": crate::detection::Watched,
                })
                .fails(404, "Nothing is watched."),
            incidents::list,
        )
        .add(
            get("/api/incidents/{id}", "One incident, with its story")
                .place::<u64>("id", "Its number.")
                .query(of::<incidents::OneQuery>)
                .answers(of::<incidents::Told>)
                .fails(404, "There is no such incident."),
            incidents::one,
        )
        .add(
            get("/api/actions", "What was proposed about problems, the latest first")
                .query(of::<actions::ListQuery>)
                .answers(list_of!("actions", Proposal))
                .fails(404, "The APM is switched off."),
            actions::list,
        )
        .add(
            get("/api/actions/limits", "The limits that an action can change")
                .answers(list_of!("limits", Limit))
                .fails(404, "The APM is switched off."),
            actions::limits,
        )
}

/// What runs, and who is signed in.
pub(super) fn configuration() -> Table {
    const NO_REVISION: &str = "There is no such revision (any more).";
    Table::of(Right::View)
        .add(
            get("/api/certificates", "The certificates that clients are shown, and when they end")
                .answers(object! { "tls": bool, "certificates": Vec<certificates::Certificate> }),
            certificates::list,
        )
        .add(
            get("/api/config", "The configuration that runs, without secrets")
                .answers(object! {
                    "revision": Option<Revision>, "hash": String, "etag": String, "text": String, "file": String, "instance": Option<String>,
                    "drift": Option<config::Drifted>, "trial": Option<Shown>, "kept": bool,
                    "state": reload::ReloadState, "settings": Vec<Setting>, "left_out": usize,
                })
                .with_etag(),
            config::running,
        )
        .add(
            get("/api/config/revisions", "What has run, the latest first")
                .query(of::<config::ListQuery>)
                .answers(object! { "revisions": Vec<Revision>, "next": Option<u64>, "running": u64 }),
            config::list,
        )
        .add(
            get("/api/config/revisions/{number}", "One revision, with its text")
                .place::<u64>("number", "Its number.")
                .answers(object! { "revision": Revision, "text": String })
                .fails(404, NO_REVISION),
            config::one,
        )
        .add(
            get("/api/config/diff", "What differs between two revisions")
                .query(of::<config::DiffQuery>)
                .answers(object! {
                    "from": u64, "to": u64, "diff": String, "changes": Option<Vec<SettingChange>>
                })
                .fails(404, NO_REVISION),
            config::diff,
        )
        .add(
            get("/api/config/schema", "What settings there are: a JSON schema")
                .answers(of::<Map<String, Value>>),
            config::schema,
        )
        .add(
            get("/api/access/sign-ins", "Where one is signed in; for admins, where everybody is")
                .answers(object! { "sign_ins": Vec<SignIn>, "own": Option<String> })
                .fails(404, "There are no accounts."),
            access::sign_ins,
        )
        .add(
            delete("/api/access/sign-ins/{id}", "Ends a sign-in: one's own, or for admins anybody's")
                .place::<String>("id", "Which.")
                .says_nothing()
                .fails(404, "There is no such sign-in."),
            access::end,
        )
}
