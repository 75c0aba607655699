//! A small shop: an axum service with a login, a cart in the session, and a SQLite database.
//!
//! It has the faults that a demonstration needs: a search without an index that gets slow for
//! some words, and a payment that is refused now and then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::StatusCode;
use iap_core::Target;
use iap_core::html::escape;
use iap_session::{Session, StoreError};
use serde::Deserialize;
use serde_json::json;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row, Sqlite, SqlitePool};
use tracing::Instrument;

use super::faults::{self, Fault};

const PRODUCTS: [(&str, i64); 6] = [
    ("Espresso cup", 900),
    ("Teapot", 3_200),
    ("Notebook", 650),
    ("Desk lamp", 4_900),
    ("Backpack", 7_900),
    ("Umbrella", 2_400),
];

/// How long a request waits for a connection to the database.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a slow search takes, about.
const SLOW: Duration = Duration::from_millis(1_800);
/// Spellings that are tried to find out how fast this machine is.
const SAMPLE: i64 = 20_000;

#[derive(Clone)]
struct Shop {
    db: SqlitePool,
    /// How many spellings make a search slow on this machine.
    many: i64,
    /// Keeps the database's directory until the last clone is gone.
    _directory: Arc<tempfile::TempDir>,
}

/// The shop as a target, with a fresh database that goes with it.
pub(crate) async fn open() -> Result<Target, iap_core::BoxError> {
    let directory = Arc::new(tempfile::Builder::new().prefix("iap-demo-").tempdir()?);
    let options =
        SqliteConnectOptions::new().filename(directory.path().join("shop.db")).create_if_missing(true);
    let db =
        SqlitePoolOptions::new().max_connections(4).acquire_timeout(PATIENCE).connect_with(options).await?;
    sqlx::query("PRAGMA journal_mode = WAL").execute(&db).await?;
    sqlx::query("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL)")
        .execute(&db)
        .await?;
    sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY, user TEXT NOT NULL, total INTEGER NOT NULL)")
        .execute(&db)
        .await?;
    for (name, price) in PRODUCTS {
        let insert = sqlx::query("INSERT INTO product (name, price) VALUES (?, ?)");
        insert.bind(name).bind(price).execute(&db).await?;
    }
    let many = calibrate(&db).await?;
    Ok(Target::service("demo-shop", router(Shop { db, many, _directory: directory })))
}

/// Finds out how many spellings a slow search must try to be slow on any machine.
async fn calibrate(db: &SqlitePool) -> Result<i64, sqlx::Error> {
    let started = Instant::now();
    sqlx::query(SEARCH).bind(SAMPLE).bind("").fetch_all(db).await?;
    let ratio = SLOW.as_secs_f64() / started.elapsed().as_secs_f64().max(1e-6);
    Ok((SAMPLE as f64 * ratio) as i64)
}

fn router(shop: Shop) -> Router {
    let switches = faults::enabled().then(|| faults::switches(shop.db.clone()));
    let router = Router::new()
        .route("/", get(home))
        .route("/products", get(products))
        .route("/search", get(search))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/cart", get(cart).post(add_to_cart))
        .route("/checkout", post(checkout))
        .with_state(shop);
    match switches {
        Some(switches) => router.merge(switches),
        None => router,
    }
}

impl Shop {
    /// A connection to the database; how long that takes is seen in the call tree.
    async fn connection(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.db.acquire().instrument(tracing::info_span!("db.pool.acquire")).await
    }
}

/// Why a request of the shop failed.
enum ShopError {
    Database(sqlx::Error),
    Session(StoreError),
    Refused(StatusCode, &'static str),
}

impl From<sqlx::Error> for ShopError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for ShopError {
    fn from(error: StoreError) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        match self {
            Self::Database(error) => {
                tracing::error!(%error, "the shop's database failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "the shop is broken\n").into_response()
            }
            Self::Session(error) => {
                iap_core::Error::from(error).into_response(None).map(axum::body::Body::new)
            }
            Self::Refused(status, text) => (status, text).into_response(),
        }
    }
}

async fn home(Extension(session): Extension<Session>) -> Result<Html<String>, ShopError> {
    let user = session.user().await?;
    let greeting = match &user {
        Some(user) => format!("<p>Signed in as <b>{}</b>.</p>", escape(user)),
        None => {
            "<form method=post action=/login><input name=user value=alice> <button>Sign in</button></form>"
                .into()
        }
    };
    let products: String = PRODUCTS
        .iter()
        .enumerate()
        .map(|(index, (name, price))| {
            format!(
                "<li>{name}, ${:.2} <form style=display:inline method=post action=/cart>\
                 <button name=product value={}>Add</button></form>",
                *price as f64 / 100.0,
                index + 1
            )
        })
        .collect();
    Ok(Html(format!(
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Demo shop</title>\
         <style>body{{font:16px system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem}}</style>\
         <h1>Demo shop</h1>{greeting}<ul>{products}</ul><p><a href=/cart>Cart</a> \
         <form method=post action=/checkout><button>Check out</button></form>"
    )))
}

async fn products(State(shop): State<Shop>) -> Result<Response, ShopError> {
    let rows = sqlx::query("SELECT id, name, price FROM product ORDER BY name");
    let rows = rows.fetch_all(&mut *shop.connection().await?).await?;
    let products: Vec<_> = rows
        .iter()
        .map(|row| json!({ "id": row.get::<i64, _>(0), "name": row.get::<String, _>(1), "price": row.get::<i64, _>(2) }))
        .collect();
    Ok(Json(products).into_response())
}

#[derive(Deserialize)]
struct SearchQuery {
    #[serde(default)]
    q: String,
}

/// Compares every product with a list of spellings, without an index: the slow SQL of the demo.
const SEARCH: &str = "WITH RECURSIVE spelling(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM spelling WHERE n < ?) \
     SELECT name, (SELECT count(*) FROM spelling WHERE n % 7 = length(product.name) % 7) AS score \
     FROM product WHERE name LIKE '%' || ? || '%' ORDER BY score LIMIT 3";

/// Words of one or two letters try many spellings.
async fn search(State(shop): State<Shop>, Query(query): Query<SearchQuery>) -> Result<Response, ShopError> {
    let slow = query.q.chars().count() < 3 || faults::is(Fault::SlowSql);
    let spellings = if slow { shop.many } else { 100 };
    let rows = sqlx::query(SEARCH).bind(spellings).bind(&query.q);
    let rows = rows.fetch_all(&mut *shop.connection().await?).await?;
    tracing::info!(hits = rows.len(), "searched");
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(Json(names).into_response())
}

#[derive(Deserialize)]
struct LoginForm {
    user: String,
}

async fn login(
    Extension(session): Extension<Session>,
    axum::Form(form): axum::Form<LoginForm>,
) -> Result<Response, ShopError> {
    if form.user.is_empty() || form.user.len() > 64 {
        return Err(ShopError::Refused(StatusCode::BAD_REQUEST, "a name has 1 to 64 bytes\n"));
    }
    session.login(&form.user).await?;
    tracing::info!(user = form.user, "signed in");
    Ok(see_other("/"))
}

async fn logout(Extension(session): Extension<Session>) -> Result<Response, ShopError> {
    session.logout()?;
    Ok(see_other("/"))
}

fn see_other(path: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(http::header::LOCATION, path)]).into_response()
}

async fn cart(Extension(session): Extension<Session>) -> Result<Response, ShopError> {
    let cart: Vec<i64> = session.get("cart").await?.unwrap_or_default();
    Ok(Json(cart).into_response())
}

#[derive(Deserialize)]
struct CartForm {
    product: i64,
}

async fn add_to_cart(
    State(shop): State<Shop>,
    Extension(session): Extension<Session>,
    axum::Form(form): axum::Form<CartForm>,
) -> Result<Response, ShopError> {
    let find = sqlx::query("SELECT name FROM product WHERE id = ?").bind(form.product);
    if find.fetch_optional(&mut *shop.connection().await?).await?.is_none() {
        return Err(ShopError::Refused(StatusCode::NOT_FOUND, "there is no such product\n"));
    }
    if faults::is(Fault::Deploy) && form.product % 2 == 0 {
        tracing::error!(product = form.product, "the cart cannot hold a product without a discount");
        return Err(ShopError::Refused(StatusCode::INTERNAL_SERVER_ERROR, "the cart is broken\n"));
    }
    let mut cart: Vec<i64> = session.get("cart").await?.unwrap_or_default();
    cart.push(form.product);
    cart.truncate(50);
    session.insert("cart", &cart)?;
    Ok(see_other("/cart"))
}

/// One order in eight is refused by a payment service that is down.
async fn checkout(
    State(shop): State<Shop>,
    Extension(session): Extension<Session>,
) -> Result<Response, ShopError> {
    let Some(user) = session.user().await? else {
        return Err(ShopError::Refused(StatusCode::UNAUTHORIZED, "sign in first\n"));
    };
    let cart: Vec<i64> = session.get("cart").await?.unwrap_or_default();
    let mut connection = shop.connection().await?;
    let mut total = 0;
    for product in &cart {
        let price = sqlx::query("SELECT price FROM product WHERE id = ?").bind(product);
        total += price.fetch_one(&mut *connection).await?.get::<i64, _>(0);
    }
    let order = sqlx::query("INSERT INTO orders (user, total) VALUES (?, ?)").bind(&*user).bind(total);
    let id = order.execute(&mut *connection).await?.last_insert_rowid();
    if id % 8 == 0 {
        tracing::error!(order = id, "the payment service refused the connection");
        return Err(ShopError::Refused(StatusCode::INTERNAL_SERVER_ERROR, "the payment failed\n"));
    }
    session.remove("cart")?;
    tracing::info!(order = id, total, "ordered");
    Ok(see_other("/"))
}
