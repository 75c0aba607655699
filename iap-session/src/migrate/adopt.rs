//! Taking a session over when its client comes with the old cookie.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::COOKIE;
use iap_core::{Clock, SystemClock};
use metrics::counter;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::carrier::cookie::is_cookie_name;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::{Foreign, SessionKey};
use crate::record::{Loaded, Record};
use crate::store::SessionStore;

use super::negative::Negative;
use super::{Outcome, Source, Takeover};

/// How many old cookies of one request are tried, and how long they may be.
const MAX_COOKIES: usize = 2;
const MAX_COOKIE: usize = 1024;

/// How sessions are adopted.
#[derive(Debug, Clone)]
pub struct AdoptionConfig {
    /// The name of the old cookie.
    pub cookie: String,
    /// The rules of a takeover.
    pub takeover: Takeover,
    /// How long the old store may take, waiting for its turn included. Default one second.
    pub timeout: Duration,
    /// How many questions to the old store may be on their way at once. Default 64.
    pub max_lookups: usize,
    /// How long an old cookie that led nowhere is not asked about again. Default ten seconds.
    pub unknown_for: Duration,
    /// How many of those are remembered. Default 100,000.
    pub max_unknown: usize,
}

impl AdoptionConfig {
    /// The defaults, with the name of the old cookie.
    pub fn new(cookie: impl Into<String>) -> Self {
        Self {
            cookie: cookie.into(),
            takeover: Takeover::default(),
            timeout: Duration::from_secs(1),
            max_lookups: 64,
            unknown_for: Duration::from_secs(10),
            max_unknown: 100_000,
        }
    }
}

/// Takes sessions of another system over at first sight; for
/// [`SessionLayer::with_adoption`](crate::SessionLayer::with_adoption).
///
/// A request that has no session by our own cookie, but an old one, is given the session that the old cookie leads to:
/// the one that was taken over before, or the one that the other system has. In the response it gets a cookie of ours; the
/// old one is left alone. The old cookie leads to the session until the client has shown the new one, and for the grace of
/// a rotation after that: an answer that is lost on its way logs nobody out.
///
/// It happens when the session is first used, once a request. While the old store is away, that is an outage of the
/// session store, by the route's policy. An old cookie that leads nowhere is remembered for a while, and questions to the
/// old store are bounded in number and time.
pub struct Adoption {
    source: Arc<dyn Source>,
    config: AdoptionConfig,
    lookups: Semaphore,
    unknown: Negative,
}

/// The old cookies of one request.
pub(crate) struct Presented {
    adoption: Arc<Adoption>,
    cookies: Vec<String>,
}

/// A session that was found by its old cookie.
pub(crate) struct Adopted {
    pub(crate) record: Arc<Record>,
    pub(crate) now_ms: u64,
    pub(crate) foreign: Foreign,
}

impl Adoption {
    /// Adopts sessions of `source`.
    ///
    /// # Errors
    ///
    /// `Invalid` for a name that is no cookie's, or settings that would let nobody in.
    pub fn new(source: Arc<dyn Source>, config: AdoptionConfig) -> Result<Self, StoreError> {
        let invalid = |text: &'static str| Err(StoreError::new(StoreErrorKind::Invalid, text));
        if !is_cookie_name(&config.cookie) {
            return invalid("the old cookie's name is not a token");
        }
        if config.timeout.is_zero() || config.max_lookups == 0 {
            return invalid("to adopt a session takes some time, and a question to the old store");
        }
        let lookups = Semaphore::new(config.max_lookups.min(Semaphore::MAX_PERMITS));
        let unknown = Negative::new(config.max_unknown, config.unknown_for);
        crate::metrics::describe_metrics();
        Ok(Self { source, config, lookups, unknown })
    }

    /// What a request has brought. Nothing is checked yet: most requests have a session of ours.
    pub(crate) fn presented(self: &Arc<Self>, headers: &HeaderMap) -> Presented {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
        let ours = pairs.filter(|(name, _)| name.trim() == self.config.cookie);
        let values = ours.map(|(_, value)| value.trim().trim_matches('"'));
        let fitting = values.filter(|value| (1..=MAX_COOKIE).contains(&value.len()));
        let cookies = fitting.take(MAX_COOKIES).map(str::to_owned).collect();
        Presented { adoption: self.clone(), cookies }
    }

    async fn find(&self, store: &dyn SessionStore, cookie: &str) -> Result<Option<Adopted>, StoreError> {
        let Some(id) = self.source.id(cookie) else { return Ok(None) };
        let foreign = store.ids().foreign(self.source.system(), &id);
        let key = foreign.key();
        if self.unknown.contains(&key) {
            return Ok(None);
        }
        if let Some(found) = load(store, &foreign).await? {
            return Ok(found.admitted());
        }
        let lookup = timeout(self.config.timeout, self.take(store, key, cookie)).await;
        let taken = match lookup {
            Ok(taken) => taken.inspect_err(|_| count("error"))?,
            Err(_) => {
                count("error");
                let text = "the store of the old sessions did not answer in time";
                return Err(StoreError::new(StoreErrorKind::Unavailable, text));
            }
        };
        if taken && let Some(found) = load(store, &foreign).await? {
            return Ok(found.admitted());
        }
        self.unknown.insert(key);
        Ok(None)
    }

    /// Asks the old store and takes over what it has. `false` if there is nothing to look for.
    async fn take(
        &self,
        store: &dyn SessionStore,
        key: SessionKey,
        cookie: &str,
    ) -> Result<bool, StoreError> {
        let Ok(_turn) = self.lookups.acquire().await else { return Ok(false) };
        let Some(candidate) = self.source.find(cookie).await? else {
            count("unknown");
            return Ok(false);
        };
        let system = self.source.system();
        let outcome = self.config.takeover.take(store, system, &candidate, SystemClock.now_ms()).await?;
        count(outcome.as_str());
        match outcome {
            Outcome::Taken | Outcome::Before => Ok(true),
            Outcome::Expired => Ok(false),
            Outcome::TooLarge | Outcome::Refused | Outcome::Invalid | Outcome::Unreadable => {
                let (outcome, session) = (outcome.as_str(), key.short());
                tracing::warn!(system, outcome, session, "an old session could not be taken over");
                Ok(false)
            }
        }
    }
}

impl Presented {
    /// Whether there is anything to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// The session of the old cookies. An error of one of them is the answer unless another leads to a session.
    pub(crate) async fn adopt(&self, store: &dyn SessionStore) -> Result<Option<Adopted>, StoreError> {
        let mut failed = None;
        for cookie in &self.cookies {
            match self.adoption.find(store, cookie).await {
                Ok(Some(adopted)) => return Ok(Some(adopted)),
                Ok(None) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(None), Err)
    }
}

impl Adopted {
    /// Whether it still has the id that the old one was exchanged for.
    pub(crate) fn has_first_id(&self) -> bool {
        self.record.key == self.foreign.key()
    }

    /// Nothing, once the client has its new id.
    fn admitted(self) -> Option<Self> {
        let spent =
            self.has_first_id() && self.record.taken.is_some_and(|taken| !taken.admits_foreign(self.now_ms));
        (!spent).then_some(self)
    }
}

async fn load(store: &dyn SessionStore, foreign: &Foreign) -> Result<Option<Adopted>, StoreError> {
    match store.load(foreign.key(), None).await? {
        Some(Loaded::Found { record, now_ms }) => {
            Ok(Some(Adopted { record, now_ms, foreign: foreign.clone() }))
        }
        _ => Ok(None),
    }
}

fn count(result: &'static str) {
    counter!("iap_session_adoptions_total", "result" => result).increment(1);
}
