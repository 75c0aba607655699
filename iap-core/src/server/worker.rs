//! The thread of one core: a single-threaded runtime and its accept loops.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};

use super::Phase;
use super::listener::{Bound, Entry};
use super::per_client::PerClientSlot;
use super::serve::{Shared, serve};
use crate::hooks::Hooks;

thread_local! {
    static APPLICATION: RefCell<Option<Handle>> = const { RefCell::new(None) };
    static HOME: Cell<Home> = const { Cell::new(Home::NO_WORKER) };
}

/// The runtime that something lives on: its sockets and timers are driven by its thread, and end with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home {
    server: u64,
    worker: usize,
}

impl Home {
    const NO_WORKER: Self = Self { server: 0, worker: 0 };

    /// That of this thread.
    pub(crate) fn here() -> Self {
        HOME.get()
    }

    /// Whether what lives there lasts as long as what this thread does. Another server may stop before:
    /// the one that this thread's has taken over from.
    pub(crate) fn lasts(self) -> bool {
        self == Self::NO_WORKER || self.server == Self::here().server
    }
}

fn next_server() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// The number of this worker; 0 on threads that are none.
pub(crate) fn index() -> usize {
    Home::here().worker
}

/// The application runtime, where this thread is a worker of a server.
pub(crate) fn application() -> Option<Handle> {
    APPLICATION.with_borrow(Clone::clone)
}

pub(super) fn spawn_all<H: Hooks>(
    count: usize,
    listeners: Vec<Bound>,
    shared: &Shared<H>,
    application: &Handle,
) -> io::Result<Vec<(JoinHandle<()>, Handle)>> {
    let mut sockets: Vec<Vec<(std::net::TcpListener, Entry)>> = Vec::new();
    sockets.resize_with(count, Vec::new);
    for bound in listeners {
        for (worker, own) in bound.sockets.into_iter().enumerate() {
            sockets[worker].extend(own.into_iter().map(|socket| (socket, bound.entry.clone())));
        }
    }
    let server = next_server();
    let spawn = |(index, sockets)| {
        let (shared, application) = (shared.clone(), application.clone());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let thread = std::thread::Builder::new().name(format!("iap-worker-{index}"));
        let thread = thread.spawn(move || {
            HOME.set(Home { server, worker: index });
            APPLICATION.set(Some(application));
            runtime.block_on(run(sockets, shared));
        });
        Ok((thread?, handle))
    };
    sockets.into_iter().enumerate().map(spawn).collect()
}

/// Accepts until asked to drain; then keeps the runtime turning until told to stop.
async fn run<H: Hooks>(sockets: Vec<(std::net::TcpListener, Entry)>, mut shared: Shared<H>) {
    for (socket, entry) in sockets {
        match TcpListener::from_std(socket) {
            Ok(listener) => drop(tokio::spawn(accept_loop(
                listener,
                Arc::new(entry),
                shared.clone(),
                Accepting::new(&shared),
            ))),
            Err(error) => tracing::error!(%error, "a listener could not be registered"),
        }
    }
    // An error means that the server handle is gone, which is a stop as well.
    let _ = shared.phase.wait_for(|phase| *phase == Phase::Stop).await;
}

async fn accept_loop<H: Hooks>(
    listener: TcpListener,
    entry: Arc<Entry>,
    mut shared: Shared<H>,
    _accepting: Accepting,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shared.phase.wait_for(|phase| *phase != Phase::Run) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let open = shared.open.fetch_add(1, Ordering::Relaxed);
                let per_client = shared.per_client.enter(peer.ip());
                let slot = OpenSlot(shared.open.clone(), per_client);
                if open >= shared.max_connections || slot.1.is_none() {
                    let reason = if slot.1.is_none() { "limit_per_client" } else { "limit" };
                    metrics::counter!("iap_connections_refused_total", "reason" => reason).increment(1);
                    continue;
                }
                tokio::spawn(serve(stream, peer, entry.clone(), shared.clone(), slot));
            }
            Err(error) => {
                // Out of file descriptors or memory: retrying at once would spin.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Counts one socket that is still accepted from.
struct Accepting(Arc<AtomicUsize>);

impl Accepting {
    fn new<H: Hooks>(shared: &Shared<H>) -> Self {
        shared.accepting.fetch_add(1, Ordering::Relaxed);
        Self(shared.accepting.clone())
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Counts one open connection down when it ends, however it ends.
#[derive(Debug)]
pub(super) struct OpenSlot(Arc<AtomicUsize>, Option<PerClientSlot>);

impl Drop for OpenSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
