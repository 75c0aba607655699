//! The APM inside an existing axum service, without our gateway: each request one transaction with
//! its call tree, its SQL and its log lines.
//!
//! `cargo run -p iap-examples --bin apm_axum`, then `curl http://127.0.0.1:3000/users/1`: the call
//! tree appears on the terminal.
#![allow(clippy::print_stdout)] // An example talks to its reader.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::StatusCode;
use iap_apm::{Apm, SpanNode, TransactionQuery, Window};
use iap_core::BoxError;
use sqlx::{Row, SqlitePool};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

async fn user(State(db): State<SqlitePool>, Path(id): Path<i64>) -> Result<String, StatusCode> {
    let row = sqlx::query("SELECT name FROM user WHERE id = ?").bind(id).fetch_optional(&db).await;
    let row = row.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.ok_or(StatusCode::NOT_FOUND)?;
    tracing::info!(id, "found");
    Ok(row.get(0))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // Three lines make a service observable: the APM, its layer for `tracing`, its layer for tower.
    let apm = Apm::builder().service_name("users").build()?;
    tracing_subscriber::registry().with(apm.tracing_layer().filtered()).init();

    let db = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").execute(&db).await?;
    sqlx::query("INSERT INTO user (name) VALUES ('alice')").execute(&db).await?;
    let app = Router::new().route("/users/{id}", get(user)).with_state(db).layer(apm.tower_layer());

    let port = if iap_examples::is_check() { 0 } else { 3000 };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}/users/1");
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    if iap_examples::is_check() {
        assert_eq!(iap_examples::get(address, "/users/1").await.text, "alice");
        assert_eq!(iap_examples::get(address, "/users/2").await.status, 404);
        let shown = show(&apm).await?;
        assert!(
            shown.contains("SELECT name FROM user WHERE id = ?") && shown.contains("log: found"),
            "{shown}"
        );
    } else {
        iap_examples::until_ctrl_c().await;
        show(&apm).await?;
    }
    server.abort();
    apm.shutdown().await?;
    Ok(())
}

/// Prints the call trees of all transactions.
async fn show(apm: &Apm) -> Result<String, BoxError> {
    apm.flush().await?;
    let mut text = String::new();
    for row in apm.history().transactions(&TransactionQuery::new(Window::all())).await?.items {
        if let Some(trace) = apm.history().trace(row.trace_id).await? {
            for root in &trace.tree().roots {
                write_node(root, 0, &mut text);
            }
        }
    }
    print!("{text}");
    Ok(text)
}

fn write_node(node: &SpanNode, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let what = node.span.sql().unwrap_or(&node.span.name);
    text.push_str(&format!("{indent}{what} ({:.2} ms)\n", node.span.duration_us as f64 / 1000.0));
    for line in &node.logs {
        text.push_str(&format!("{indent}  log: {}\n", line.message));
    }
    for child in &node.children {
        write_node(child, depth + 1, text);
    }
}
