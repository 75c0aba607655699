//! How often one may ask: the generic cell rate algorithm, which keeps one time for each key.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Request};
use parking_lot::Mutex;

use super::Identity;
use super::standing::{RATE_LIMIT, Standing};
use crate::body::Body;
use crate::connection::Connection;
use crate::error::{Error, Kind, Origin};
use crate::networks::client_network;

const SHARDS: usize = 16;
/// How many keys a limit remembers; about 24 bytes each.
const MAX_KEYS: usize = 1 << 18;
const NANOS: u64 = 1_000_000_000;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateKey {
    /// Those of one address; of IPv6 the network of 64 bits.
    Client,
    /// Those with one value of a header field, such as an API key. Without it the client counts.
    Header(HeaderName),
    /// Those of one session. Without a session the client counts.
    Session,
    /// Those of one user. Who has not logged in counts by the client.
    User,
    /// All.
    Route,
}

/// A limit of so many requests in a time. Beyond it requests are answered with 429 and `Retry-After`; each
/// answer says in `RateLimit` and `RateLimit-Policy` how much is left.
///
/// The requests of a whole window may come at once; from then on each has to wait for its turn. The limit
/// holds for one process. It outlives a change of the routes, see
/// [`RouteTable::replacing`](crate::RouteTable::replacing).
#[derive(Debug)]
pub struct RateLimit {
    key: RateKey,
    policy: HeaderValue,
    /// The time that one request takes up, in nanoseconds.
    cost: u64,
    /// How far ahead of the clock a key may be.
    tolerance: u64,
    memory: Arc<Memory>,
}

/// What a limit knows of its keys.
#[derive(Debug)]
struct Memory {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// When the next request of each key would be due, in nanoseconds since the start.
#[derive(Debug, Default)]
struct Shard {
    due: HashMap<u64, u64>,
    /// Before this time there is no key to forget, as far as is known.
    full_until: u64,
    /// For keys that have no room: they share one limit, so that filling the map wins nobody anything.
    overflow: u64,
}

impl RateLimit {
    /// At most `requests` of one key in `window`. `None` where one of them is zero.
    pub fn new(key: RateKey, requests: u32, window: Duration) -> Option<Self> {
        let window = u64::try_from(window.as_nanos()).ok().filter(|window| *window > 0)?;
        let cost = window.checked_div(requests.into())?.max(1);
        let seconds = window.div_ceil(NANOS).max(1);
        let policy = format!("\"{}\";q={requests};w={seconds}", key.name());
        let policy = HeaderValue::from_str(&policy).ok()?;
        let memory = Memory { hasher: RandomState::new(), shards: Default::default() };
        let tolerance = window - cost.min(window);
        Some(Self { key, policy, cost, tolerance, memory: Arc::new(memory) })
    }

    /// Whether it counts the same keys in the same way.
    fn is_same(&self, other: &Self) -> bool {
        self.key == other.key && (self.cost, self.tolerance) == (other.cost, other.tolerance)
    }

    /// Counts on where the same limits counted before, each from one of them.
    pub(super) fn go_on(limits: &mut [Self], before: &[Self]) {
        let mut left: Vec<&Self> = before.iter().collect();
        for limit in limits {
            if let Some(at) = left.iter().position(|other| limit.is_same(other)) {
                limit.memory = left.remove(at).memory.clone();
            }
        }
    }

    /// Whether its key is found out by layers.
    pub(super) fn is_late(&self) -> bool {
        matches!(self.key, RateKey::Session | RateKey::User)
    }

    /// Before the layers: for keys that the request itself has.
    pub(super) fn check_early(&self, connection: &Connection, request: &Request<Body>) -> Outcome {
        if self.is_late() {
            return Ok(None);
        }
        let client = || self.memory.hasher.hash_one(client_network(connection.peer().ip()));
        let key = match &self.key {
            RateKey::Route => 0,
            RateKey::Header(name) => match request.headers().get(name) {
                Some(value) => self.memory.hasher.hash_one(value.as_bytes()),
                None => client(),
            },
            _ => client(),
        };
        self.count(key, now()).map(Some)
    }

    /// After the layers: for keys that they have found out.
    pub(super) fn check_late(&self, connection: &Connection, request: &Request<Body>) -> Outcome {
        if !self.is_late() {
            return Ok(None);
        }
        let identity = request.extensions().get::<Identity>();
        let known = identity.and_then(|identity| match self.key {
            RateKey::Session => identity.session.as_deref(),
            _ => identity.user.as_deref(),
        });
        let key = match known {
            Some(known) => self.memory.hasher.hash_one(known),
            None => self.memory.hasher.hash_one(client_network(connection.peer().ip())),
        };
        self.count(key, now()).map(Some)
    }

    fn count(&self, key: u64, now: u64) -> Result<Standing, Error> {
        let mut shard = self.memory.shards[key as usize % SHARDS].lock();
        let due = shard.place(key, now);
        let start = (*due).max(now);
        let ahead = start - now;
        if ahead > self.tolerance {
            let wait = Duration::from_nanos(ahead - self.tolerance);
            let text = "too many requests in a short time";
            let error = Error::new(Kind::TooManyRequests, Origin::Client, text).reason("rate");
            return Err(error.retry_after(wait).with_field(RATE_LIMIT, self.standing(ahead).value()));
        }
        *due = start + self.cost;
        drop(shard);
        Ok(self.standing(ahead + self.cost))
    }

    /// What is left to a key that is so far ahead of the clock.
    fn standing(&self, ahead: u64) -> Standing {
        let left = self.tolerance.checked_sub(ahead).map_or(0, |room| room / self.cost + 1);
        let reset = ahead.div_ceil(NANOS);
        Standing { policy: self.policy.clone(), name: self.key.name(), left, reset }
    }
}

/// What is left, if the limit was asked.
type Outcome = Result<Option<Standing>, Error>;

impl RateKey {
    fn name(&self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Header(_) => "header",
            Self::Session => "session",
            Self::User => "user",
            Self::Route => "route",
        }
    }
}

impl Shard {
    fn place(&mut self, key: u64, now: u64) -> &mut u64 {
        if self.due.len() >= MAX_KEYS / SHARDS && !self.due.contains_key(&key) {
            // Whose time has passed starts anew anyway. Before the first one has, nobody looks again: a
            // flood of new keys must not cost a walk over all of them each time.
            if now >= self.full_until {
                self.due.retain(|_, due| *due > now);
                self.full_until = self.due.values().min().copied().unwrap_or_default();
            }
            if self.due.len() >= MAX_KEYS / SHARDS {
                return &mut self.overflow;
            }
        }
        self.due.entry(key).or_default()
    }
}

fn now() -> u64 {
    START.elapsed().as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_window_may_be_used_at_once_and_then_each_request_waits_for_its_turn() {
        let limit = RateLimit::new(RateKey::Client, 4, Duration::from_secs(2)).unwrap();
        let mut now = 10 * SECOND;
        assert!((0..4).all(|_| limit.count(1, now).is_ok()));
        let refused = limit.count(1, now).unwrap_err().into_response(None);
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (429, &"1".parse().unwrap())
        );
        assert!(limit.count(2, now).is_ok(), "others have their own");
        now += SECOND / 2;
        assert!(limit.count(1, now).is_ok() && limit.count(1, now).is_err(), "one turn");
        now += 10 * SECOND;
        assert!(
            (0..4).all(|_| limit.count(1, now).is_ok()) && limit.count(1, now).is_err(),
            "no more than a window"
        );
        assert!(RateLimit::new(RateKey::Client, 0, Duration::from_secs(1)).is_none());
        assert!(RateLimit::new(RateKey::Client, 1, Duration::ZERO).is_none());
    }

    #[test]
    fn the_same_limits_count_on_and_others_begin_anew() {
        let limit =
            |key, requests, seconds| RateLimit::new(key, requests, Duration::from_secs(seconds)).unwrap();
        let before =
            [limit(RateKey::Route, 1, 60), limit(RateKey::Client, 1, 60), limit(RateKey::Route, 1, 60)];
        assert!(before.iter().take(2).all(|limit| limit.count(0, SECOND).is_ok()));
        let mut after = [
            limit(RateKey::Client, 1, 60),
            limit(RateKey::Route, 2, 60),
            limit(RateKey::Route, 1, 59),
            limit(RateKey::User, 1, 60),
            limit(RateKey::Route, 1, 60),
            limit(RateKey::Route, 1, 60),
            limit(RateKey::Route, 1, 60),
        ];
        RateLimit::go_on(&mut after, &before);
        let is_open = after.map(|limit| limit.count(0, SECOND).is_ok());
        assert_eq!(is_open, [false, true, true, true, false, true, true]);
        assert!(before[2].count(0, SECOND).is_err(), "two of the same are two");
    }

    #[test]
    fn what_is_left_is_told() {
        let limit = RateLimit::new(RateKey::User, 4, Duration::from_millis(1500)).unwrap();
        let mut fields = http::HeaderMap::new();
        let left: Vec<_> = (0..4).map(|_| limit.count(1, SECOND).unwrap()).collect();
        assert_eq!(
            left.iter().map(|left| (left.left, left.reset)).collect::<Vec<_>>(),
            [(3, 1), (2, 1), (1, 2), (0, 2)]
        );
        left[1].clone().tighter(Some(left[2].clone())).tighter(Some(left[0].clone())).mark(&mut fields);
        assert_eq!(
            (&fields["ratelimit"], &fields["ratelimit-policy"]),
            (
                &"\"user\";r=1;t=2".parse::<HeaderValue>().unwrap(),
                &"\"user\";q=4;w=2".parse::<HeaderValue>().unwrap()
            )
        );
        left[3].clone().mark(&mut fields);
        assert_eq!(fields["ratelimit"], "\"user\";r=1;t=2", "what is said already stays");
        let refused = limit.count(1, SECOND).unwrap_err().into_response(None);
        assert_eq!(refused.headers()["ratelimit"], "\"user\";r=0;t=2");
        // As many as are said to be left are let through.
        for now in (SECOND..9 * SECOND).step_by(910_000_000) {
            let told = limit.count(2, now).map_or(0, |left| left.left);
            assert_eq!((0..10).filter(|_| limit.count(2, now).is_ok()).count() as u64, told, "at {now}");
        }
    }

    #[test]
    fn a_full_memory_neither_grows_nor_resets_anybody() {
        let limit = RateLimit::new(RateKey::Client, 1, Duration::from_secs(60)).unwrap();
        let now = SECOND;
        // One shard: keys that are equal modulo their number.
        let key = |n: usize| (n * SHARDS) as u64;
        let most = MAX_KEYS / SHARDS;
        assert!((0..most).all(|n| limit.count(key(n), now).is_ok()));
        assert!(limit.count(key(most), now).is_ok(), "the first one that has no room");
        assert!(limit.count(key(most + 1), now).is_err(), "and all others with it");
        assert!((0..most).all(|n| limit.count(key(n), now).is_err()), "nobody was forgotten");
        assert_eq!(limit.memory.shards[0].lock().due.len(), most);
        assert_eq!(
            limit.memory.shards[0].lock().full_until,
            now + 60 * SECOND,
            "nobody looks for room before that"
        );
        let later = now + 61 * SECOND;
        assert!(limit.count(key(most + 1), later).is_ok());
        assert_eq!(limit.memory.shards[0].lock().due.len(), 1, "whose time has passed goes");
    }
}
