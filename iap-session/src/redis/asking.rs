//! Commands for a slot that is moving.
//!
//! While a slot moves, its old master answers `ASK` for keys that have gone already, and the new one
//! serves them to whoever says `ASKING` first. fred 10.1 reads the answer to its own `ASKING` past the
//! commands that are in flight on that connection: it takes the reply of one of them, and every later
//! caller gets the reply of another. So it may follow nothing (`max_redirections: 0`), and what is to
//! be followed is followed here, by connections of their own on which `ASKING` and the command are one
//! pipeline. After `MOVED`, fred has learned where the slots are before it gives up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fred::error::{Error, ErrorKind};
use fred::interfaces::ClusterInterface;
use fred::types::Value;
use fred::types::config::{Server, ServerConfig};
use tokio::sync::Mutex;

use super::connection::{Connection, Request, fail_fast};
use super::durable::exchange;
use super::failure::{is_redirected, not_connected};
use super::pool::{Live, Pool};

/// How long it is believed that a slot is on its way to the same node.
const BELIEVED: Duration = Duration::from_secs(1);
/// Nodes that connections for moving slots are kept to.
const MAX_TARGETS: usize = 8;
const MAX_SLOTS: usize = 1024;
/// How many times one command is sent on.
const MAX_HOPS: usize = 5;

/// Where moving slots go, and connections to there.
#[derive(Default)]
pub(super) struct Asking {
    slots: parking_lot::Mutex<HashMap<u16, (Server, Instant)>>,
    targets: Mutex<HashMap<Server, Arc<Live>>>,
}

impl Connection {
    /// Sends a command on that was refused where it was sent to, and so took effect nowhere.
    pub(super) async fn follow(&self, request: &Request) -> Result<Value, Error> {
        let mut result = Err(not_connected());
        let Some(slot) = request.slot else { return result };
        for hop in 0..MAX_HOPS {
            result = match self.target(slot, hop).await? {
                Some(target) => self.ask(target, request, slot).await,
                None => self.send_once(request, &fail_fast()).await,
            };
            if !result.as_ref().is_err_and(is_refused) {
                break;
            }
        }
        result
    }

    /// Where the slot is going, if it is on its way.
    async fn target(&self, slot: u16, hop: usize) -> Result<Option<Server>, Error> {
        let known = self.asking.slots.lock().get(&slot).filter(|(_, at)| at.elapsed() < BELIEVED).cloned();
        if let Some((target, _)) = known {
            return Ok(Some(target));
        }
        // It has moved for good, as most: its new master is known by now.
        if hop == 0 {
            return Ok(None);
        }
        let owner = {
            let lease = self.pool.lease().ok_or_else(not_connected)?;
            let state = lease.client().cached_cluster_state();
            state.and_then(|state| state.get_server(slot).cloned()).ok_or_else(not_connected)?
        };
        let options = fred::types::config::Options { cluster_node: Some(owner), ..fail_fast() };
        let nodes = self.send_once(&Request::new("CLUSTER", vec!["NODES".into()], None), &options).await?;
        let target = migration(&nodes.convert::<String>()?, slot);
        if let Some(target) = &target {
            let mut slots = self.asking.slots.lock();
            if slots.len() >= MAX_SLOTS {
                slots.clear();
            }
            slots.insert(slot, (target.clone(), Instant::now()));
        }
        Ok(target)
    }

    async fn ask(&self, target: Server, request: &Request, slot: u16) -> Result<Value, Error> {
        let live = self.asking.connect(&self.pool, &target).await?;
        let quorum = self.durable.as_ref().filter(|_| request.confirmed).map(|durable| durable.quorum);
        let limit = self.command_timeout + quorum.map(|quorum| quorum.wait).unwrap_or_default();
        let result = exchange(live.client(), request, quorum, &[("ASKING", &[])], limit).await;
        if result.as_ref().is_err_and(|error| is_refused(error) || is_broken(error)) {
            self.asking.slots.lock().remove(&slot);
        }
        if result.as_ref().is_err_and(is_broken) {
            self.asking.targets.lock().await.remove(&target);
        }
        result
    }
}

impl Asking {
    async fn connect(&self, pool: &Pool, target: &Server) -> Result<Arc<Live>, Error> {
        let mut targets = self.targets.lock().await;
        if let Some(live) = targets.get(target) {
            return Ok(live.clone());
        }
        if targets.len() >= MAX_TARGETS {
            targets.clear();
        }
        let live = Arc::new(pool.connect_to(ServerConfig::Centralized { server: target.clone() }).await?);
        targets.insert(target.clone(), live.clone());
        Ok(live)
    }
}

/// Refused in one of the two forms: by fred, or by the server itself.
fn is_refused(error: &Error) -> bool {
    let says = |word: &str| error.details().starts_with(word);
    is_redirected(error) || says("MOVED") || says("ASK ") || says("TRYAGAIN")
}

fn is_broken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Canceled)
}

/// Reads `CLUSTER NODES` of a master: in its own line, `[slot->-id]` says where a slot is going.
fn migration(nodes: &str, slot: u16) -> Option<Server> {
    let marker = format!("[{slot}->-");
    let own = nodes.lines().find(|line| line.contains("myself"))?;
    let id = own.split(' ').find_map(|word| word.strip_prefix(&marker)?.strip_suffix(']'))?;
    let line = nodes.lines().find(|line| line.starts_with(id))?;
    // `address:port@bus[,name]`; who announces a name wants to be called by it.
    let place = line.split(' ').nth(1)?;
    let (address, rest) = place.rsplit_once('@')?;
    let (host, port) = address.rsplit_once(':')?;
    let name = rest.split(',').nth(1).filter(|name| !name.is_empty());
    Some(Server::new(name.unwrap_or(host).to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests;
