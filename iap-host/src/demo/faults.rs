//! Faults that the demo has on demand, for those who want to see them found: `iap-host demo --faults`, then `PUT` and `DELETE` of
//! `/faults/NAME` at the shop.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, put};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use iap_core::BoxError;
use parking_lot::Mutex;
use sqlx::SqlitePool;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

use super::stock::Stock;
use crate::config::Config;

/// How long a connection is kept from others while the pool is exhausted.
const HELD: Duration = Duration::from_millis(900);
/// How much later a store answers.
pub(super) const LATE: Duration = Duration::from_millis(400);

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Each search tries as many spellings as a slow one.
    SlowSql,
    /// All connections to the database are held by others.
    Pool,
    /// Nobody listens where the deliveries are asked for.
    Upstream,
    /// The session store answers late.
    Store,
    /// The cart of another version fails.
    Deploy,
    /// Many sign in at once.
    LoginStorm,
    /// The stock's JVM does little but collect garbage.
    Gc,
    /// It gives no memory back.
    Memory,
}

const NAMES: [(&str, Fault); 8] = [
    ("slow-sql", Fault::SlowSql),
    ("pool", Fault::Pool),
    ("upstream", Fault::Upstream),
    ("store", Fault::Store),
    ("deploy", Fault::Deploy),
    ("login-storm", Fault::LoginStorm),
    ("gc", Fault::Gc),
    ("memory", Fault::Memory),
];

impl FromStr for Fault {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault).ok_or(())
    }
}

/// Which faults there are at present; made once, by the switch of the command line.
static FAULTS: OnceLock<Faults> = OnceLock::new();

#[derive(Debug, Default)]
struct Faults {
    on: [AtomicBool; NAMES.len()],
    /// Where deliveries are asked for.
    delivery: Mutex<Option<SocketAddr>>,
    server: Mutex<Option<JoinHandle<()>>>,
    /// Absent where there is no JDK.
    stock: OnceLock<Stock>,
}

/// Makes faults possible: starts the upstream that can die, and adds the application in a JVM. Gives the address of the former.
pub(crate) async fn enable(config: &mut Config) -> Result<SocketAddr, BoxError> {
    let faults = FAULTS.get_or_init(Faults::default);
    let address = serve(faults, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    *faults.delivery.lock() = Some(address);
    if let Some(stock) = Stock::add(config)? {
        let _ = faults.stock.set(stock);
    }
    Ok(address)
}

/// Whether there is an application in a JVM.
pub(super) fn has_stock() -> bool {
    FAULTS.get().is_some_and(|faults| faults.stock.get().is_some())
}

/// Whether faults are possible.
pub(crate) fn enabled() -> bool {
    FAULTS.get().is_some()
}

/// Whether there is a fault now.
pub(crate) fn is(fault: Fault) -> bool {
    FAULTS.get().is_some_and(|faults| faults.on[fault as usize].load(Ordering::Relaxed))
}

/// The switches, as a part of the shop.
pub(super) fn switches(db: SqlitePool) -> Router {
    let turn = |db: SqlitePool, on: bool| {
        move |Path(name): Path<String>| async move {
            let Ok(fault) = name.parse::<Fault>() else { return StatusCode::NOT_FOUND };
            match switch(fault, on, &db).await {
                Ok(()) => StatusCode::NO_CONTENT,
                Err(error) => {
                    tracing::warn!(%error, name, "a fault could not be switched");
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            }
        }
    };
    Router::new().route("/faults/{name}", put(turn(db.clone(), true)).delete(turn(db, false)))
}

async fn switch(fault: Fault, on: bool, db: &SqlitePool) -> Result<(), BoxError> {
    let Some(faults) = FAULTS.get() else { return Ok(()) };
    let was = faults.on[fault as usize].swap(on, Ordering::Relaxed);
    match fault {
        Fault::Upstream if on => {
            if let Some(server) = faults.server.lock().take() {
                server.abort();
            }
        }
        Fault::Upstream if was => {
            let address = faults.delivery.lock().ok_or("the demo has no upstream")?;
            serve(faults, address).await?;
        }
        Fault::Pool if on && !was => hold(db),
        Fault::Gc | Fault::Memory => {
            let stock = faults
                .stock
                .get()
                .ok_or("there is no JDK (javac) for the application that can have this fault")?;
            let (name, _) = NAMES[fault as usize];
            stock.switch(name, on)?;
        }
        _ => {}
    }
    Ok(())
}

/// Takes all connections, again and again.
fn hold(db: &SqlitePool) {
    for _ in 0..db.options().get_max_connections() {
        let db = db.clone();
        tokio::spawn(async move {
            while is(Fault::Pool) {
                let held = db.acquire().await;
                tokio::time::sleep(HELD).await;
                drop(held);
            }
        });
    }
}

/// The service that tells when a parcel comes, until it is killed.
async fn serve(faults: &Faults, address: SocketAddr) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/delivery", get(|| async { "the day after tomorrow\n" }));
    // Dropped with its connections: what is killed answers nobody.
    let server = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let router = router.clone();
            let service = hyper::service::service_fn(move |request| router.clone().oneshot(request));
            let io = TokioIo::new(stream);
            connections.spawn(async move {
                let _ = http1::Builder::new().serve_connection(io, service).await;
            });
            while connections.try_join_next().is_some() {}
        }
    });
    *faults.server.lock() = Some(server);
    Ok(address)
}
