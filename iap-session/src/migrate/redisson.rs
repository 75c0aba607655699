//! Redisson's session manager for Tomcat: a hash for each session, `[<prefix>:]redisson:tomcat_session:<id>`.
//!
//! What values are written in is a setting there. Those of `SerializationCodec` and `JsonJacksonCodec` are read; those
//! of its own binary codecs (Kryo) are kept as they are, and the dates of such a session are those of its key.

use std::time::Duration;

use bytes::Bytes;

use crate::error::StoreError;
use crate::redis::RedisConfig;
use crate::redis::reader::Reader;
use crate::store::BoxFuture;

use super::java::{MAGIC, Stream};
use super::keys::{check_prefix, of_kind, page};
use super::tomcat::{is_id, without_route};
use super::value::{Values, number};
use super::{Candidate, ForeignSession, Page, Source, Unreadable};

/// What names of fields begin with that are no attributes.
const META: &[u8] = b"session:";
/// The most fields of a hash that are read.
const MAX_FIELDS: usize = 4096;

/// Sessions that Redisson keeps for Tomcat.
pub struct Redisson {
    reader: Reader,
    prefix: String,
    user: Option<String>,
}

impl Redisson {
    /// Sessions in the Redis of an application; connections are made with the first question. `prefix` is Redisson's `keyPrefix`, or empty. `user` is the attribute
    /// with the user's name, for applications that keep it themselves.
    ///
    /// # Errors
    ///
    /// `Invalid` for wrong settings.
    pub fn new(config: &RedisConfig, prefix: &str, user: Option<String>) -> Result<Self, StoreError> {
        check_prefix(prefix)?;
        let separator = if prefix.is_empty() { "" } else { ":" };
        let prefix = format!("{prefix}{separator}redisson:tomcat_session:");
        Ok(Self { reader: Reader::new(config)?, prefix, user })
    }

    /// The key may have the route of the id, or not.
    async fn read(&self, id: &str) -> Result<Option<Candidate>, StoreError> {
        let key = format!("{}{id}", self.prefix);
        let session = match of_kind(self.reader.hash(&key).await)? {
            Ok(fields) if fields.is_empty() => return Ok(None),
            Ok(fields) => {
                let left_ms = self.reader.left_ms(&key).await?;
                decode(&fields, left_ms, self.reader.now_ms(), self.user.as_deref())
            }
            Err(reason) => Err(reason),
        };
        Ok(Some(Candidate { id: without_route(id).to_owned(), session }))
    }
}

impl Source for Redisson {
    fn system(&self) -> &'static str {
        "redisson"
    }

    fn id(&self, cookie: &str) -> Option<String> {
        is_id(cookie).then(|| without_route(cookie).to_owned())
    }

    fn find<'a>(&'a self, cookie: &'a str) -> BoxFuture<'a, Result<Option<Candidate>, StoreError>> {
        Box::pin(async move {
            if !is_id(cookie) {
                return Ok(None);
            }
            match self.read(cookie).await? {
                None if cookie != without_route(cookie) => self.read(without_route(cookie)).await,
                found => Ok(found),
            }
        })
    }

    fn scan(&self, cursor: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        let id = |rest: &str| is_id(rest).then(|| rest.to_owned());
        let find = move |id: String| async move { self.read(&id).await };
        Box::pin(page(&self.reader, &self.prefix, cursor, id, find))
    }
}

/// Reads the fields of a session's hash. `left_ms` is how long its key lives yet.
pub(super) fn decode(
    fields: &[(Vec<u8>, Bytes)],
    left_ms: Option<u64>,
    now_ms: u64,
    user: Option<&str>,
) -> Result<ForeignSession, Unreadable> {
    if fields.len() > MAX_FIELDS {
        return Err(Unreadable("too many fields"));
    }
    let field =
        |name: &str| fields.iter().find(|(field, _)| field == name.as_bytes()).map(|(_, value)| value);
    let time = |name: &str| field(name).and_then(|bytes| number(bytes)).and_then(|ms| u64::try_from(ms).ok());
    if field("session:isValid").is_some_and(|bytes| is_false(bytes)) {
        return Err(Unreadable("the session is not valid any more"));
    }
    let mut values = Values::default();
    for (name, bytes) in fields.iter().filter(|(name, _)| !name.starts_with(META)) {
        let name = std::str::from_utf8(name).map_err(|_| Unreadable("an attribute's name is not UTF-8"))?;
        values.add(name, bytes);
    }
    let idle = field("session:maxInactiveInterval").and_then(|bytes| number(bytes));
    let accessed = time("session:lastAccessedTime").max(time("session:thisAccessedTime"));
    let (idle, accessed_ms) = match (idle, accessed, left_ms) {
        (Some(idle), Some(accessed_ms), _) => {
            (u64::try_from(idle).ok().filter(|idle| *idle > 0).map(Duration::from_secs), accessed_ms)
        }
        (_, _, Some(left_ms)) => (Some(Duration::from_millis(left_ms)), now_ms),
        (_, _, None) => (None, now_ms),
    };
    let principal = || {
        let stream =
            Stream::parse(field("session:principal").filter(|bytes| bytes.starts_with(&MAGIC))?).ok()?;
        let name = stream.object_field(*stream.top().first()?, "name")?;
        stream.text(name).map(str::to_owned)
    };
    let named = user.and_then(|path| values.user_at(path));
    Ok(ForeignSession {
        created_ms: time("session:creationTime").unwrap_or(accessed_ms),
        accessed_ms,
        idle,
        user: named.or_else(principal),
        attributes: values.attributes,
        opaque: values.opaque,
    })
}

fn is_false(bytes: &[u8]) -> bool {
    let value = match bytes.starts_with(&MAGIC) {
        true => Stream::parse(bytes).ok().and_then(|stream| stream.json(*stream.top().first()?)),
        false => serde_json::from_slice(bytes).ok(),
    };
    value == Some(serde_json::Value::Bool(false))
}
