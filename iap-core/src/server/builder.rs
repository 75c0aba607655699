//! How a server is put together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tower::layer::util::{Identity, Stack as LayerStack};
use tower::{Layer, Service};

use super::listener::{self, Bound, Listener, Sockets};
use super::per_client::PerClient;
use super::serve::{Common, Shared, Timeouts};
use super::tls::TlsConfig;
use super::{Application, Phase, RunningServer, worker};
use crate::body::Body;
use crate::error::BoxError;
use crate::hooks::Hooks;
use crate::networks::Networks;
use crate::pipeline::{Clients, Dispatch, Limits, Pipeline, RequestIds, Stack};
use crate::route::RouteTable;

/// Collects the parts of a server. `start` binds the listeners and spawns the workers.
#[derive(Debug)]
pub struct ServerBuilder<H, L = Identity> {
    hooks: H,
    layer: L,
    has_layers: bool,
    listeners: Vec<Listener>,
    sockets: Sockets,
    routes: RouteTable,
    settings: Settings,
}

#[derive(Debug)]
struct Settings {
    workers: usize,
    limits: Limits,
    clients: Clients,
    timeouts: Timeouts,
    max_connections: usize,
    max_per_client: usize,
    application: Option<Handle>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No listener was given.
    #[error("a server needs at least one listener")]
    NoListener,
    /// The address belongs to another process.
    #[error("{0} is in use by another process: stop it, or choose another port")]
    Busy(SocketAddr),
    /// The address could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// A thread or runtime could not be made.
    #[error("cannot start a worker: {0}")]
    Worker(#[from] std::io::Error),
}

impl<H: Hooks> ServerBuilder<H> {
    pub(super) fn new(hooks: H) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            hooks,
            layer: Identity::new(),
            has_layers: false,
            listeners: Vec::new(),
            sockets: Sockets::default(),
            routes: RouteTable::default(),
            settings: Settings {
                workers,
                limits: Limits::default(),
                clients: Clients::default(),
                timeouts: Timeouts::default(),
                max_connections: 65_536,
                max_per_client: usize::MAX,
                application: None,
            },
        }
    }

    /// Sets the observer. Comes before [`ServerBuilder::layer`], since layers are built around it.
    #[must_use]
    pub fn hooks<N: Hooks>(self, hooks: N) -> ServerBuilder<N> {
        let Self { layer, has_layers, listeners, sockets, routes, settings, .. } = self;
        ServerBuilder { hooks, layer, has_layers, listeners, sockets, routes, settings }
    }
}

impl<H: Hooks, L> ServerBuilder<H, L> {
    /// Listens on an address for HTTP/1.1 and HTTP/2 with prior knowledge.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listeners.push(Listener::new(address));
        self
    }

    /// Listens on an address for TLS; ALPN chooses HTTP/2 or HTTP/1.1.
    #[must_use]
    pub fn listen_tls(mut self, address: SocketAddr, tls: TlsConfig) -> Self {
        self.listeners.push(Listener::new(address).tls(tls));
        self
    }

    /// Adds a listener with options of its own.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Listens with sockets that are there already, where their address is one of the listeners'. Others
    /// are bound anew; sockets that no listener asks for are closed.
    #[must_use]
    pub fn sockets(mut self, sockets: Sockets) -> Self {
        self.sockets = sockets;
        self
    }

    /// Sets the routes.
    #[must_use]
    pub fn routes(mut self, routes: RouteTable) -> Self {
        self.routes = routes;
        self
    }

    /// Adds a tower layer around the targets, after routing. The first layer added sees a request
    /// first.
    ///
    /// The request's extensions hold
    ///
    /// - [`MatchedRoute`](crate::MatchedRoute): the route's name, target and policies;
    /// - `Arc<`[`Connection`](crate::Connection)`>`: the client's address, TLS or not;
    /// - [`Transaction`](crate::Transaction), with an observer only: to record spans and facts. It
    ///   is also [`Transaction::current`](crate::Transaction::current) while a layer runs.
    ///
    /// Layers run on the connection's own thread, so they must not block. A layer that builds a new
    /// request has to take the extensions over: without them the target cannot be called. An error
    /// that is an [`Error`](crate::Error) becomes its own answer, any other 500; so does a panic.
    #[must_use]
    pub fn layer<N>(self, layer: N) -> ServerBuilder<H, LayerStack<N, L>> {
        let Self { hooks, layer: outer, listeners, sockets, routes, settings, .. } = self;
        let layer = LayerStack::new(layer, outer);
        ServerBuilder { hooks, layer, has_layers: true, listeners, sockets, routes, settings }
    }

    /// How many workers, each with a thread and sockets of its own. Default: one a core.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers.max(1);
        self
    }

    /// Bounds on a single request.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// How long a client may take.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// How many client connections may be open at once; further ones are closed when accepted.
    /// Default: 65,536.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// How many connections one client may have open at once; further ones are closed when accepted. A
    /// client is an IPv4 address or an IPv6 network of 64 bits. Behind a proxy or a NAT many people
    /// are one client; trusted proxies are not counted. Default: no limit but the one for all.
    #[must_use]
    pub fn max_connections_per_client(mut self, connections: usize) -> Self {
        self.settings.max_per_client = connections;
        self
    }

    /// Believes these peers when they say by `X-Forwarded-For`, `X-Forwarded-Proto` or `Forwarded` (RFC
    /// 7239) who is behind them: [`Connection::peer`](crate::Connection::peer) is then that client.
    /// Others can say what they like; upstreams get only what is known. Default: nobody.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: Networks) -> Self {
        self.settings.clients.trusted_proxies = proxies;
        self
    }

    /// Gives each request an id, which targets and clients see in a header field. Default: none.
    #[must_use]
    pub fn request_ids(mut self, ids: RequestIds) -> Self {
        self.settings.clients.request_ids = Some(ids);
        self
    }

    /// Runs embedded services on a runtime that is there already, which outlives the server. It
    /// needs tokio's timers (`enable_time`), which bound request bodies.
    /// Default: a multi-threaded runtime of the server's own, stopped with it.
    #[must_use]
    pub fn application(mut self, runtime: Handle) -> Self {
        self.settings.application = Some(runtime);
        self
    }

    /// Builds the pipeline without sockets: for tests, or to serve it yourself.
    pub fn into_pipeline<B>(self) -> Pipeline<H>
    where
        L: Layer<Dispatch<H>>,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        <L::Service as Service<Request<Body>>>::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let routes = Arc::new(ArcSwap::from_pointee(self.routes));
        let stack = self.has_layers.then(|| Stack::new(self.hooks.clone(), self.layer));
        Pipeline::new(self.hooks, routes, stack, self.settings.limits, self.settings.clients)
    }

    /// Binds all listeners and starts the workers. Either all of it happens or nothing.
    pub fn start<B>(mut self) -> Result<RunningServer, StartError>
    where
        L: Layer<Dispatch<H>>,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        <L::Service as Service<Request<Body>>>::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if self.listeners.is_empty() {
            return Err(StartError::NoListener);
        }
        let workers = self.settings.workers;
        let listeners = std::mem::take(&mut self.listeners)
            .into_iter()
            .map(|listener| listener::bind(listener, &mut self.sockets, workers))
            .collect::<Result<Vec<Bound>, _>>()?;
        let addresses = listeners.iter().map(|bound| bound.address).collect();
        let sockets = listeners.iter().map(Bound::duplicates).collect::<std::io::Result<Vec<_>>>()?;

        let (timeouts, max_connections) = (self.settings.timeouts, self.settings.max_connections);
        let exempt = self.settings.clients.trusted_proxies.clone();
        let per_client = PerClient::new(self.settings.max_per_client, exempt);
        let application = match self.settings.application.take() {
            Some(handle) => Application::Shared(handle),
            None => Application::own()?,
        };
        let pipeline = Arc::new(self.into_pipeline());
        let (drain, phase) = watch::channel(Phase::Run);
        let (open, accepting) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let common = Common {
            pipeline: pipeline.clone(),
            timeouts,
            max_connections,
            per_client,
            open: open.clone(),
            accepting: accepting.clone(),
        };
        let shared = Shared { common: Arc::new(common), phase };
        let workers = worker::spawn_all(workers, listeners, &shared, &application.handle())?;
        let (workers, runtimes) = workers.into_iter().unzip();
        let routes = pipeline.routes_handle();
        let sockets = sockets.into_iter().flatten().collect();
        Ok(RunningServer {
            addresses,
            sockets,
            routes,
            drain,
            open,
            accepting,
            workers,
            runtimes,
            application,
        })
    }
}
