//! A network that is slow, stops, or loses replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use iap_session::testing::RedisServer;
use iap_session::{Expiry, SessionStore, StoreErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::ledger::{Load, commit, create, until};
use crate::{all_keys_expire, beside, connect};

/// What the way to the server is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    Slow(Duration),
    /// Nothing comes through any more, and connections stand.
    Blocked,
    /// Every n-th reply is lost with its connection, after the server has done what it was told.
    Lossy(u64),
    /// After so many requests the gateway is dead: nothing of it comes through any more, and its connections close.
    Dies(u64),
}

pub(crate) struct Proxy {
    way: watch::Sender<Way>,
    target: Arc<AtomicU16>,
    requests: Arc<AtomicU64>,
    pub(crate) port: u16,
}

/// One direction of a connection.
struct Direction {
    /// Counts what goes this way, on all connections.
    count: Arc<AtomicU64>,
    is_replies: bool,
}

impl Proxy {
    pub(crate) async fn start(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(AtomicU16::new(server.port()));
        let to = target.clone();
        let (way, seen) = watch::channel(Way::Open);
        let (requests, replies) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counted = requests.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (seen, target) = (seen.clone(), to.load(Ordering::SeqCst));
                let there = Direction { count: requests.clone(), is_replies: false };
                let back = Direction { count: replies.clone(), is_replies: true };
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::select! {
                        () = pass(from_client, to_server, seen.clone(), there) => {}
                        () = pass(from_server, to_client, seen, back) => {}
                    }
                });
            }
        });
        Self { way, target, requests: counted, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, way: Way) {
        self.requests.store(0, Ordering::SeqCst);
        self.way.send_replace(way);
    }

    /// How many requests have come since the way was set.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// New connections lead to another server.
    pub(crate) fn lead_to(&self, server: &RedisServer) {
        self.target.store(server.port(), Ordering::SeqCst);
    }
}

impl Direction {
    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
    direction: Direction,
) {
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let now = *way.borrow_and_update();
        match now {
            Way::Open => {}
            Way::Slow(by) => tokio::time::sleep(by).await,
            Way::Blocked => {
                let _ = way.wait_for(|way| *way != Way::Blocked).await;
            }
            Way::Lossy(every) => {
                if direction.is_replies && direction.next().is_multiple_of(every) {
                    return;
                }
            }
            Way::Dies(after) => {
                if !direction.is_replies && direction.next() > after {
                    return;
                }
            }
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_loses_nothing() {
    let server = beside(RedisServer::start).await;
    let proxy = Proxy::start(&server).await;
    for (millis, name) in [(50, "Network: 50 ms each way"), (300, "Network: 300 ms each way")] {
        let mut load = Load::start(connect(proxy.url()).await).await;
        load.breaks();
        proxy.set(Way::Slow(Duration::from_millis(millis)));
        load.progresses(3).await;
        proxy.set(Way::Open);
        load.recovers().await;
        load.balance(name).await.nothing_lost();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_stops_is_an_outage_and_no_endless_wait() {
    let server = beside(RedisServer::start).await;
    let proxy = Proxy::start(&server).await;
    let store: Arc<dyn SessionStore> = connect(proxy.url()).await;
    let mut load = Load::start(store.clone()).await;
    let key = create(&store, Expiry::default()).await;
    load.breaks();
    proxy.set(Way::Blocked);
    let error = store.load(key, None).await.expect_err("nothing comes through");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    until("requests fail at once", async || {
        let error = store.commit(key, commit(1)).await.expect_err("nothing comes through");
        assert!(matches!(error.kind(), StoreErrorKind::Unavailable | StoreErrorKind::Ambiguous));
        error.kind() == StoreErrorKind::Unavailable
    })
    .await;
    proxy.set(Way::Open);
    load.recovers().await;
    load.balance("Network: stops, connections stand").await.nothing_lost();
    all_keys_expire([&server]);
}

/// What was done and not told is repeated under its name, and has one effect.
#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_repeat_nothing() {
    let server = beside(RedisServer::start).await;
    let proxy = Proxy::start(&server).await;
    let mut load = Load::start(connect(proxy.url()).await).await;
    load.breaks();
    proxy.set(Way::Lossy(40));
    load.progresses(40).await;
    proxy.set(Way::Open);
    load.recovers().await;
    load.balance("Network: every 40th reply is lost after the write").await.nothing_lost();
    all_keys_expire([&server]);
}
