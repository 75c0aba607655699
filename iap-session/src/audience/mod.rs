//! How many users there are at once: different ones, not requests, by address, by a cookie, by session or by
//! login; for each application and for all.
//!
//! ```
//! use std::sync::Arc;
//! use iap_session::audience::{Audience, AudienceConfig, By};
//!
//! let mut config = AudienceConfig::new([7; 32]);
//! config.by = vec![By::Cookie("JSESSIONID".into())];
//! let audience = Arc::new(Audience::new(config));
//! for visitor in ["anna", "berta", "anna"] {
//!     audience.see("shop", 0, visitor.as_bytes());
//! }
//! audience.tick(1_000_000);
//! let last_minute = audience.window(1_000_000, 60);
//! assert_eq!(audience.count(&By::Cookie("JSESSIONID".into()), None, last_minute), 2);
//! ```
//!
//! Users are counted in sketches ([`Sketch`]) and kept as such: who they were cannot be read from them. Before,
//! a keyed hash is made of what identifies them. What is rolled up to minutes, five minutes and hours is the
//! union, so a user who comes twice counts once in any window.
//!
//! | file | holds |
//! |---|---|
//! | `sketch`, `redis_format` | HyperLogLog as Redis has it |
//! | `live` | what requests are counted in |
//! | `history` | what is left of each two seconds, minute, five minutes and hour |
//! | `shared` | what several gateways have seen, united in a store |
//! | `layer` | the tower layer that sees the requests |

mod history;
mod layer;
mod live;
mod redis_format;
mod shared;
mod sketch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use self::history::{History, LEVELS};
use self::live::LiveSketch;

pub use self::layer::{AudienceFuture, AudienceLayer, AudienceService};
#[cfg(feature = "redis")]
pub(crate) use self::shared::shared_levels;
pub use self::shared::{AudienceStore, AudienceView, Seen};
pub use self::sketch::Sketch;

/// What tells users apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum By {
    /// The client's address, behind trusted proxies the one they name.
    Address,
    /// The value of a cookie, such as `KHANUSER`; that of `JSESSIONID` without the name of a node at its end
    /// (`.node1`).
    Cookie(Box<str>),
    /// Our own session's cookie.
    Session,
    /// Who has logged in, to the session or by the route's rules.
    User,
}

/// As in the configuration and the admin API: `address`, `session`, `user`, `cookie:NAME`.
impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("address"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Session => f.write_str("session"),
            Self::User => f.write_str("user"),
        }
    }
}

impl std::str::FromStr for By {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "address" => Ok(Self::Address),
            "session" => Ok(Self::Session),
            "user" => Ok(Self::User),
            _ => match text.strip_prefix("cookie:") {
                Some(name) if crate::carrier::cookie::is_cookie_name(name) => Ok(Self::Cookie(name.into())),
                _ => Err("users are told apart by `address`, `session`, `user` or `cookie:NAME`"),
            },
        }
    }
}

/// What is counted, and how much is kept.
#[derive(Clone)]
#[non_exhaustive]
pub struct AudienceConfig {
    /// The kinds of identity that are counted, each for itself. At most [`MAX_KINDS`] are.
    pub by: Vec<By>,
    /// What members are hashed with. The same on all nodes whose sketches are to be united.
    pub key: [u8; 32],
    /// Applications that are counted each for itself; any further ones count in the sum of all. Default: 64.
    pub max_applications: usize,
    /// Bytes of all sketches that are kept; the oldest go before. Default: 64 MiB.
    pub max_bytes: usize,
}

/// How many kinds of identity are counted at once.
pub const MAX_KINDS: usize = 8;

impl AudienceConfig {
    /// By address and by session.
    pub fn new(key: [u8; 32]) -> Self {
        Self { by: vec![By::Address, By::Session], key, max_applications: 64, max_bytes: 64 << 20 }
    }
}

impl fmt::Debug for AudienceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudienceConfig").field("by", &self.by).finish_non_exhaustive()
    }
}

/// A stretch of time, in seconds since 1970: from the first until before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first second.
    pub from_s: u64,
    /// The second after the last.
    pub to_s: u64,
}

/// One point of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[schemars(rename = "AudiencePoint")]
pub struct Point {
    /// Where its step begins, in milliseconds since 1970.
    pub at_ms: u64,
    /// Different users in it, within 2 %.
    pub users: u64,
}

impl Point {
    /// The stretch of time that it stands for.
    fn step(&self, step_s: u64) -> Span {
        let from_s = self.at_ms / 1000;
        Span { from_s, to_s: from_s + step_s }
    }
}

/// Points for all steps of a window, with nobody in them; `None` where they are more than [`MAX_POINTS`].
fn steps(span: Span, step_s: u64) -> Option<Vec<Point>> {
    let first = span.from_s - span.from_s % step_s;
    let steps = span.to_s.saturating_sub(first).div_ceil(step_s);
    let starts = (0..steps).map(|step| first + step * step_s);
    (steps <= MAX_POINTS).then(|| starts.map(|from_s| Point { at_ms: from_s * 1000, users: 0 }).collect())
}

/// The points that one query may ask for.
pub const MAX_POINTS: u64 = 2_000;

/// The audience of a gateway. Cheap to count in: two loads and a hash a request and kind.
#[derive(Debug)]
pub struct Audience {
    config: AudienceConfig,
    live: RwLock<HashMap<Arc<str>, Arc<[LiveSketch]>>>,
    /// What all applications beyond the limit share.
    rest: Arc<[LiveSketch]>,
    kept: Mutex<Kept>,
}

/// An application, or all of them where it is `None`, and the number of a kind.
type Series = (Option<Arc<str>>, usize);

/// What is kept of each series.
#[derive(Debug, Default)]
struct Kept {
    histories: HashMap<Series, History>,
    /// What was not united yet with what others have seen; `None` where that is not asked for.
    unshared: Option<HashMap<Series, Sketch>>,
}

impl Audience {
    /// An empty one.
    pub fn new(mut config: AudienceConfig) -> Self {
        config.by.truncate(MAX_KINDS);
        let rest = config.by.iter().map(|_| LiveSketch::new()).collect();
        Self { config, live: RwLock::default(), rest, kept: Mutex::default() }
    }

    /// Keeps what is seen for [`share`](Self::share) as well.
    pub fn begin_sharing(&self) {
        self.kept.lock().unshared.get_or_insert_default();
    }

    fn take_unshared(&self) -> Vec<Seen> {
        let unshared = self.kept.lock().unshared.as_mut().map(std::mem::take).unwrap_or_default();
        let seen = |((application, kind), sketch): (_, Sketch)| {
            let by: &By = self.config.by.get(kind)?;
            Some(Seen { application, by: by.clone(), sketch })
        };
        unshared.into_iter().filter_map(seen).collect()
    }

    fn give_back(&self, seen: &Seen) {
        let Some(kind) = self.config.by.iter().position(|by| *by == seen.by) else { return };
        if let Some(unshared) = &mut self.kept.lock().unshared {
            unshared.entry((seen.application.clone(), kind)).or_default().merge(&seen.sketch);
        }
    }

    /// The kinds of identity that are counted, in the order of their numbers.
    pub fn kinds(&self) -> &[By] {
        &self.config.by
    }

    /// The applications that were seen, in order.
    pub fn applications(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.live.read().keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Counts a user in: the `kind`th kind of identity, of a request to `application`.
    pub fn see(&self, application: &str, kind: usize, identity: &[u8]) {
        self.count_in(&self.sketches(application), kind, identity);
    }

    fn count_in(&self, sketches: &[LiveSketch], kind: usize, identity: &[u8]) {
        if let Some(sketch) = sketches.get(kind) {
            let hashed = blake3::keyed_hash(&self.config.key, identity);
            sketch.add(sketch::hash(&hashed.as_bytes()[..16]));
        }
    }

    /// What an application is counted in.
    fn sketches(&self, application: &str) -> Arc<[LiveSketch]> {
        if let Some(known) = self.live.read().get(application) {
            return known.clone();
        }
        let mut live = self.live.write();
        if live.len() >= self.config.max_applications && !live.contains_key(application) {
            return self.rest.clone();
        }
        let new = || self.config.by.iter().map(|_| LiveSketch::new()).collect();
        live.entry(application.into()).or_insert_with(new).clone()
    }

    /// Keeps what was seen since the last time. To be called every two seconds, with the time in seconds since
    /// 1970.
    pub fn tick(&self, now_s: u64) {
        let live: Vec<_> =
            self.live.read().iter().map(|(name, sketches)| (name.clone(), sketches.clone())).collect();
        let mut kept = self.kept.lock();
        for kind in 0..self.config.by.len() {
            let mut all = self.rest[kind].take();
            for (application, sketches) in &live {
                let seen = sketches[kind].take();
                all.merge(&seen);
                kept.add(Some(application.clone()), kind, now_s, &seen);
            }
            kept.add(None, kind, now_s, &all);
        }
        kept.shed(self.config.max_bytes);
    }

    /// The last `seconds`, up to the end of the two that are running.
    pub fn window(&self, now_s: u64, seconds: u64) -> Span {
        let width_s = LEVELS[0].width_s;
        let to_s = now_s - now_s % width_s + width_s;
        Span { from_s: to_s.saturating_sub(seconds), to_s }
    }

    /// About how many different users an application had in a window; all of them where it is `None`.
    pub fn count(&self, by: &By, application: Option<&str>, span: Span) -> u64 {
        self.sketch(by, application, span).count()
    }

    /// The same as a sketch, to be united with those of other gateways.
    pub fn sketch(&self, by: &By, application: Option<&str>, span: Span) -> Sketch {
        let mut union = Sketch::new();
        let step_s = span.to_s.saturating_sub(span.from_s);
        self.with_history(by, application, |history| {
            history.union(span.from_s, span.to_s, step_s, &mut union);
        });
        union
    }

    /// How many there were in each step of a window. At most [`MAX_POINTS`]: `None` where it would be more.
    pub fn series(&self, by: &By, application: Option<&str>, span: Span, step_s: u64) -> Option<Vec<Point>> {
        let step_s = step_s.max(LEVELS[0].width_s);
        let mut points = steps(span, step_s)?;
        self.with_history(by, application, |history| {
            for point in &mut points {
                let (step, mut seen) = (point.step(step_s), Sketch::new());
                history.union(step.from_s, step.to_s, step_s, &mut seen);
                point.users = seen.count();
            }
        });
        Some(points)
    }

    fn with_history(&self, by: &By, application: Option<&str>, look: impl FnOnce(&History)) {
        let Some(kind) = self.config.by.iter().position(|known| known == by) else { return };
        let kept = self.kept.lock();
        let key = (application.map(Into::into), kind);
        if let Some(history) = kept.histories.get(&key) {
            look(history);
        }
    }
}

impl Kept {
    fn add(&mut self, application: Option<Arc<str>>, kind: usize, now_s: u64, seen: &Sketch) {
        let key = (application, kind);
        if let Some(unshared) = self.unshared.as_mut().filter(|_| !seen.is_empty()) {
            unshared.entry(key.clone()).or_default().merge(seen);
        }
        if !seen.is_empty() || self.histories.contains_key(&key) {
            self.histories.entry(key).or_default().add(now_s, seen);
        }
    }

    fn shed(&mut self, max_bytes: usize) {
        let mut bytes: usize = self.histories.values().map(History::bytes).sum();
        while bytes > max_bytes {
            let Some(largest) = self.histories.values_mut().max_by_key(|history| history.bytes()) else {
                return;
            };
            match largest.shed() {
                0 => return,
                freed => bytes -= freed,
            }
        }
    }
}
