mod faults;

use std::path::Path;

use iap_core::ManualClock;
use iap_core::upstream::UpstreamTlsSettings;

use super::*;
use crate::history::{MetricFunction, SeriesPoints, SpanColumn};
use crate::model::{
    MetricKind, MetricPoint, MetricSeries, MetricValue, Span, SpanKind, SpanStatus, Temporality,
};
use crate::testing::{ClickHouseServer, conformance, span, spans, summary, trace_id, transactions};

const DAY: Duration = Duration::from_secs(86_400);
const T0: u64 = 1_700_000_000_000_000;
/// When a counter is first reported, after its start.
const SECONDS: u64 = 5_000_000;

fn history(settings: ClickHouseSettings) -> ClickHouseHistory {
    ClickHouseHistory::open(settings, &Handle::current()).expect("settings that can be used")
}

/// What a statement of a test answers, which is text.
async fn told(history: &ClickHouseHistory, sql: &str) -> String {
    let sql = format!("SELECT toString(arraySort(groupArray(told))) FROM (SELECT {sql})");
    let answer = history.shared.client.select(&sql, client::Params::default()).await.expect("an answer");
    rows::Reader::all(&answer, rows::Reader::text).expect("text").remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_what_every_history_does() {
    let Some(server) = ClickHouseServer::start() else { return };
    conformance(|| async { Arc::new(history(server.settings())) as Arc<dyn History> }).await;
}

/// A counter that was 100 at a time and 130 ten seconds later.
fn counter(at_us: u64) -> Arc<Batch> {
    let series = MetricSeries {
        service: "a".into(),
        name: "hits".into(),
        kind: MetricKind::Counter,
        temporality: Temporality::Cumulative,
        labels: Default::default(),
        unit: String::new(),
        description: String::new(),
    };
    let point = |time_us, number| MetricPoint { time_us, start_us: T0, value: MetricValue::Number(number) };
    let points = vec![point(at_us, 100.0), point(at_us + 10_000_000, 130.0)];
    Arc::new(Batch { metrics: vec![SeriesPoints { series, points }], ..Batch::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_on_another_day_counts_once() {
    let Some(server) = ClickHouseServer::start() else { return };
    let clock = ManualClock::at(T0 / 1_000);
    let settings = ClickHouseSettings {
        clock: Arc::new(clock.clone()),
        node: "node-1".into(),
        // The server's clock is not the test's: what is long past must not go.
        retention: Retention::of_all(Retention::LONGEST),
        ..server.settings()
    };
    let day = history(settings.clone());
    let traces = spans(1, vec![span(1, None, T0, 5), span(2, Some(1), T0, 5)]);
    let batches =
        [transactions(vec![summary(1, T0, 5), summary(2, T0 + 1, 5)]), traces, counter(T0 + SECONDS)];
    for batch in &batches {
        day.append(batch.clone()).await.expect("kept");
    }
    clock.advance(DAY);
    // Another process writes to the same tables, and hears what the first one has not acknowledged.
    let next = history(ClickHouseSettings { node: "node-2".into(), ..settings });
    for batch in batches.iter().chain([&counter(T0 + SECONDS + 86_400_000_000)]) {
        next.append(batch.clone()).await.expect("kept");
    }
    let parts = "partition AS told FROM system.parts WHERE database = currentDatabase() AND active
        AND table = 'transactions'";
    assert_eq!(told(&next, parts).await, "['2023-11-14','2023-11-15']", "days of arrival");
    assert_eq!(told(&next, "DISTINCT node AS told FROM transactions").await, "['node-1','node-2']");
    for history in [&day, &next] {
        let page = history.transactions(&TransactionQuery::new(Window::all())).await.expect("a page");
        assert_eq!((page.items.len(), page.next), (2, None));
        let stats = history.route_stats(Window::all()).await.expect("figures");
        assert_eq!((stats.len(), stats[0].count), (1, 2));
        let trace = history.trace(trace_id(1)).await.expect("readable").expect("present");
        assert_eq!(trace.spans.len(), 2);
        for (at_us, gained) in [(T0, 130.0), (T0 + 86_400_000_000, 30.0)] {
            let mut query = MetricQuery::new("hits", Window::new(at_us, at_us + 60_000_000));
            (query.step_us, query.function) = (60_000_000, Some(MetricFunction::Sum));
            let answer = history.metric(&query).await.expect("an answer");
            assert_eq!(answer.groups[0].values, [Some(gained)], "known before since the first day");
        }
    }
    let series = "toString(count()) AS told FROM metric_series";
    assert_eq!(told(&next, series).await, "['2']", "told once a day, so that it goes with its points");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_made_once_and_kept_as_the_settings_say() {
    let Some(server) = ClickHouseServer::start() else { return };
    let settings = server.settings();
    let first = history(settings.clone());
    first.append(transactions(vec![summary(1, T0, 5)])).await.expect("kept");
    drop(first);
    let retention = Retention { spans: 3 * DAY, ..settings.retention };
    let again = history(ClickHouseSettings { retention, ..settings.clone() });
    again.ready().await.expect("the tables of before");
    assert!(again.trace(trace_id(1)).await.expect("readable").is_some());
    let ttl = |table: &str| {
        format!(
            "extract(engine_full, 'toIntervalSecond\\\\((\\\\d+)\\\\)') AS told FROM system.tables
             WHERE database = currentDatabase() AND name = '{table}'"
        )
    };
    for (table, seconds) in
        [("spans", 3 * 86_400), ("links", 3 * 86_400), ("logs", 30 * 86_400), ("metric_series", 31 * 86_400)]
    {
        assert_eq!(told(&again, &ttl(table)).await, format!("['{seconds}']"), "{table}");
    }
    assert_eq!(told(&again, "toString(version) AS told FROM schema_version").await, "['1','2']");
    // A later version of the program has been here.
    let later = "INSERT INTO schema_version (version) VALUES (99)".to_owned();
    again.shared.client.command(true, later).await.expect("written");
    let error = history(settings).ready().await.expect_err("tables of a later version");
    assert!(error.to_string().contains("a later version"), "{error}");
}

/// The version before had no columns that spans are grouped by.
#[tokio::test(flavor = "multi_thread")]
async fn spans_of_the_version_before_are_grouped_as_those_of_this_one() {
    let Some(server) = ClickHouseServer::start() else { return };
    let settings = server.settings();
    let first = history(settings.clone());
    let made = |n: u64| Span {
        kind: [SpanKind::Internal, SpanKind::Client, SpanKind::Consumer][(n % 3) as usize],
        status: [SpanStatus::Unset, SpanStatus::Error][(n % 2) as usize],
        ..span(n, None, T0, n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 40 + 24))
    };
    first.append(spans(1, (1..500).map(made).collect())).await.expect("kept");
    let query = SpanGroupsQuery::new(Window::all(), vec![SpanColumn::Kind, SpanColumn::Status]);
    let groups = first.span_groups(&query).await.expect("groups");
    assert_eq!((groups.spans, groups.found), (499, 6));
    for statement in [
        "ALTER TABLE spans DROP COLUMN kind, DROP COLUMN status, DROP COLUMN bucket",
        "TRUNCATE TABLE schema_version",
        "INSERT INTO schema_version (version) VALUES (1)",
    ] {
        first.shared.client.command(true, statement.to_owned()).await.expect("done");
    }
    drop(first);
    let again = history(settings);
    assert_eq!(again.span_groups(&query).await.expect("groups"), groups);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_used_where_a_window_or_a_trace_is_asked_for() {
    let Some(server) = ClickHouseServer::start() else { return };
    let history = history(server.settings());
    for part in 0..4 {
        let rows = (0..20_000).map(|n| summary(part * 20_000 + n, T0 + (part * 20_000 + n) * 1_000, 5));
        history.append(transactions(rows.collect())).await.expect("kept");
    }
    let read = async |condition: &str| {
        let sql = format!(
            "extract(explain, 'Granules: (\\\\d+/\\\\d+)') AS told FROM (EXPLAIN indexes = 1
             SELECT count() FROM transactions WHERE {condition}) WHERE told != ''"
        );
        let all = told(&history, &sql).await;
        let granules = |text: &str| text.parse::<u64>().expect("a number");
        let last = all.trim_matches(['[', ']']).split(',').map(|some| some.trim_matches('\''));
        let numbers = last.map(|some| some.split_once('/').expect("of all"));
        let (read, of) = numbers.min_by_key(|(read, _)| granules(read)).expect("a plan");
        (granules(read), granules(of))
    };
    let window = format!("start_us >= {} AND start_us < {}", T0 + 1_000_000, T0 + 2_000_000);
    let (of_window, _) = read(&window).await;
    assert!(of_window <= 2, "{of_window} granules for a second");
    let of_trace = format!("trace_id = toFixedString(unhex('{}'), 16)", trace_id(33_333));
    let (of_trace, _) = read(&of_trace).await;
    assert!(of_trace <= 2, "{of_trace} granules for a trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_asked_for_over_tls_and_the_password_is_never_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| directory.path().join(name));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let files: (&Path, &Path) = (&certificate, &key);
    let Some(server) = ClickHouseServer::start_private("iap", "a s3cret", Some(files)) else { return };
    let tls = UpstreamTlsSettings { ca: Some(certificate.clone()), ..UpstreamTlsSettings::default() };
    let settings = ClickHouseSettings {
        tls: Some(UpstreamTls::load(&tls).expect("a certificate")),
        user: Some("iap".into()),
        password: Some("a s3cret".into()),
        ..server.settings()
    };
    assert!(!format!("{settings:?}").contains("s3cret"));
    let good = history(settings.clone());
    good.append(transactions(vec![summary(1, T0, 5)])).await.expect("kept");
    assert!(good.trace(trace_id(1)).await.expect("readable").is_some());
    let wrong = history(ClickHouseSettings { password: Some("wr0ng".into()), ..settings });
    for error in [
        wrong.append(transactions(vec![summary(2, T0, 5)])).await.expect_err("refused"),
        wrong.trace(trace_id(1)).await.expect_err("refused"),
    ] {
        assert_eq!(error.kind(), HistoryErrorKind::Unavailable);
        assert!(error.to_string().contains("refuses the user"), "{error}");
        assert!(!format!("{error:?}").contains("wr0ng"), "{error:?}");
    }
}
