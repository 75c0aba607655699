//! HTTP/2 to a server: few connections, shared by many requests.
//!
//! Each worker has connections of its own. A request takes a stream of the first one that has room;
//! only when none has, another connection is made, by one request while the others wait for it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, EXPECT, HOST, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};

use super::server::OpenConnection;
use crate::body::Body;
use crate::server::worker::{self, Home};

/// Flow-control windows, in bytes: as much as may be on its way before we have read it.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Largest response head, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
/// How many streams are opened before the server's SETTINGS say how many it takes: more could be
/// refused.
const STREAMS_BEFORE_SETTINGS: usize = 1;
/// How many connections to one server a worker makes, before streams wait for their turn.
const MAX_CONNECTIONS: usize = 16;
/// How often a connection in use is asked whether it is alive, and how long the answer may take.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);
/// How often SETTINGS are looked for before a tunnel, which must not be asked for without them: after 1 ms,
/// 2 ms, 4 ms, and so on.
const SETTINGS_LOOKS: u32 = 12;
/// Streams that we have given up and on which the server may still be sending. What comes on one
/// that is forgotten already counts as an error, and many of them end the connection.
const MAX_GIVEN_UP: usize = 1024;

/// The connections to one server, by worker.
#[derive(Debug)]
pub(super) struct Multiplexer {
    shards: Box<[Shard]>,
    max_streams: usize,
    idle_timeout: Duration,
    /// Whether there has been a connection: one load for servers that only speak HTTP/1.1.
    is_used: AtomicBool,
}

#[derive(Debug, Default)]
struct Shard {
    connections: Mutex<Vec<Shared>>,
    turn: tokio::sync::Mutex<()>,
    /// Attempts to connect that failed.
    failures: AtomicU64,
}

/// A connection that streams are taken from.
#[derive(Debug)]
struct Shared {
    sender: SendRequest<Body>,
    /// How many streams the server takes.
    allowed: Arc<AtomicUsize>,
    scheme: Scheme,
    usage: Arc<Usage>,
    used: Instant,
    home: Home,
}

/// The right to send one request over a shared connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) sender: SendRequest<Body>,
    pub(super) scheme: Scheme,
    usage: Arc<Usage>,
}

/// Whether the server takes tunnels (RFC 8441 section 3), once its SETTINGS are known. That they have come
/// wakes nobody, so who needs to know it has them looked for.
#[derive(Debug)]
struct TakesTunnels {
    known: watch::Receiver<Option<bool>>,
    look: Arc<Notify>,
}

/// How a shared connection is used.
#[derive(Debug)]
struct Usage {
    streams: AtomicUsize,
    takes_tunnels: TakesTunnels,
    /// It takes no more streams; those that run go on.
    is_retired: AtomicBool,
}

impl Stream {
    /// Lets no other request take a stream of this connection.
    pub(super) fn retire(&self) {
        self.usage.is_retired.store(true, Ordering::Relaxed);
    }
}

impl Stream {
    /// Whether a tunnel may go over this connection.
    pub(super) async fn takes_tunnels(&self) -> bool {
        let TakesTunnels { known, look } = &self.usage.takes_tunnels;
        let mut known = known.clone();
        for doubled in 0..SETTINGS_LOOKS {
            look.notify_one();
            let pause = Duration::from_millis(1 << doubled);
            match tokio::time::timeout(pause, known.wait_for(Option::is_some)).await {
                Ok(Ok(known)) => return *known == Some(true),
                // The connection has ended.
                Ok(Err(_)) => return false,
                Err(_) => {}
            }
        }
        false
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.usage.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a request that found no room on a connection is to do.
pub(super) enum Turn<'a> {
    /// Make one; the others wait until this guard is dropped.
    Connect(Connecting<'a>),
    /// Another request has just failed to.
    Failed,
}

/// Held while a connection is made.
pub(super) struct Connecting<'a> {
    _guard: tokio::sync::MutexGuard<'a, ()>,
    failures: &'a AtomicU64,
}

impl Connecting<'_> {
    /// Those that wait need not try it again, one after the other.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

impl Multiplexer {
    pub(super) fn new(shards: usize, max_streams: usize, idle_timeout: Duration) -> Self {
        let shards = (0..shards).map(|_| Shard::default()).collect();
        Self { shards, max_streams, idle_timeout, is_used: AtomicBool::new(false) }
    }

    fn own(&self) -> &Shard {
        &self.shards[worker::index() % self.shards.len()]
    }

    /// A stream of a connection that has room. Where no more connections may be made (`is_full`, or
    /// this worker has many), one of the least busy connection: it waits for its turn there.
    pub(super) fn take(&self, is_full: impl Fn() -> bool) -> Option<Stream> {
        if !self.is_used.load(Ordering::Relaxed) {
            return None;
        }
        let own = worker::index() % self.shards.len();
        {
            let mut connections = self.shards[own].connections.lock();
            connections.retain(|shared| shared.is_alive() && !self.is_over(shared));
            let mut lasting = connections.iter_mut().filter(|shared| shared.home.lasts());
            if let Some(shared) = lasting.find(|shared| self.has_room(shared)) {
                return Some(shared.stream());
            }
            if connections.iter().filter(|shared| shared.home.lasts()).count() >= MAX_CONNECTIONS {
                return least_busy(&mut connections);
            }
        }
        if !is_full() {
            return None;
        }
        let count = self.shards.len();
        let mut shards = (0..count).map(|offset| &self.shards[(own + offset) % count]);
        shards.find_map(|shard| least_busy(&mut shard.connections.lock()))
    }

    fn has_room(&self, shared: &Shared) -> bool {
        let room = match shared.allowed.load(Ordering::Relaxed) {
            // What the server allows may not be known yet; streams wait in the connection.
            STREAMS_BEFORE_SETTINGS => self.max_streams,
            allowed => allowed.min(self.max_streams),
        };
        shared.usage.streams.load(Ordering::Relaxed) < room
    }

    fn is_over(&self, shared: &Shared) -> bool {
        let is_idle = shared.usage.streams.load(Ordering::Relaxed) == 0;
        is_idle && shared.used.elapsed() >= self.idle_timeout
    }

    /// Waits until this request may make a connection, unless another one failed to meanwhile.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let shard = self.own();
        let before = shard.failures.load(Ordering::Relaxed);
        let guard = shard.turn.lock().await;
        if shard.failures.load(Ordering::Relaxed) != before {
            return Turn::Failed;
        }
        Turn::Connect(Connecting { _guard: guard, failures: &shard.failures })
    }

    /// Adds a connection, and takes its first stream.
    pub(super) fn add(&self, made: Established, scheme: Scheme) -> Stream {
        let Established { sender, allowed, takes_tunnels } = made;
        let usage = Usage { streams: AtomicUsize::new(0), takes_tunnels, is_retired: AtomicBool::new(false) };
        let (usage, used, home) = (Arc::new(usage), Instant::now(), Home::here());
        let mut shared = Shared { sender, allowed, scheme, usage, used, home };
        let stream = shared.stream();
        self.own().connections.lock().push(shared);
        self.is_used.store(true, Ordering::Relaxed);
        stream
    }

    /// Lets requests that come find no connection; those that run go on.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            shard.connections.lock().clear();
        }
    }
}

fn least_busy(connections: &mut [Shared]) -> Option<Stream> {
    let alive = connections.iter_mut().filter(|shared| shared.is_alive() && shared.home.lasts());
    alive.min_by_key(|shared| shared.usage.streams.load(Ordering::Relaxed)).map(Shared::stream)
}

impl Shared {
    fn is_alive(&self) -> bool {
        !self.sender.is_closed() && !self.usage.is_retired.load(Ordering::Relaxed)
    }

    fn stream(&mut self) -> Stream {
        self.used = Instant::now();
        self.usage.streams.fetch_add(1, Ordering::Relaxed);
        Stream { sender: self.sender.clone(), scheme: self.scheme.clone(), usage: self.usage.clone() }
    }
}

/// A connection that nobody has taken a stream of.
pub(super) struct Established {
    pub(super) sender: SendRequest<Body>,
    allowed: Arc<AtomicUsize>,
    takes_tunnels: TakesTunnels,
}

/// Speaks HTTP/2 over a new connection, which ends with its last sender; `open` counts it until then.
pub(super) async fn handshake<S>(stream: S, open: OpenConnection) -> hyper::Result<Established>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
        .max_concurrent_reset_streams(MAX_GIVEN_UP)
        .handshake(TokioIo::new(stream))
        .await?;
    let allowed = Arc::new(AtomicUsize::new(STREAMS_BEFORE_SETTINGS));
    let look = Arc::new(Notify::new());
    let (tell, known) = watch::channel(None);
    let takes_tunnels = TakesTunnels { known, look: look.clone() };
    tokio::spawn(serve(connection, open, allowed.clone(), tell, look));
    Ok(Established { sender, allowed, takes_tunnels })
}

/// Moves the connection to its end, and tells what its SETTINGS say: `allowed` streams, and tunnels.
async fn serve<S>(
    mut connection: Connection<TokioIo<S>, Body, TokioExecutor>,
    _open: OpenConnection,
    allowed: Arc<AtomicUsize>,
    tell: watch::Sender<Option<bool>>,
    look: Arc<Notify>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut is_known = false;
    loop {
        let was_known = is_known;
        let is_over = poll_fn(|cx| {
            let polled = Pin::new(&mut connection).poll(cx);
            let streams = connection.current_max_send_streams();
            allowed.store(streams, Ordering::Relaxed);
            if !is_known {
                let takes = connection.is_extended_connect_protocol_enabled();
                // SETTINGS that say nothing of streams allow any number.
                is_known = takes || streams != STREAMS_BEFORE_SETTINGS;
                if is_known {
                    tell.send_replace(Some(takes));
                    return Poll::Ready(polled.is_ready());
                }
            }
            polled.map(|_| true)
        });
        tokio::select! {
            biased;
            is_over = is_over => if is_over {
                return;
            },
            () = look.notified(), if !was_known => {}
        }
    }
}

/// Puts the authority where HTTP/2 has it (RFC 9113 section 8.3.1).
pub(super) fn to_http2(mut request: Request<Body>, scheme: Scheme) -> Request<Body> {
    // Nothing of a hop of HTTP/1.1 goes on, nor does a question that nobody waits for the answer of.
    for name in [CONNECTION, UPGRADE, EXPECT] {
        request.headers_mut().remove(name);
    }
    let authority = request.headers().get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let path = request.uri().path_and_query().cloned();
    let target = authority.and_then(|authority| {
        let path = path.unwrap_or(PathAndQuery::from_static("/"));
        Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
    });
    if let Some(target) = target {
        request.headers_mut().remove(HOST);
        *request.uri_mut() = target;
        *request.version_mut() = Version::HTTP_2;
    }
    request
}

/// The way back, for a request that goes to another connection after all.
pub(super) fn to_http1(mut request: Request<Body>) -> Request<Body> {
    *request.version_mut() = Version::HTTP_11;
    let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = authority {
        request.headers_mut().insert(HOST, host);
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
    }
    request
}

/// Whether the server said that it has not looked at the request: its stream was refused, or is
/// beyond the last one of a GOAWAY (RFC 9113 sections 6.8 and 8.7). It may be sent again then.
pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
    find(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away()
                || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)))
    })
}

/// Whether one stream failed, and not the connection.
pub(super) fn is_reset(error: &hyper::Error) -> bool {
    find(error).is_some_and(h2::Error::is_reset)
}

fn find(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error)?.downcast_ref()
}
