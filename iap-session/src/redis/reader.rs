//! Reads of a Redis that is not ours: what other systems keep there.

use bytes::Bytes;
use fred::types::{ClusterHash, Value};
use iap_core::{Clock, SystemClock};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::error::{StoreError, StoreErrorKind};

use super::RedisConfig;
use super::connection::{Connection, Reads};
use super::failure::Effect;
use super::scan::parse_cursor;

/// How many keys a step of a scan asks for.
const SCAN_COUNT: &str = "200";

/// Connections to another Redis, made with the first question. Nothing is written by them.
pub(crate) struct Reader {
    config: RedisConfig,
    connection: OnceCell<Connection>,
    /// Where the tasks of the connections live: they outlive whoever happens to ask first.
    runtime: Handle,
}

impl Reader {
    /// Checks the settings only, so that a process can start while the other store is away. Must be called on the
    /// runtime that the connections are to live on.
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, StoreError> {
        config.check()?;
        Ok(Self { config: config.clone(), connection: OnceCell::new(), runtime: Handle::current() })
    }

    async fn connection(&self) -> Result<&Connection, StoreError> {
        let connect = async || {
            let config = self.config.clone();
            let opened = self.runtime.spawn(async move { Connection::open(&config).await });
            opened.await.map_err(|_| StoreError::new(StoreErrorKind::Unavailable, "the runtime ends"))?
        };
        self.connection.get_or_try_init(connect).await
    }

    /// The server's time, once it was asked for something.
    pub(crate) fn now_ms(&self) -> u64 {
        self.connection.get().map_or_else(|| SystemClock.now_ms(), Connection::now_ms)
    }

    /// The fields of a hash; none if there is none.
    pub(crate) async fn hash(&self, key: &str) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let reply: Value =
            self.connection().await?.read(&Reads::plain(), "HGETALL", vec![key.into()]).await?;
        let flat = match reply {
            Value::Array(items) => items,
            Value::Map(map) => map
                .inner()
                .into_iter()
                .flat_map(|(name, value)| [Value::Bytes(name.inner().clone()), value])
                .collect(),
            _ => Vec::new(),
        };
        let bytes = |value: &Value| value.as_bytes().map(Bytes::copy_from_slice).unwrap_or_default();
        let pairs = flat.chunks_exact(2).map(|pair| (bytes(&pair[0]).to_vec(), bytes(&pair[1])));
        Ok(pairs.collect())
    }

    /// A string.
    pub(crate) async fn string(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.connection().await?.read(&Reads::plain(), "GET", vec![key.into()]).await
    }

    /// How long a key lives yet, in milliseconds; `None` without an end.
    pub(crate) async fn left_ms(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let args = vec![key.into()];
        let left: i64 =
            self.connection().await?.command("PTTL", ClusterHash::FirstKey, args, Effect::Read).await?;
        // -1: no end. -2: it has gone since.
        Ok(if left == -1 { None } else { Some(u64::try_from(left).unwrap_or(0)) })
    }

    /// Some of the keys that begin with `prefix`, and where to go on.
    pub(crate) async fn keys(
        &self,
        prefix: &str,
        cursor: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), StoreError> {
        let connection = self.connection().await?;
        let nodes = connection.nodes()?;
        let (index, cursor) = cursor.map_or(Ok((0, 0)), parse_cursor)?;
        let Some(node) = nodes.get(index) else { return Ok((Vec::new(), None)) };
        let args = vec![
            cursor.to_string().into(),
            "MATCH".into(),
            format!("{}*", escaped(prefix)).into(),
            "COUNT".into(),
            SCAN_COUNT.into(),
        ];
        let (next, keys): (String, Vec<Bytes>) = connection.command_at(node, "SCAN", args).await?;
        let keys = keys.iter().filter_map(|key| String::from_utf8(key.to_vec()).ok()).collect();
        let next = match next.as_str() {
            "0" if index + 1 < nodes.len() => Some(format!("{}.0", index + 1)),
            "0" => None,
            next => Some(format!("{index}.{next}")),
        };
        Ok((keys, next))
    }
}

/// A prefix for MATCH, in which some characters have a meaning.
fn escaped(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len());
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Whether an error says that something else stands under the key than expected.
pub(crate) fn is_another_kind(error: &StoreError) -> bool {
    error.kind() == StoreErrorKind::Corrupt
}
