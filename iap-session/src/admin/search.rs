//! Finding sessions by what is known of them.
//!
//! A store has an index by user and none else. So a search for anything else looks at sessions one by one, within a
//! budget of sessions and of time, and says how far it came.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionKey;
use crate::provenance::ClientAddress;
use crate::record::Summary;
use crate::store::{ScanQuery, StoreStats};

use super::Sessions;

/// Which sessions are meant: those that all of it is true of. Without any condition: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this user. The only one that an index answers.
    pub user: Option<Arc<str>>,
    /// Of a user whose name begins so.
    pub user_prefix: Option<Arc<str>>,
    /// Created or logged in to from this address, or from this network, as far as it is known.
    pub address: Option<ClientAddress>,
    /// Created by this gateway.
    pub node: Option<Arc<str>>,
    /// Created on this route.
    pub route: Option<Arc<str>>,
    /// Somebody is logged in, or nobody is.
    pub login: Option<bool>,
    /// At least so old.
    pub min_age: Option<Duration>,
    /// At most so old.
    pub max_age: Option<Duration>,
    /// Unused for so long. Accesses are noted every twentieth of the idle time.
    pub min_idle: Option<Duration>,
    /// At least so many bytes of attributes.
    pub min_bytes: Option<usize>,
    /// At least so many attributes.
    pub min_attributes: Option<usize>,
}

impl Filter {
    /// All sessions of one user.
    pub fn of_user(user: &str) -> Self {
        Self { user: Some(user.into()), ..Self::default() }
    }

    /// Whether every session is meant.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a session is meant, at a time in Unix milliseconds.
    pub fn matches(&self, session: &Summary, now_ms: u64) -> bool {
        let from = &session.provenance;
        let user = session.user.as_deref();
        let age = Duration::from_millis(now_ms.saturating_sub(session.created_ms));
        let idle = Duration::from_millis(now_ms.saturating_sub(session.accessed_ms));
        let is = |wanted: &Option<Arc<str>>, found: &Option<Arc<str>>| wanted.is_none() || wanted == found;
        let near = |wanted: &ClientAddress| {
            [from.address, from.login_address].iter().flatten().any(|address| address.may_be_in(wanted))
        };
        self.user.as_deref().is_none_or(|wanted| user == Some(wanted))
            && self
                .user_prefix
                .as_deref()
                .is_none_or(|wanted| user.is_some_and(|user| user.starts_with(wanted)))
            && self.address.as_ref().is_none_or(near)
            && is(&self.node, &from.node)
            && is(&self.route, &from.route)
            && self.login.is_none_or(|wanted| user.is_some() == wanted)
            && self.min_age.is_none_or(|least| age >= least)
            && self.max_age.is_none_or(|most| age <= most)
            && self.min_idle.is_none_or(|least| idle >= least)
            && self.min_bytes.is_none_or(|least| session.bytes >= least)
            && self.min_attributes.is_none_or(|least| session.attributes >= least)
    }
}

/// What a list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// When it was created.
    Created,
    /// When it was last used.
    Accessed,
    /// When it ends if nobody uses it.
    Deadline,
    /// The number of attributes.
    Attributes,
    /// The size of all attributes.
    Bytes,
}

/// The order of a list. As text: `bytes` is smallest first, `-bytes` largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// What decides.
    pub by: SortBy,
    /// Whether the largest, or latest, comes first.
    pub descending: bool,
}

impl Sort {
    /// Where a session stands: the lower comes first.
    fn rank(self, session: &Summary) -> u64 {
        let value = match self.by {
            SortBy::Created => session.created_ms,
            SortBy::Accessed => session.accessed_ms,
            SortBy::Deadline => session.deadline_ms,
            SortBy::Attributes => session.attributes as u64,
            SortBy::Bytes => session.bytes as u64,
        };
        if self.descending { u64::MAX - value } else { value }
    }
}

impl FromStr for Sort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let by = match name {
            "created" => SortBy::Created,
            "accessed" => SortBy::Accessed,
            "deadline" => SortBy::Deadline,
            "attributes" => SortBy::Attributes,
            "bytes" => SortBy::Bytes,
            _ => {
                return Err(
                    "one of `created`, `accessed`, `deadline`, `attributes` and `bytes`, with `-` before \
                            it for the largest first",
                );
            }
        };
        Ok(Self { by, descending })
    }
}

/// How far a search goes. It ends with whatever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Sessions that are looked at. Default 100,000; a million is the most.
    pub sessions: u64,
    /// Time. Default ten seconds.
    pub time: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { sessions: 100_000, time: Duration::from_secs(10) }
    }
}

impl Budget {
    const MAX: u64 = 1_000_000;

    pub(super) fn begin(self) -> Meter {
        Meter { left: self.sessions.clamp(1, Self::MAX), looked_at: 0, until: Instant::now() + self.time }
    }
}

/// What is left of a budget.
pub(super) struct Meter {
    left: u64,
    pub(super) looked_at: u64,
    until: Instant,
}

impl Meter {
    pub(super) fn count(&mut self, sessions: usize) {
        self.looked_at += sessions as u64;
        self.left = self.left.saturating_sub(sessions as u64);
    }

    pub(super) fn is_spent(&self) -> bool {
        self.left == 0 || Instant::now() >= self.until
    }
}

/// A search for sessions.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Which ones.
    pub filter: Filter,
    /// In which order. Without: as the store has them, which begins at once; in an order, each page looks at all.
    pub sort: Option<Sort>,
    /// About how many are wanted; 0 counts as 100, and 1000 is the most.
    pub limit: usize,
    /// Where to go on: [`SearchPage::next`] of the same search.
    pub cursor: Option<String>,
    /// How far it goes.
    pub budget: Budget,
}

/// What a search has found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "SessionPage")]
pub struct SearchPage {
    /// The sessions.
    pub sessions: Vec<Summary>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
    /// How many sessions were looked at for this page.
    pub looked_at: u64,
    /// Whether the budget was enough. If not, and there is an order, there may be others that belong before those
    /// found; without an order, `next` goes on.
    pub complete: bool,
    /// What the store holds.
    pub stats: StoreStats,
}

/// How many sessions are asked for at once by a search that may find few of them.
const STEP: std::ops::RangeInclusive<usize> = 200..=1000;

impl Sessions {
    /// Finds sessions.
    ///
    /// A session that lives during the whole search is found; one that is created, rotated or changed meanwhile may be
    /// missed.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor of another search; as [`SessionStore::scan`](crate::SessionStore::scan) and
    /// [`SessionStore::stats`](crate::SessionStore::stats).
    pub async fn search(&self, search: &Search) -> Result<SearchPage, StoreError> {
        let mut page = match search.sort {
            None => self.search_unordered(search).await?,
            Some(sort) => self.search_in_order(search, sort).await?,
        };
        page.stats = self.stats().await?;
        Ok(page)
    }

    async fn search_unordered(&self, search: &Search) -> Result<SearchPage, StoreError> {
        let wanted = page_size(search.limit);
        let step = if search.filter.is_empty() { wanted } else { wanted.clamp(*STEP.start(), *STEP.end()) };
        let mut meter = search.budget.begin();
        let mut found: HashMap<SessionKey, Summary> = HashMap::new();
        let mut cursor = search.cursor.clone();
        let (complete, next) = loop {
            let page = self.store.scan(query(&search.filter, cursor, step)).await?;
            meter.count(page.sessions.len());
            let now_ms = self.clock.now_ms();
            let sessions = page.sessions.into_iter().filter(|session| search.filter.matches(session, now_ms));
            found.extend(sessions.map(|session| (session.key, session)));
            cursor = page.next;
            if cursor.is_none() || found.len() >= wanted || meter.is_spent() {
                break (cursor.is_none() || found.len() >= wanted, cursor);
            }
        };
        let mut sessions: Vec<Summary> = found.into_values().collect();
        sessions.sort_by_key(|session| session.key);
        Ok(SearchPage { sessions, next, looked_at: meter.looked_at, complete, stats: StoreStats::default() })
    }

    /// Keeps the first few of all.
    async fn search_in_order(&self, search: &Search, sort: Sort) -> Result<SearchPage, StoreError> {
        let wanted = page_size(search.limit);
        let after = search.cursor.as_deref().map(str::parse::<Place>).transpose()?;
        let mut meter = search.budget.begin();
        let mut first: BTreeMap<Place, Summary> = BTreeMap::new();
        let (mut cursor, mut more) = (None, false);
        let complete = loop {
            let page = self.store.scan(query(&search.filter, cursor, *STEP.end())).await?;
            meter.count(page.sessions.len());
            let now_ms = self.clock.now_ms();
            for session in page.sessions {
                let place = Place { rank: sort.rank(&session), key: session.key };
                if after.is_none_or(|after| place > after) && search.filter.matches(&session, now_ms) {
                    first.insert(place, session);
                }
            }
            while first.len() > wanted {
                first.pop_last();
                more = true;
            }
            cursor = page.next;
            if cursor.is_none() || meter.is_spent() {
                break cursor.is_none();
            }
        };
        let next = first.last_key_value().filter(|_| more).map(|(place, _)| place.to_string());
        let sessions = once_each(first.into_values());
        Ok(SearchPage { sessions, next, looked_at: meter.looked_at, complete, stats: StoreStats::default() })
    }
}

/// A session that was changed while it was looked for may have two places; the first one counts.
fn once_each(sessions: impl Iterator<Item = Summary>) -> Vec<Summary> {
    let mut seen = std::collections::HashSet::new();
    sessions.filter(|session| seen.insert(session.key)).collect()
}

pub(super) fn query(filter: &Filter, cursor: Option<String>, limit: usize) -> ScanQuery {
    ScanQuery { user: filter.user.clone(), cursor, limit }
}

fn page_size(limit: usize) -> usize {
    ScanQuery { limit, ..ScanQuery::default() }.page_size()
}

/// A place in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rank: u64,
    key: SessionKey,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.rank, self.key)
    }
}

impl FromStr for Place {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let place = text
            .split_once('-')
            .and_then(|(rank, key)| Some(Self { rank: rank.parse().ok()?, key: SessionKey::from_hex(key)? }));
        place.ok_or_else(|| StoreError::new(StoreErrorKind::Invalid, "not a cursor of this search"))
    }
}
