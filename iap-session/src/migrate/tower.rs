//! `tower-sessions` in Redis: a string of MessagePack for each session, whose key is the id as it stands in the cookie.
//!
//! It holds the id, the attributes, and when the session ends: year, day of the year, hour, minute, second, nanosecond,
//! and the offset from UTC. When it was created and last used is not known.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::error::StoreError;
use crate::redis::RedisConfig;
use crate::redis::reader::Reader;
use crate::store::BoxFuture;

use super::keys::{check_prefix, of_kind, page};
use super::messagepack::{Decoder, Item};
use super::value::Values;
use super::{Candidate, ForeignSession, Page, Source, Unreadable, time};

/// The length of an id: 16 bytes in base64url without padding.
const ID_LENGTH: usize = 22;
/// The longest session that is read.
const MAX_BYTES: usize = 4 << 20;

/// Sessions of `tower-sessions`.
pub struct TowerSessions {
    reader: Reader,
    prefix: String,
    user: Option<String>,
}

impl TowerSessions {
    /// Sessions in the Redis of an application; connections are made with the first question. `prefix` is what its keys begin with: nothing, unless it has a store of
    /// its own. `user` is the path of the user's name in a session; that of `axum-login` is not known without it.
    ///
    /// # Errors
    ///
    /// `Invalid` for wrong settings.
    pub fn new(config: &RedisConfig, prefix: &str, user: Option<String>) -> Result<Self, StoreError> {
        check_prefix(prefix)?;
        Ok(Self { reader: Reader::new(config)?, prefix: prefix.to_owned(), user })
    }

    async fn read(&self, id: String) -> Result<Option<Candidate>, StoreError> {
        let session = match of_kind(self.reader.string(&format!("{}{id}", self.prefix)).await)? {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => decode(&bytes, &id, self.reader.now_ms(), self.user.as_deref()),
            Err(reason) => Err(reason),
        };
        Ok(Some(Candidate { id, session }))
    }
}

impl Source for TowerSessions {
    fn system(&self) -> &'static str {
        "tower"
    }

    fn id(&self, cookie: &str) -> Option<String> {
        bytes_of(cookie).map(|_| cookie.to_owned())
    }

    fn find<'a>(&'a self, cookie: &'a str) -> BoxFuture<'a, Result<Option<Candidate>, StoreError>> {
        Box::pin(async move {
            match self.id(cookie) {
                Some(id) => self.read(id).await,
                None => Ok(None),
            }
        })
    }

    fn scan(&self, cursor: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        let id = |rest: &str| self.id(rest);
        Box::pin(page(&self.reader, &self.prefix, cursor, id, |id| self.read(id)))
    }
}

fn bytes_of(id: &str) -> Option<[u8; 16]> {
    if id.len() != ID_LENGTH {
        return None;
    }
    URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()
}

/// Reads a session. It must be that of `id`, so that whatever else stands under such a key is not taken for one.
pub(super) fn decode(
    bytes: &[u8],
    id: &str,
    now_ms: u64,
    user: Option<&str>,
) -> Result<ForeignSession, Unreadable> {
    const MALFORMED: Unreadable = Unreadable("no session of tower-sessions");
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable("too long"));
    }
    let mut decoder = Decoder::new(bytes);
    if decoder.array() != Some(3) {
        return Err(MALFORMED);
    }
    // A number in the record, most significant byte first; the cookie has its bytes the other way round.
    let Some(Item::Bytes(mut own)) = decoder.item() else { return Err(MALFORMED) };
    own.reverse();
    if bytes_of(id).is_none_or(|id| id[..] != own[..]) {
        return Err(MALFORMED);
    }
    let (Some(Value::Object(data)), Some(Value::Array(date))) = (decoder.json(), decoder.json()) else {
        return Err(MALFORMED);
    };
    let expires_ms = date_of(&date).filter(|_| decoder.is_at_end()).ok_or(MALFORMED)?;
    let mut values = Values::default();
    for (name, value) in data {
        values.set(&name, value);
    }
    let user = user.and_then(|path| values.user_at(path));
    Ok(ForeignSession {
        created_ms: now_ms,
        accessed_ms: now_ms,
        idle: Some(Duration::from_millis(expires_ms.saturating_sub(now_ms))),
        user,
        attributes: values.attributes,
        opaque: values.opaque,
    })
}

fn date_of(parts: &[Value]) -> Option<u64> {
    let parts: Vec<i64> = parts.iter().map(Value::as_i64).collect::<Option<_>>()?;
    let [year, ordinal, hour, minute, second, nanos, hours, minutes, seconds] = parts[..] else {
        return None;
    };
    let small = |value: i64| (-100_000..=100_000).contains(&value);
    if ![hour, minute, second, hours, minutes, seconds].into_iter().all(small) {
        return None;
    }
    let seconds = (hour - hours) * 3600 + (minute - minutes) * 60 + second - seconds;
    time::from_ordinal(year, ordinal, seconds, nanos / 1_000_000)
}
