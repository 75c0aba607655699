//! What lies between a program and its Redis, and can be made worse.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::RedisServer;

/// What the way to the server is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it is.
    Open,
    /// All comes so much later, each way.
    Slow(Duration),
    /// Nothing comes through any more, and connections stand.
    Blocked,
    /// Every n-th reply is lost with its connection, after the server has done what it was told.
    Lossy(u64),
    /// After so many requests the gateway is dead: nothing of it comes through any more, and its connections close.
    Dies(u64),
}

/// Stands before a server while the runtime that started it runs.
#[derive(Debug)]
pub struct Proxy {
    way: watch::Sender<Way>,
    target: Arc<AtomicU16>,
    requests: Arc<AtomicU64>,
    /// Where it listens, on loopback.
    pub port: u16,
}

/// One direction of a connection.
struct Direction {
    /// Counts what goes this way, on all connections.
    count: Arc<AtomicU64>,
    is_replies: bool,
}

impl Proxy {
    /// Begins with a way that is open.
    pub async fn start(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on 127.0.0.1");
        let port = listener.local_addr().expect("it is bound").port();
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

    /// Where a program finds the server by it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Makes it another way, for connections that stand as well.
    pub fn set(&self, way: Way) {
        self.requests.store(0, Ordering::SeqCst);
        self.way.send_replace(way);
    }

    /// How many requests have come since the way was set.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// New connections lead to another server.
    pub fn lead_to(&self, server: &RedisServer) {
        self.target.store(server.port(), Ordering::SeqCst);
    }
}

impl Direction {
    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
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
