//! The server: listeners, one single-threaded runtime a core for connections, one multi-threaded
//! runtime for applications.
//!
//! | file | holds |
//! |---|---|
//! | `builder` | how a server is put together |
//! | `listener` | sockets, one a worker, and the check for a busy port |
//! | `worker` | the thread of one core and its accept loop |
//! | `serve` | the life of one client connection: who it is, TLS, which HTTP |
//! | `peek` | the first bytes of a connection |
//! | `proxy_protocol` | who is behind a proxy that forwards bytes |
//! | `h1`, `h2` | HTTP/1.1 and HTTP/2 on one connection |
//! | `rest` | the time between two requests of HTTP/1.1 |
//! | `wire` | HTTP/1's bytes below the parser: strict line ends, refusals, early hints |
//! | `tls` | certificates |
//! | `client_stream` | the socket of a client: bounds on writing, a close that can be read |
//! | `per_client` | how many connections each client has |
//! | `activity` | whether an HTTP/2 connection is in use |
//!
//! Why not one multi-threaded runtime: measured as a proxy against nginx, a runtime a core with
//! its own upstream connections answers about 1.75 times the requests of a work-stealing one.

mod activity;
mod builder;
mod client_stream;
mod h1;
mod h2;
mod listener;
mod peek;
mod per_client;
mod proxy_protocol;
mod rest;
mod serve;
mod tls;
mod wire;
pub(crate) mod worker;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

use crate::route::RouteTable;

#[cfg(any(test, fuzzing))]
pub(crate) use self::{proxy_protocol::fuzz as fuzz_proxy_header, wire::scan::fuzz::scan as fuzz_scan};
pub use builder::{ServerBuilder, StartError};
pub use listener::{Listener, Sockets};
pub use serve::Timeouts;
pub(crate) use tls::read_chain;
pub use tls::{Certificate, CertificateFacts, ClientAuth, TlsBuilder, TlsConfig, TlsError};

/// Entry point: [`Server::builder`].
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Puts a server together: listeners, routes, layers, observer.
    pub fn builder() -> ServerBuilder<()> {
        ServerBuilder::new(())
    }
}

/// A server that accepts connections. Dropping it stops it hard; see [`RunningServer::shutdown`].
#[derive(Debug)]
pub struct RunningServer {
    addresses: Vec<SocketAddr>,
    sockets: Vec<TcpListener>,
    routes: Arc<ArcSwap<RouteTable>>,
    drain: watch::Sender<Phase>,
    open: Arc<AtomicUsize>,
    accepting: Arc<AtomicUsize>,
    workers: Vec<JoinHandle<()>>,
    runtimes: Vec<Handle>,
    application: Application,
}

/// The runtime of embedded services.
#[derive(Debug)]
enum Application {
    Own(Option<Runtime>),
    Shared(Handle),
}

impl Application {
    fn own() -> std::io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().thread_name("iap-app").enable_all().build()?;
        Ok(Self::Own(Some(runtime)))
    }

    fn handle(&self) -> Handle {
        match self {
            Self::Own(runtime) => runtime.as_ref().expect("present until dropped").handle().clone(),
            Self::Shared(handle) => handle.clone(),
        }
    }
}

/// A runtime must not be dropped from async code, where a server often is.
impl Drop for Application {
    fn drop(&mut self) {
        if let Self::Own(runtime) = self
            && let Some(runtime) = runtime.take()
        {
            runtime.shutdown_background();
        }
    }
}

/// What connections are asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Serve.
    Run,
    /// Accept nothing, finish what runs.
    Drain,
    /// Close at once.
    Stop,
}

impl RunningServer {
    /// The bound addresses, in the order of the listeners; a port of 0 is resolved here.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The listening sockets once more, for a server that takes over: start it with them
    /// ([`ServerBuilder::sockets`]), then shut this one down. No connection is refused or lost on the
    /// way. An error where there are no file descriptors left.
    pub fn sockets(&self) -> std::io::Result<Sockets> {
        self.sockets.iter().map(TcpListener::try_clone).collect::<Result<_, _>>().map(Sockets::new)
    }

    /// The routes at this moment.
    pub fn routes(&self) -> Arc<RouteTable> {
        self.routes.load_full()
    }

    /// Replaces all routes at once. Requests that run go on with the old ones. A table made by
    /// [`RouteTable::replacing`] goes on counting where the one before has.
    pub fn set_routes(&self, routes: RouteTable) {
        self.routes.store(Arc::new(routes));
    }

    /// How many client connections are open.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The runtimes of the workers, by number: to look how they are doing. They end with the server.
    pub fn workers(&self) -> &[Handle] {
        &self.runtimes
    }

    /// The runtime that applications run on, for background work that belongs to them.
    pub fn application(&self) -> Handle {
        self.application.handle()
    }

    /// Begins to drain, and waits until no worker accepts connections any more, at most for a while: from then on those who
    /// come meet whoever else has the sockets. [`shutdown`](Self::shutdown) goes on from here.
    pub async fn stop_accepting(&mut self, limit: Duration) {
        // A socket that is open somewhere goes on taking connections which nobody would accept.
        self.sockets.clear();
        self.drain.send_replace(Phase::Drain);
        let started = tokio::time::Instant::now();
        while self.accepting.load(Ordering::Acquire) > 0 && started.elapsed() < limit {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Drains: stops accepting, lets running requests finish (HTTP/2 clients get a GOAWAY), and
    /// closes what is left after `deadline`. Returns how many connections had to be closed hard.
    pub async fn shutdown(mut self, deadline: Duration) -> usize {
        let started = tokio::time::Instant::now();
        self.stop_accepting(deadline).await;
        while self.open_connections() > 0 && started.elapsed() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let left = self.open_connections();
        self.stop();
        left
    }

    fn stop(&mut self) {
        self.sockets.clear();
        self.drain.send_replace(Phase::Stop);
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so on standard error already.
            let _ = worker.join();
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.stop();
    }
}
