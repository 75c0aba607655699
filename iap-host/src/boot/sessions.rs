//! The session store, its layer and its API, from their settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iap_core::pipeline::Limits;
use iap_core::server::{RunningServer, Sockets};
use iap_core::{Clock, SystemClock};
use iap_session::audience::{
    Audience, AudienceConfig as AudienceSettings, AudienceLayer, AudienceStore, AudienceView,
};
use iap_session::events::{self, Emitter, EventLog, Events, EventsConfig, Queue};
use iap_session::{
    Breaker, BreakerConfig as Settings, Credentials, MemoryConfig, MemoryStore, NearCache, ProvenanceConfig,
    RedisStore, Revocations, SessionApi, SessionConfig, SessionIds, SessionLayer, SessionStore, Sessions,
    TokenRegistry,
};
use tokio::runtime::Handle;

use super::secret::read_secret;
use super::session_policy::session_config;
use super::{BootError, failed, serve_inner};
use crate::config::{Environment, RedisConfig, SecretRef, SessionsConfig, StoreKind};
use crate::demo::{faults, late_store::LateStore};

/// How many requests may hold a session token at once.
const MAX_TOKENS: usize = 100_000;

/// The sessions of a platform.
pub(super) struct SessionParts {
    pub(super) facade: Sessions,
    pub(super) api: RunningServer,
    pub(super) core: SessionCore,
}

/// What stands around the targets.
pub(super) struct SessionLayers {
    pub(super) session: SessionLayer,
    pub(super) audience: Option<AudienceLayer>,
}

/// What stays when the settings of sessions change: their store, the tokens of running requests, and who was
/// there.
#[derive(Clone)]
pub(super) struct SessionCore {
    pub(super) snapshot: Option<Snapshot>,
    pub(super) audience: Option<AudienceView>,
    /// What all gateways share, if they share anything.
    pub(super) redis: Option<Arc<RedisStore>>,
    store: Arc<dyn SessionStore>,
    emitter: Option<Emitter>,
    registry: Arc<TokenRegistry>,
    url: String,
}

/// Where the sessions of a memory store are while no process runs.
#[derive(Clone)]
pub(super) struct Snapshot {
    store: Arc<MemoryStore>,
    path: PathBuf,
}

impl Snapshot {
    /// Takes up what the process before has left.
    fn restore(store: Arc<MemoryStore>, path: PathBuf) -> Self {
        match store.restore(&path) {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "sessions of the process before go on"),
            Err(error) => tracing::error!(%error, "sessions of the process before are lost"),
        }
        Self { store, path }
    }

    /// Leaves the sessions to the next process.
    pub(super) fn save(&self) {
        match self.store.save(&self.path) {
            Ok(sessions) => tracing::info!(sessions, "sessions are kept for the next process"),
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "sessions could not be kept");
            }
        }
    }
}

impl SessionCore {
    pub(super) fn layers(
        &self,
        config: &SessionsConfig,
        environment: &Environment,
    ) -> Result<SessionLayers, BootError> {
        let adoption = super::adopt::adoption(config, environment)?;
        let settings = SessionConfig {
            provenance: ProvenanceConfig { addresses: config.record_address.0, node: Some(node(config)) },
            events: self.emitter.clone(),
            ..session_config(config, environment)?
        };
        let session = SessionLayer::with_config(self.store.clone(), settings)
            .and_then(|layer| layer.with_forwarding(self.registry.clone(), &self.url))
            .map_err(failed("sessions"))?;
        let session = match adoption {
            Some(adoption) => session.with_adoption(adoption),
            None => session,
        };
        Ok(SessionLayers {
            session,
            audience: self.audience.as_ref().map(|view| AudienceLayer::new(view.audience.clone())),
        })
    }
}

pub(super) async fn start_sessions(
    config: &SessionsConfig,
    environment: &Environment,
    sockets: &mut Sockets,
    runtime: &Handle,
) -> Result<SessionParts, BootError> {
    iap_session::describe_metrics();
    let ids = match &config.secret {
        Some(reference) => {
            let secret = read_secret(reference, environment).map_err(failed("sessions.secret"))?;
            SessionIds::new(secret.as_bytes()).map_err(failed("sessions.secret"))?
        }
        None => SessionIds::ephemeral(),
    };
    let audience = audience(config, &ids);
    let (emitter, queue) = telling(config);
    let (mut shared, mut log, mut snapshot, mut common) = (None, None, None, None);
    let store: Arc<dyn SessionStore> = match (config.store, &config.redis) {
        (StoreKind::Redis, Some(redis)) => {
            let store = Arc::new(connect_redis(redis, ids, environment, emitter.clone()).await?);
            shared = Some(store.clone() as Arc<dyn AudienceStore>);
            log = Some(store.clone() as Arc<dyn EventLog>);
            common = Some(store.clone());
            guarded(redis, store)
        }
        _ => {
            let limits = MemoryConfig {
                max_sessions: config.max_count,
                max_bytes: config.max_memory.0 as usize,
                events: emitter.clone(),
                ..MemoryConfig::default()
            };
            let store = Arc::new(MemoryStore::with_config(ids, limits));
            snapshot = config.snapshot.clone().map(|path| Snapshot::restore(store.clone(), path));
            if emitter.is_some() {
                start_sweeping(&store, runtime);
            }
            store
        }
    };
    let store = match faults::enabled() {
        true => Arc::new(LateStore(store)),
        false => store,
    };
    let audience = audience.map(|audience| start_audience(AudienceView { audience, shared }, runtime));
    let registry = TokenRegistry::new(MAX_TOKENS);
    let events = queue.map(|queue| Events::start(queue, log, runtime));
    let mut service = SessionApi::new(registry.clone());
    if let (Some(events), Some(reference)) = (&events, &config.revocations.token) {
        let token = read_secret(reference, environment).map_err(failed("sessions.revocations.token"))?;
        let revocations = Revocations::new(events.clone(), &token);
        service = service.with_revocations(revocations.map_err(failed("sessions.revocations.token"))?);
    }
    let api = serve_inner(config.api, "session-api", service, Limits::default(), sockets, runtime)
        .map_err(failed("sessions.api"))?;
    let url = format!("http://{}", api.addresses()[0]);
    let mut facade = Sessions::new(store.clone());
    if let Some(events) = events {
        facade = facade.with_events(events);
    }
    let core = SessionCore { snapshot, audience, redis: common, store, registry, url, emitter };
    Ok(SessionParts { facade, api, core })
}

/// Who tells what happens to sessions, and what takes it up.
fn telling(config: &SessionsConfig) -> (Option<Emitter>, Option<Queue>) {
    if !config.events.enabled {
        return (None, None);
    }
    let settings = EventsConfig { keep: config.events.keep, ..EventsConfig::default() };
    let (emitter, queue) = events::channel(settings, Some(node(config)));
    (Some(emitter), Some(queue))
}

/// How often sessions whose time is over are looked for in the memory store.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

fn start_sweeping(store: &Arc<MemoryStore>, runtime: &Handle) {
    let store = Arc::downgrade(store);
    runtime.spawn(async move {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            every.tick().await;
            let Some(store) = store.upgrade() else { return };
            store.sweep();
        }
    });
}

/// How often it is kept who was there, and how often that is united with what other gateways have seen.
const AUDIENCE_EVERY: Duration = Duration::from_secs(2);
const SHARED_EVERY: u64 = 10;

fn audience(config: &SessionsConfig, ids: &SessionIds) -> Option<Arc<Audience>> {
    let by: Vec<_> = config.audience.by.iter().map(|kind| kind.0.clone()).collect();
    let mut settings = AudienceSettings::new(ids.audience_key());
    settings.by = by;
    (!settings.by.is_empty()).then(|| Arc::new(Audience::new(settings)))
}

fn start_audience(view: AudienceView, runtime: &Handle) -> AudienceView {
    if view.shared.is_some() {
        view.audience.begin_sharing();
    }
    let (kept, shared) = (Arc::downgrade(&view.audience), view.shared.clone());
    runtime.spawn(async move {
        let mut every = tokio::time::interval(AUDIENCE_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut last_s = 0;
        loop {
            every.tick().await;
            let Some(audience) = kept.upgrade() else { return };
            let now_s = SystemClock.now_ms() / 1000;
            audience.tick(now_s);
            if let Some(store) = shared.as_ref().filter(|_| now_s >= last_s + SHARED_EVERY) {
                last_s = now_s;
                if let Err(error) = audience.share(&**store, now_s).await {
                    tracing::debug!(%error, "the audience could not be united with that of other gateways");
                }
            }
        }
    });
    view
}

/// The name of this gateway: as configured, else the host's.
pub(super) fn node(config: &SessionsConfig) -> Arc<str> {
    if let Some(name) = &config.node {
        return name.as_str().into();
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "gateway".into() } else { name.chars().take(64).collect::<String>().into() }
}

/// The store, behind a breaker and a cache where they are wanted: the cache is asked first.
fn guarded(config: &RedisConfig, store: Arc<RedisStore>) -> Arc<dyn SessionStore> {
    let mut store: Arc<dyn SessionStore> = store;
    if config.breaker.enabled {
        let breaker = &config.breaker;
        let settings =
            Settings { failures: breaker.failures, after: breaker.after.0, pause: breaker.pause.0 };
        store = Arc::new(Breaker::new(store, settings));
    }
    if config.near_cache.enabled {
        let cache = &config.near_cache;
        let settings = iap_session::NearCacheConfig {
            max_entries: cache.max_count,
            max_bytes: cache.max_memory.0 as usize,
            max_staleness: cache.max_staleness.0,
            ..iap_session::NearCacheConfig::default()
        };
        store = Arc::new(NearCache::new(store, settings));
    }
    store
}

pub(super) async fn connect_redis(
    config: &RedisConfig,
    ids: SessionIds,
    environment: &Environment,
    events: Option<Emitter>,
) -> Result<RedisStore, BootError> {
    let secret = |reference: &Option<SecretRef>, name: &'static str| {
        let read = |reference: &SecretRef| read_secret(reference, environment).map_err(failed(name));
        reference.as_ref().map(read).transpose()
    };
    let sentinel = secret(&config.sentinel_password, "sessions.redis.sentinel_password")?;
    let settings = iap_session::RedisConfig {
        username: config.username.clone(),
        password: secret(&config.password, "sessions.redis.password")?,
        sentinel: sentinel
            .map(|password| Credentials { username: config.sentinel_username.clone(), password }),
        events,
        ..config.store()
    };
    RedisStore::connect(ids, settings).await.map_err(failed("sessions.redis"))
}
