//! Who the replicas are, and how far each of them has got.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::{Options, Server, ServerConfig};
use fred::types::{ClusterHash, CustomCommand};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::super::connection::fail_fast;
use super::super::failure::not_connected;
use super::super::info::Info;
use super::{Replica, Shared};

/// Replicas that are read from; a primary with more has others for other ends.
const MOST: usize = 16;
/// How often they are looked at: this many times in the lag that they may have.
const LOOKS: u32 = 8;
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(500);

/// Looks at the replicas as long as somebody reads from them.
pub(super) async fn watch(shared: Weak<Shared>) {
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let pause = (shared.max_lag / LOOKS).clamp(SHORTEST, LONGEST);
        if let Err(error) = shared.look().await {
            tracing::debug!(%error, "the primary does not tell of its replicas at the moment");
        }
        drop(shared);
        sleep(pause).await;
    }
}

impl Shared {
    async fn look(self: &Arc<Self>) -> Result<(), Error> {
        let asked_ms = self.now_ms();
        let text = {
            let lease = self.primary.lease().ok_or_else(not_connected)?;
            replication(lease.client(), self.timeout).await?
        };
        let info = Info::parse(&text);
        if info.field("role") != Some("master") {
            return Err(Error::new(ErrorKind::Unknown, "the server is no primary"));
        }
        self.reconcile(info.followers());
        let (Some(offset), Some(id)) = (info.number("master_repl_offset"), info.field("master_replid"))
        else {
            return Ok(());
        };
        let oldest_ms = self.oldest_ms();
        let all = self.all.read();
        self.metrics.fresh.set(all.iter().filter(|replica| replica.is_fresh(oldest_ms)).count() as f64);
        for replica in all.iter().filter(|replica| !replica.looked_at.swap(true, Ordering::AcqRel)) {
            let (shared, replica, id) = (self.clone(), replica.clone(), id.to_owned());
            // One that hangs keeps nobody else from being looked at.
            self.primary.spawn(async move {
                if replica.has(&shared, &id, offset).await.unwrap_or(false) {
                    replica.horizon_ms.fetch_max(asked_ms.max(1), Ordering::AcqRel);
                }
                replica.looked_at.store(false, Ordering::Release);
            });
        }
        Ok(())
    }

    /// Takes in those that are new, and lets go of those that have gone.
    fn reconcile(&self, servers: Vec<Server>) {
        let mut all = self.all.write();
        all.retain(|replica| servers.contains(&replica.server));
        for server in servers {
            if all.len() < MOST && !all.iter().any(|replica| replica.server == server) {
                all.push(Arc::new(Replica {
                    server,
                    live: Mutex::default(),
                    horizon_ms: 0.into(),
                    timeout: self.timeout,
                    looked_at: false.into(),
                }));
            }
        }
    }
}

impl Replica {
    /// Whether it follows the primary of that log, and has got as far as `offset`.
    async fn has(&self, shared: &Shared, id: &str, offset: u64) -> Result<bool, Error> {
        let live = self.live.lock().clone().filter(|live| !live.has_ended());
        let live = match live {
            Some(live) => live,
            None => {
                let server = ServerConfig::Centralized { server: self.server.clone() };
                let live = Arc::new(shared.primary.connect_to(server).await?);
                *self.live.lock() = Some(live.clone());
                live
            }
        };
        let text = replication(live.client(), self.timeout).await?;
        let info = Info::parse(&text);
        Ok(info.field("role") == Some("slave")
            && info.field("master_link_status") == Some("up")
            && info.field("master_replid") == Some(id)
            && info.number("slave_repl_offset").is_some_and(|reached| reached >= offset))
    }
}

async fn replication(client: &Client, limit: Duration) -> Result<String, Error> {
    let options = Options { timeout: Some(limit), ..fail_fast() };
    let command = CustomCommand::new_static("INFO", ClusterHash::Random, false);
    client.with_options(&options).custom(command, vec!["replication"]).await
}
