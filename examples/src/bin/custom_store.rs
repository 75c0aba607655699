//! A session store of your own: sessions in a SQLite file, behind the session layer and an axum
//! application. The store is in `src/sqlite_store`; this is how it is put to use, and tested.
//!
//! `cargo run -p iap-examples --bin custom_store`, then
//! `curl -c jar -X POST http://127.0.0.1:8080/login/alice`, restart the example, and
//! `curl -b jar http://127.0.0.1:8080/cart`: still logged in.
#![allow(clippy::print_stdout)] // An example talks to its reader.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Extension, Router, extract};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, StatusCode};
use iap_core::server::RunningServer;
use iap_core::{BoxError, ManualClock, Route, RouteTable, Server, SystemClock, Target};
use iap_examples::sqlite_store::SqliteStore;
use iap_session::testing::{Fixture, conformance};
use iap_session::{Session, SessionIds, SessionLayer, StoreError};

/// From a secret store in earnest. The same after a restart, or the cookies are worth nothing.
const SECRET: &[u8] = b"an example, so not much of a secret";

/// What the application answers when the session fails: the mapping of the gateway.
struct Failed(StoreError);

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        iap_core::Error::from(self.0).into_response(None).map(axum::body::Body::new)
    }
}

async fn login(
    Extension(session): Extension<Session>,
    extract::Path(user): extract::Path<String>,
) -> Result<String, Failed> {
    session.login(&user).await?;
    Ok(format!("hello {user}\n"))
}

async fn add(
    Extension(session): Extension<Session>,
    extract::Path(item): extract::Path<String>,
) -> Result<StatusCode, Failed> {
    let mut cart: Vec<String> = session.get("cart").await?.unwrap_or_default();
    cart.push(item);
    session.insert("cart", cart)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn cart(Extension(session): Extension<Session>) -> Result<String, Failed> {
    let user = session.user().await?;
    let cart: Vec<String> = session.get("cart").await?.unwrap_or_default();
    Ok(format!("{}: {}\n", user.as_deref().unwrap_or("nobody"), cart.join(", ")))
}

/// One life of the service: a store on `file`, and a server over it.
async fn start(file: &Path, port: u16) -> Result<(Arc<SqliteStore>, RunningServer), BoxError> {
    let store = SqliteStore::open(file, SessionIds::new(SECRET)?, Arc::new(SystemClock)).await?;
    let store = Arc::new(store);
    let app = Router::new()
        .route("/login/{user}", post(login))
        .route("/cart/{item}", post(add))
        .route("/cart", get(cart));
    let server = Server::builder()
        .listen(([127, 0, 0, 1], port).into())
        .routes(RouteTable::new([Route::new("shop", "/", Target::service("shop", app))])?)
        .layer(SessionLayer::new(store.clone()))
        .start()?;
    println!("listening on http://{}/cart", server.addresses()[0]);
    Ok((store, server))
}

async fn stop((store, server): (Arc<SqliteStore>, RunningServer)) {
    server.shutdown(Duration::from_secs(5)).await;
    store.close().await;
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if iap_examples::is_check() {
        let directory = tempfile::tempdir()?;
        conforms(directory.path()).await;
        survives_a_restart(&directory.path().join("shop.db")).await
    } else {
        let running = start(Path::new("sessions.db"), 8080).await?;
        iap_examples::until_ctrl_c().await;
        stop(running).await;
        Ok(())
    }
}

/// The suite that every store has to pass, each part of it on a new file.
async fn conforms(directory: &Path) {
    let number = &std::sync::atomic::AtomicU32::new(0);
    conformance(|| async move {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = directory.join(format!("{number}.db"));
        let clock = ManualClock::at(1_700_000_000_000);
        let store = SqliteStore::open(&file, SessionIds::ephemeral(), Arc::new(clock.clone())).await;
        Fixture {
            store: Arc::new(store.expect("a new file opens")),
            advance: Box::new(move |by| clock.advance(by)),
        }
    })
    .await;
    println!("the store conforms");
}

/// Log in, put something into the cart, restart, look again.
async fn survives_a_restart(file: &Path) -> Result<(), BoxError> {
    let first = start(file, 0).await?;
    let address = first.1.addresses()[0];
    let login = iap_examples::send(address, Request::post("/login/alice")).await;
    assert_eq!((login.status, login.text.as_str()), (200, "hello alice\n"));
    let cookie = login.headers[SET_COOKIE].to_str()?.split(';').next().unwrap_or_default().to_owned();
    let add = iap_examples::send(address, Request::post("/cart/tea").header(COOKIE, &cookie)).await;
    assert_eq!(add.status, 204);
    stop(first).await;

    let second = start(file, 0).await?;
    let address = second.1.addresses()[0];
    let cart = iap_examples::send(address, Request::get("/cart").header(COOKIE, &cookie)).await;
    assert_eq!(cart.text, "alice: tea\n", "still logged in");
    assert_eq!(iap_examples::get(address, "/cart").await.text, "nobody: \n", "another browser");
    stop(second).await;
    println!("a restart lost nothing");
    Ok(())
}
