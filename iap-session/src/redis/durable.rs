//! Writes that replicas have confirmed.
//!
//! `WAIT n ms` answers how many replicas have what *its own connection* has written last, and blocks all
//! that is pipelined behind it. So a write and its `WAIT` travel together, on a connection that nobody
//! else uses meanwhile. A connection that has written nothing is told that all replicas are up to date:
//! that is why scripts write something even where they find that their work was done before.

use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand, Value};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::config::{Consistency, RedisConfig};
use super::connection::{Request, fail_fast};
use super::failure::{NOT_DURABLE, not_connected};
use super::pool::Pool;

/// How many confirmations are asked for, and how long.
#[derive(Clone, Copy)]
pub(super) struct Quorum {
    pub(super) replicas: u32,
    pub(super) wait: Duration,
}

/// The connections of durable writes.
pub(super) struct Durable {
    pub(super) quorum: Quorum,
    pool: Pool,
    places: Semaphore,
    free: Mutex<Vec<usize>>,
    command_timeout: Duration,
}

/// The right to one connection.
struct Seat<'a> {
    durable: &'a Durable,
    index: usize,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.durable.free.lock().push(self.index);
    }
}

impl Durable {
    /// `None` where nothing is to be confirmed.
    pub(super) async fn open(config: &RedisConfig) -> Result<Option<Self>, Error> {
        let Consistency::Strong { replicas, wait, connections } = config.consistency else { return Ok(None) };
        let size = connections.clamp(1, 64);
        let patient = RedisConfig {
            command_timeout: config.command_timeout + wait,
            unresponsive_after: config.unresponsive_after + wait,
            ..config.clone()
        };
        let waits = (config.connect_timeout, patient.unresponsive_after);
        Ok(Some(Self {
            quorum: Quorum { replicas, wait },
            pool: Pool::open(patient.connector()?, size, waits, Box::new(|_| None)).await?,
            places: Semaphore::new(size),
            free: Mutex::new((0..size).collect()),
            command_timeout: config.command_timeout,
        }))
    }

    pub(super) async fn send(&self, request: &Request) -> Result<Value, Error> {
        let waited = timeout(self.command_timeout, self.places.acquire()).await;
        let _place = waited.ok().and_then(Result::ok).ok_or_else(too_many)?;
        // Whoever has a place finds a connection, but perhaps one that is broken.
        let mut broken = Vec::new();
        let (seat, lease) = loop {
            let index = self.free.lock().pop().ok_or_else(not_connected)?;
            let seat = Seat { durable: self, index };
            match self.pool.lease_at(index) {
                Some(lease) => break (seat, lease),
                None => broken.push(seat),
            }
        };
        drop(broken);
        let begun = std::time::Instant::now();
        let limit = self.command_timeout + self.quorum.wait;
        let result = exchange(lease.client(), request, Some(self.quorum), &[], limit).await;
        lease.ended(begun, request.slot, &result);
        drop(seat);
        result
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Sends a request as one pipeline, with what goes before it and the `WAIT` behind it.
pub(super) async fn exchange(
    client: &Client,
    request: &Request,
    quorum: Option<Quorum>,
    before: &[(&'static str, &[&'static str])],
    limit: Duration,
) -> Result<Value, Error> {
    let cluster_hash = request.slot.map(ClusterHash::Custom);
    let pipeline = client.pipeline();
    let queue = pipeline.with_options(&Options { cluster_hash, timeout: Some(limit), ..fail_fast() });
    for (word, args) in before {
        let command = CustomCommand::new_static(word, ClusterHash::Random, false);
        let args: Vec<Value> = args.iter().map(|arg| Value::from(*arg)).collect();
        let _: Value = queue.custom(command, args).await?;
    }
    let _: Value = queue.custom(request.command.clone(), request.args.clone()).await?;
    if let Some(quorum) = quorum {
        let millis = u64::try_from(quorum.wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let args: Vec<Value> = vec![quorum.replicas.to_string().into(), millis.to_string().into()];
        let _: Value =
            queue.custom(CustomCommand::new_static("WAIT", ClusterHash::Random, false), args).await?;
    }
    let replies = timeout(limit, pipeline.try_all::<Value>()).await;
    let mut replies = replies.map_err(|_| Error::new(ErrorKind::Timeout, "no reply in time"))?.into_iter();
    let mut next = || replies.next().unwrap_or_else(|| Err(Error::new_canceled()));
    for _ in before {
        next()?;
    }
    let reply = next()?;
    match quorum {
        Some(quorum) if has_written(&reply) => {
            let confirmed = next()?.as_u64().unwrap_or(0);
            if confirmed >= u64::from(quorum.replicas) {
                return Ok(reply);
            }
            let text = format!("{NOT_DURABLE}: {confirmed} of {} replicas confirmed it", quorum.replicas);
            Err(Error::new(ErrorKind::Unknown, text))
        }
        _ => Ok(reply),
    }
}

/// Whether a script did its work, or found that it was done before. Refusals promise nothing.
fn has_written(reply: &Value) -> bool {
    let word = match reply {
        Value::Array(words) => words.first().and_then(Value::as_str),
        other => other.as_str(),
    };
    word.is_none_or(|word| matches!(&*word, "ok" | "ended"))
}

fn too_many() -> Error {
    Error::new(ErrorKind::Backpressure, "too many writes wait for a connection")
}
