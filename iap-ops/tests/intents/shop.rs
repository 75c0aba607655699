//! A month of a shop with a daily shape, users, failures and a slow statement.

use std::sync::Arc;

use iap_apm::history::BoxFuture;
use iap_apm::{History, SqliteHistory, SqliteOptions, Window};
use iap_core::BoxError;
use iap_ops::{
    Answer, Assistant, AudienceKind, Change, ChangeKind, Estate, InstanceState, Live, ServerState,
    SessionStats, StoreNumbers,
};

use crate::load::{Load, MINUTE, MS, NOW_MS, NOW_US, Sessions, assistant, payment, query};

pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// What the process knows of itself.
struct Known;

impl Estate for Known {
    fn audience(&self, window: Window) -> BoxFuture<'_, Result<Option<Vec<AudienceKind>>, BoxError>> {
        let points = (0..12).map(|n| (window.from_us / 1_000 + n * 300_000, 10 + n)).collect();
        let kind = AudienceKind { by: "session".into(), now: 7, window: 42, points };
        Box::pin(std::future::ready(Ok(Some(vec![kind]))))
    }

    fn servers(&self) -> Vec<ServerState> {
        let server = |address: &str, state: &str| ServerState {
            upstream: "pay".into(),
            address: address.into(),
            state: state.into(),
            in_flight: 3,
            connections: 4,
            failed: 9,
            last_error: Some("connection refused".into()),
        };
        vec![server("10.0.0.8:8443", "up"), server("10.0.0.9:8443", "unhealthy")]
    }

    fn instances(&self) -> Vec<InstanceState> {
        vec![InstanceState {
            process: "mail".into(),
            number: 0,
            state: "ready".into(),
            since_ms: NOW_MS - 3_600_000,
            restarts: 2,
            last_exit: Some("signal 9".into()),
        }]
    }

    fn changes(&self) -> Vec<Change> {
        let change = |minutes: u64, kind, what: &str| Change {
            at_ms: NOW_MS - minutes * 60_000,
            kind,
            what: what.into(),
        };
        vec![
            change(5, ChangeKind::Reloaded, "routes, upstreams"),
            change(60, ChangeKind::Refused, "iap.yaml:3:1: unknown field"),
            change(3 * 24 * 60, ChangeKind::Started, "0.1.0"),
        ]
    }
}

/// One transaction, with its user, three hours a day more than in the others.
pub(crate) fn month() -> Load {
    let mut load = Load::new();
    for hour in 0..28 * 24 {
        let start = NOW_US - NOW_US % HOUR - (28 * 24 - hour) * HOUR;
        let busy = if hour % 24 < 8 { 2 } else { 5 };
        for n in 0..busy {
            load.add("home", start + n * MINUTE, (5 + n) * MS, 200, &[]);
        }
    }
    // Two incidents of the month before.
    for day in [30, 40] {
        for n in 0..20 {
            let start = NOW_US - day * DAY + n * 10_000 * MS;
            let child = payment(20 * MS, n % 2 == 0);
            load.add("pay", start, 25 * MS, if n % 2 == 0 { 502 } else { 200 }, &[child]);
        }
    }
    load
}

/// The last hour: `orders` waits for a statement, `pay` for an upstream that fails at times.
pub(crate) fn hour(load: &mut Load) {
    for n in 0..1_200 {
        let start = NOW_US - 50 * MINUTE + n * 2_000 * MS;
        let child = payment(200 * MS, n % 100 == 0);
        load.add("pay", start, (210 + n % 90) * MS, if n % 100 == 0 { 502 } else { 200 }, &[child]);
    }
    for n in 0..60 {
        let start = NOW_US - 40 * MINUTE + n * 30_000 * MS;
        let sql = format!("SELECT * FROM orders WHERE customer = {n} AND created > 7");
        load.add("orders", start, (1_500 + n) * MS, 200, &[query(&sql, 10 * MS, (1_400 + n) * MS)]);
    }
    for (at, row) in load.batch.transactions.iter_mut().enumerate() {
        row.user = Some(if at % 3 == 0 { "alice" } else { "bora" }.into());
        if row.failed {
            row.error = Some("upstream_refused".into());
            row.message = Some("connection refused by 10.0.0.9".into());
        }
    }
}

pub(crate) async fn shop() -> Assistant {
    let mut load = month();
    hour(&mut load);
    let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
    history.append(Arc::new(load.batch)).await.expect("kept");
    let store = StoreNumbers { backend: "memory", exact: true, bytes: Some(5_000), expired: 12, evicted: 0 };
    let sessions = Sessions(Ok(SessionStats { active: 31, store: Some(store) }));
    assistant(Live::new(Arc::new(history)).with_sessions(Arc::new(sessions)).with_estate(Arc::new(Known)))
}

pub(crate) async fn ask(assistant: &Assistant, question: &str) -> Answer {
    assistant.ask(question).await.expect("an answer")
}
