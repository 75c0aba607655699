//! The admin side: JSON API, metrics, health and console, on a listener of its own.
//!
//! `docs/admin-api.md` is its contract, [`routes`] its table of contents. It is protected by where it listens (loopback by
//! default), by [`guard`], which keeps web pages of other origins out, and where `admin.access` has accounts by [`access`].

mod access;
mod actions;
mod active;
mod alerts;
mod ask;
mod audience;
pub(crate) mod certificates;
mod config;
mod console;
mod drill;
mod error;
mod estate;
mod events;
mod followed;
mod guard;
mod health;
mod incidents;
mod instances;
mod logs;
mod mcp;
mod metrics;
mod oidc;
mod openapi;
mod params;
mod preview;
mod processes;
mod redact;
mod reload;
mod report;
mod routes;
mod runtime;
mod sessions;
mod store;
mod tags;
mod telemetry;
mod timeline;
mod upstreams;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::extract::State;
use axum::response::Json;
use iap_apm::Apm;
use iap_core::Process;
use iap_ops::notify::Message;
use iap_ops::{Assistant, Help, Live};
use iap_session::Sessions;
use iap_session::audience::AudienceView;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use iap_core::Upstream;

use crate::access::Access;
use crate::actions::{Actions, Means};
use crate::alerts::{Desk, RunningDesk};
use crate::boot::Addresses;
use crate::boot::Exports;
use crate::config::{Config, RuntimeConfig};
use crate::detection::Detection;
use crate::mcp::McpServer;
use crate::revisions::Revisions;

pub(crate) use estate::Journal;
pub(crate) use health::Readiness;
pub(crate) use reload::{BUSY, ConfigRequest, ReloadResult, Reloads, STOPPING};
pub(crate) use routes::router;

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AdminState(Arc<Inner>);

struct Inner {
    apm: Option<Apm>,
    sessions: Option<Sessions>,
    audience: Option<AudienceView>,
    assistant: ArcSwapOption<Assistant>,
    readiness: Readiness,
    hosts: ArcSwap<Vec<String>>,
    facts: ArcSwapOption<Facts>,
    reloads: Reloads,
    processes: Arc<ArcSwap<Vec<Arc<Process>>>>,
    upstreams: Arc<ArcSwap<Vec<Arc<Upstream>>>>,
    /// Places for those who listen to events.
    streams: Arc<Semaphore>,
    /// Places for those who watch how an answer comes about.
    asking: Arc<Semaphore>,
    certificates: ArcSwapOption<certificates::Shown>,
    exports: ArcSwapOption<Exports>,
    desk: ArcSwapOption<Desk>,
    /// Event loops that are sampled, by name.
    runtimes: ArcSwap<Vec<(String, Handle)>>,
    /// What may be looked at of the runtime.
    runtime: RuntimeConfig,
    /// The turn of those who ask a JVM.
    questions: Semaphore,
    telemetry: Option<Arc<Live>>,
    detection: Arc<ArcSwapOption<Detection>>,
    mcp: ArcSwapOption<McpServer>,
    access: Arc<ArcSwapOption<Access>>,
    actions: ArcSwapOption<Actions>,
    revisions: Arc<ArcSwapOption<Revisions>>,
    /// The last list of instances, and when they were asked for it; held while they are.
    instances: tokio::sync::Mutex<Option<(Instant, instances::Listed)>>,
}

/// What changes with the configuration alone.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "HostFacts")]
pub(crate) struct Facts {
    version: &'static str,
    pid: u32,
    started_ms: u64,
    addresses: Addresses,
    sessions: Option<Value>,
    apm: Option<Value>,
    routes: Vec<Value>,
    /// Within this time a request satisfies.
    #[serde(skip)]
    apdex: Duration,
    /// Where reports are kept.
    #[serde(skip)]
    reports: PathBuf,
}

impl Facts {
    pub(crate) fn new(config: &Config, addresses: Addresses) -> Self {
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let sessions = config.sessions.enabled.then(|| json!({ "store": config.sessions.store }));
        let clickhouse = config.apm.clickhouse.as_ref().map(|clickhouse| &clickhouse.url);
        let apm = json!({ "history": config.apm.history, "clickhouse": clickhouse });
        let apm = config.apm.enabled.then_some(apm);
        let routes = config.routes.iter().map(|route| {
            let target = match route {
                route if route.upstream.is_some() => "upstream",
                route if route.process.is_some() => "process",
                route if route.files.is_some() => "files",
                route if route.service.is_some() => "service",
                _ => "respond",
            };
            json!({ "name": route.name, "host": route.host, "path": route.path, "target": target })
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started_ms: started.as_millis() as u64,
            addresses,
            sessions,
            apm,
            routes: routes.collect(),
            apdex: config.apm.apdex.0,
            reports: config.reports.directory.clone(),
        }
    }
}

impl AdminState {
    pub(crate) fn new(
        apm: Option<Apm>,
        sessions: Option<Sessions>,
        audience: Option<AudienceView>,
        readiness: Readiness,
        config: &Config,
        reloads: Reloads,
    ) -> Self {
        let runtime = config.apm.runtime.clone();
        let (processes, upstreams) = (Arc::<ArcSwap<_>>::default(), Arc::<ArcSwap<_>>::default());
        let detection = Arc::<ArcSwapOption<Detection>>::default();
        let known = estate::Known {
            detection: detection.clone(),
            audience: audience.clone(),
            processes: processes.clone(),
            upstreams: upstreams.clone(),
            reloads: reloads.clone(),
        };
        let telemetry = apm.as_ref().map(|apm| {
            let telemetry = Live::new(apm.history().clone()).with_estate(Arc::new(known));
            Arc::new(match sessions.clone() {
                Some(sessions) => telemetry.with_sessions(Arc::new(ask::StoreSource(sessions))),
                None => telemetry,
            })
        });
        let assistant = telemetry.clone().map(|telemetry| Arc::new(Assistant::new(telemetry)));
        let hosts = ArcSwap::from_pointee(config.admin.hosts.clone());
        Self(Arc::new(Inner {
            apm,
            sessions,
            audience,
            assistant: ArcSwapOption::new(assistant),
            readiness,
            hosts,
            facts: ArcSwapOption::empty(),
            reloads,
            processes,
            upstreams,
            streams: Arc::new(Semaphore::new(events::MAX_STREAMS)),
            asking: Arc::new(Semaphore::new(ask::MAX_STREAMS)),
            certificates: ArcSwapOption::empty(),
            exports: ArcSwapOption::empty(),
            desk: ArcSwapOption::empty(),
            runtimes: ArcSwap::default(),
            runtime,
            questions: Semaphore::new(1),
            telemetry,
            detection,
            mcp: ArcSwapOption::empty(),
            access: Arc::default(),
            actions: ArcSwapOption::empty(),
            revisions: Arc::default(),
            instances: tokio::sync::Mutex::default(),
        }))
    }

    /// Makes the facts visible, once they are known and whenever they have changed.
    pub(crate) fn publish(&self, facts: Facts) {
        self.0.facts.store(Some(Arc::new(facts)));
    }

    /// Changes the processes that are shown.
    pub(crate) fn set_processes(&self, processes: Vec<Arc<Process>>) {
        self.0.processes.store(Arc::new(processes));
    }

    /// Changes which upstreams there are.
    pub(crate) fn set_upstreams(&self, upstreams: Vec<Arc<Upstream>>) {
        self.0.upstreams.store(Arc::new(upstreams));
    }

    /// Makes the certificates of the gateway visible.
    pub(crate) fn set_certificates(&self, shown: Option<certificates::Shown>) {
        self.0.certificates.store(shown.map(Arc::new));
    }

    /// Makes what is exported visible.
    pub(crate) fn set_exports(&self, exports: Option<Arc<Exports>>) {
        self.0.exports.store(exports);
    }

    /// Makes the alerts visible.
    pub(crate) fn set_desk(&self, desk: Option<&RunningDesk>) {
        self.0.desk.store(desk.map(|running| running.desk.clone()));
    }

    /// What detection reads; `None` without the APM.
    pub(crate) fn telemetry(&self) -> Option<Arc<Live>> {
        self.0.telemetry.clone()
    }

    /// Who makes reports; `None` without the APM.
    pub(crate) fn assistant(&self) -> Option<Assistant> {
        self.0.assistant.load_full().map(|assistant| Assistant::clone(&assistant))
    }

    /// Changes what the assistant may use besides what it reads.
    pub(crate) fn set_help(&self, help: Help) {
        let helped = self.0.assistant.load().as_ref().map(|assistant| Arc::new(assistant.with_help(help)));
        self.0.assistant.store(helped);
    }

    /// Sends a message by channels of the alerts.
    pub(crate) fn send(&self, channels: &[String], message: Message) {
        if let Some(desk) = self.0.desk.load_full() {
            desk.outbox.send(channels, message);
        }
    }

    /// Changes who may ask over the Model Context Protocol, and what is masked.
    pub(crate) fn set_mcp(&self, server: Option<Arc<McpServer>>) {
        self.0.mcp.store(server);
    }

    /// Changes who may use the admin side; without accounts everybody who reaches it.
    pub(crate) fn set_access(&self, access: Option<Arc<Access>>) {
        self.0.access.store(access);
    }

    /// What guarded actions act on; `None` without the APM.
    pub(crate) fn means(&self) -> Option<Means> {
        Some(Means {
            upstreams: self.0.upstreams.clone(),
            processes: self.0.processes.clone(),
            sessions: self.0.sessions.clone(),
            telemetry: self.0.telemetry.clone()?,
            detection: self.0.detection.clone(),
            access: self.0.access.clone(),
            journal: self.0.reloads.journal().clone(),
            reloads: self.0.reloads.clone(),
            revisions: self.0.revisions.clone(),
        })
    }

    /// Makes guarded actions visible.
    pub(crate) fn set_actions(&self, actions: Option<Actions>) {
        self.0.actions.store(actions.map(Arc::new));
    }

    /// Guarded actions; `None` without the APM.
    pub(crate) fn actions(&self) -> Option<Actions> {
        self.0.actions.load_full().map(|actions| Actions::clone(&actions))
    }

    /// Makes revisions of the configuration visible.
    pub(crate) fn set_revisions(&self, revisions: Revisions) {
        self.0.revisions.store(Some(Arc::new(revisions)));
    }

    /// Makes incidents visible.
    pub(crate) fn set_detection(&self, detection: Option<Detection>) {
        self.0.detection.store(detection.map(Arc::new));
    }

    /// Changes the host names that are served.
    pub(crate) fn set_hosts(&self, hosts: Vec<String>) {
        self.0.hosts.store(Arc::new(hosts));
    }
}

async fn status(State(state): State<AdminState>) -> Json<Value> {
    let facts = state.0.facts.load_full();
    let dropped = state.0.apm.as_ref().map(Apm::dropped);
    let ledger = state.0.apm.as_ref().map(Apm::ledger);
    let export = state.0.exports.load_full().map(|exports| exports.ledgers());
    let assistant = state.assistant();
    let help = assistant.as_ref().map(Assistant::help);
    let llm = help.and_then(|help| help.llm.as_ref()).map(|llm| llm.status());
    let runbooks = help.and_then(|help| help.runbooks.as_ref()).map(|runbooks| runbooks.status());
    Json(json!({ "facts": facts.as_deref(), "dropped": dropped, "ledger": ledger, "export": export,
                 "llm": llm, "runbooks": runbooks,
                 "ready": state.0.readiness.get(), "config": state.0.reloads.state() }))
}
