//! Lists and counts, by SCAN on each node.

use fred::types::ClusterHash;
use futures_util::future::join_all;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionKey;
use crate::record::Summary;
use crate::store::{Pressure, ScanPage, ScanQuery, StoreStats};

use super::failure::Effect;
use super::info::Info;
use super::{RedisStore, codec};

/// How many replies of SCAN a count reads on one node before it estimates the rest.
const COUNT_PAGES: u64 = 50;
const COUNT_STEP: u64 = 1000;
/// How many keys a count looks at.
const SAMPLE: usize = 200;
/// How many keys are asked about in one go.
pub(super) const AT_ONCE: usize = 64;

impl RedisStore {
    pub(super) async fn scan_now(&self, query: ScanQuery) -> Result<ScanPage, StoreError> {
        if let Some(user) = &query.user {
            return Ok(ScanPage { sessions: self.of_user(user).await?, next: None });
        }
        let nodes = self.connection.nodes()?;
        let (index, cursor) = match &query.cursor {
            None => (0, 0),
            Some(cursor) => parse_cursor(cursor)?,
        };
        let Some(node) = nodes.get(index) else { return Ok(ScanPage::default()) };
        let (next, keys) = self.step(node, cursor, query.page_size() as u64).await?;
        let sessions = self.summaries(&keys).await?.into_iter().flatten().collect();
        let next = match next {
            0 if index + 1 < nodes.len() => Some(format!("{}.0", index + 1)),
            0 => None,
            next => Some(format!("{index}.{next}")),
        };
        Ok(ScanPage { sessions, next })
    }

    /// Counts keys; marks and pointers among them are told apart by looking at a sample.
    pub(super) async fn stats_now(&self) -> Result<StoreStats, StoreError> {
        let (mut seen, mut sampled, mut active, mut complete) = (0_u64, 0_u64, 0_u64, true);
        for node in self.connection.nodes()? {
            let (mut cursor, mut here, mut pages) = (0, 0, 0);
            loop {
                let (next, keys) = self.step(&node, cursor, COUNT_STEP).await?;
                here += keys.len() as u64;
                let sample = &keys[..keys.len().min(SAMPLE.saturating_sub(sampled as usize))];
                for found in self.summaries(sample).await? {
                    sampled += 1;
                    active += u64::from(found.is_some());
                }
                (cursor, pages) = (next, pages + 1);
                if cursor == 0 || pages == COUNT_PAGES {
                    break;
                }
            }
            if cursor != 0 {
                complete = false;
                let all: u64 = self.connection.command_at(&node, "DBSIZE", vec![]).await?;
                here = scale(here, all, pages * COUNT_STEP);
            }
            seen += here;
        }
        let live = if sampled == 0 { seen } else { scale(seen, active, sampled) };
        crate::metrics::counted(live);
        let exact = complete && seen == sampled;
        Ok(StoreStats { backend: "redis", live, exact, ..StoreStats::default() })
    }

    /// What the primaries say of what they had to drop.
    pub(super) async fn pressure_now(&self) -> Result<Pressure, StoreError> {
        let in_flight = Some(self.connection.most_in_flight());
        let mut dropped = 0;
        for node in self.connection.nodes()? {
            let text: String = self.connection.command_at(&node, "INFO", vec!["stats".into()]).await?;
            dropped += Info::parse(&text).number("evicted_keys").unwrap_or_default();
        }
        Ok(Pressure { in_flight, dropped })
    }

    async fn of_user(&self, user: &str) -> Result<Vec<Summary>, StoreError> {
        let args = vec![self.user_key(user).into()];
        let places: Vec<String> =
            self.connection.command("HVALS", ClusterHash::FirstKey, args, Effect::Read).await?;
        let key = |place: &String| place.rsplit(':').next().and_then(SessionKey::from_hex);
        let keys: Vec<SessionKey> = places.iter().filter_map(key).collect();
        let found = self.summaries(&keys).await?.into_iter().flatten();
        Ok(found.filter(|summary| summary.user.as_deref() == Some(user)).collect())
    }

    /// What is told of each, in their order; some are asked for at a time, not one after the other.
    async fn summaries(&self, keys: &[SessionKey]) -> Result<Vec<Option<Summary>>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(AT_ONCE) {
            for summary in join_all(some.iter().map(|key| self.summary(*key))).await {
                found.push(summary?);
            }
        }
        Ok(found)
    }

    async fn summary(&self, key: SessionKey) -> Result<Option<Summary>, StoreError> {
        let mut args = vec![self.session_key(&key).into()];
        args.extend(codec::SUMMARY_FIELDS.map(Into::into));
        let fields: Vec<Option<String>> =
            self.connection.command("HMGET", ClusterHash::FirstKey, args, Effect::Read).await?;
        Ok(codec::summary(key, &fields, self.connection.now_ms()))
    }

    /// One SCAN: where to go on (0 at the end), and the keys of sessions.
    async fn step(
        &self,
        node: &fred::types::config::Server,
        cursor: u64,
        count: u64,
    ) -> Result<(u64, Vec<SessionKey>), StoreError> {
        let pattern = format!("{}:s:*", self.prefix);
        let args = vec![
            cursor.to_string().into(),
            "MATCH".into(),
            pattern.into(),
            "COUNT".into(),
            count.to_string().into(),
        ];
        let (next, keys): (String, Vec<String>) = self.connection.command_at(node, "SCAN", args).await?;
        let next = next.parse().map_err(|_| codec::corrupt("the server gave no cursor"))?;
        let prefix = self.prefix.len() + 3;
        let keys = keys.iter().filter_map(|key| SessionKey::from_hex(key.get(prefix..)?)).collect();
        Ok((next, keys))
    }
}

fn scale(value: u64, by: u64, of: u64) -> u64 {
    (u128::from(value) * u128::from(by) / u128::from(of.max(1))) as u64
}

pub(super) fn parse_cursor(cursor: &str) -> Result<(usize, u64), StoreError> {
    cursor
        .split_once('.')
        .and_then(|(index, cursor)| Some((index.parse().ok()?, cursor.parse().ok()?)))
        .ok_or_else(|| StoreError::new(StoreErrorKind::Invalid, "not a cursor of this store"))
}
