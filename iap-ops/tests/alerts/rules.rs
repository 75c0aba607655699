//! When alerts begin and end.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::history::SeriesPoints;
use iap_apm::{
    History, MetricKind, MetricPoint, MetricSeries, MetricValue, SqliteHistory, SqliteOptions, Temporality,
};
use iap_ops::alerts::{
    AlertEvent, Alerts, Book, Bound, Edge, Group, Measure, Rule, Severity, Signal, Silence, describe,
};
use iap_ops::{Language, Zone};

use crate::load::{Load, MINUTE, MS, NOW_US};

const SECOND: u64 = 1_000_000;

fn rule(signal: Signal, bound: Bound) -> Rule {
    Rule {
        name: "the rule".into(),
        description: None,
        severity: Severity::Critical,
        signal,
        over: Duration::from_secs(60),
        bound,
        lasts: Duration::ZERO,
        recovers_at: None,
        min_requests: 1,
        channels: vec![],
    }
}

fn route(route: Option<&str>, measure: Measure) -> Signal {
    Signal::Route { route: route.map(str::to_owned), measure }
}

/// A history that is filled while rules look at it.
struct Bench {
    history: SqliteHistory,
    load: Load,
    alerts: Alerts,
}

impl Bench {
    fn new(rules: Vec<Rule>) -> Self {
        for rule in &rules {
            rule.check().expect("a good rule");
        }
        let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
        Self { history, load: Load::new(), alerts: Alerts::new(rules, Book::default()) }
    }

    /// Requests within the second before `at_us`.
    fn requests(&mut self, name: &str, at_us: u64, count: u64, (duration_us, status): (u64, u16)) -> String {
        let ids = (0..count).map(|n| self.load.add(name, at_us - SECOND + n, duration_us, status, &[]));
        ids.last().expect("a request")
    }

    async fn evaluate(&mut self, now_us: u64) -> Vec<AlertEvent> {
        let batch = mem::take(&mut self.load.batch);
        if !batch.is_empty() {
            self.history.append(Arc::new(batch)).await.expect("kept");
        }
        self.alerts.evaluate(&self.history, now_us).await
    }
}

fn edges(events: &[AlertEvent]) -> Vec<(Edge, Option<&str>)> {
    events.iter().map(|event| (event.edge, event.group.get("route").map(String::as_str))).collect()
}

#[tokio::test]
async fn an_alert_begins_once_when_it_has_lasted_and_ends_where_it_recovers() {
    let lasting = Rule {
        lasts: Duration::from_secs(30),
        recovers_at: Some(2.0),
        min_requests: 10,
        ..rule(route(None, Measure::ErrorPercent), Bound::Above(10.0))
    };
    let mut bench = Bench::new(vec![lasting]);
    let at = |seconds: u64| NOW_US + seconds * SECOND;
    bench.requests("shop", at(0), 16, (MS, 200));
    let failed = bench.requests("shop", at(0), 4, (MS, 500));
    // Two of two is no outage, and another route is another thing.
    bench.requests("rare", at(0), 2, (MS, 500));
    bench.requests("fine", at(0), 50, (MS, 200));
    assert_eq!(bench.evaluate(at(0)).await, []);
    assert_eq!(bench.evaluate(at(29)).await, []);
    let begun = bench.evaluate(at(30)).await;
    assert_eq!(edges(&begun), [(Edge::Firing, Some("shop"))]);
    assert_eq!((begun[0].value, begun[0].since_us, begun[0].at_us), (Some(20.0), at(0), at(30)));
    assert_eq!(begun[0].trace_id.as_ref(), Some(&failed), "a request that failed shows it");
    assert_eq!(bench.evaluate(at(40)).await, [], "it is told once");
    // 5 %: below the bound, and not yet where it recovers.
    bench.requests("shop", at(70), 19, (MS, 200));
    bench.requests("shop", at(70), 1, (MS, 500));
    assert_eq!(bench.evaluate(at(70)).await, []);
    bench.requests("shop", at(130), 40, (MS, 200));
    let ended = bench.evaluate(at(131)).await;
    assert_eq!(edges(&ended), [(Edge::Resolved, Some("shop"))]);
    assert_eq!((&ended[0].id, ended[0].since_us), (&begun[0].id, at(0)));
    assert_eq!(bench.evaluate(at(140)).await, []);
    let book = bench.alerts.book();
    assert_eq!(book.events.iter().cloned().collect::<Vec<_>>(), [begun, ended].concat());
}

#[tokio::test]
async fn what_breaks_the_rule_only_for_a_moment_is_not_told() {
    let slow = Rule {
        lasts: Duration::from_secs(60),
        ..rule(route(Some("shop"), Measure::P95), Bound::Above(500.0))
    };
    let mut bench = Bench::new(vec![slow]);
    bench.requests("shop", NOW_US, 10, (900 * MS, 200));
    assert_eq!(bench.evaluate(NOW_US).await, []);
    bench.requests("shop", NOW_US + 59 * SECOND, 1_000, (MS, 200));
    assert_eq!(bench.evaluate(NOW_US + 59 * SECOND).await, []);
    bench.requests("shop", NOW_US + 119 * SECOND, 10, (900 * MS, 200));
    assert_eq!(bench.evaluate(NOW_US + 119 * SECOND + MS).await, [], "its time begins anew");
    assert_eq!(edges(&bench.evaluate(NOW_US + 179 * SECOND + 900 * MS).await), [], "nobody asked since");
}

#[tokio::test]
async fn a_restart_neither_forgets_an_alert_nor_tells_it_again() {
    let failing = || rule(route(Some("shop"), Measure::ErrorPercent), Bound::Above(1.0));
    let mut bench = Bench::new(vec![failing()]);
    bench.requests("shop", NOW_US, 5, (MS, 500));
    let begun = bench.evaluate(NOW_US).await;
    assert_eq!(edges(&begun), [(Edge::Firing, Some("shop"))]);
    let kept = serde_json::to_string(&bench.alerts.book()).expect("a text");
    bench.alerts = Alerts::new(vec![failing()], serde_json::from_str(&kept).expect("a book"));
    assert_eq!(bench.evaluate(NOW_US + SECOND).await, []);
    bench.requests("shop", NOW_US + 70 * SECOND, 5, (MS, 200));
    let ended = bench.evaluate(NOW_US + 70 * SECOND).await;
    assert_eq!((ended[0].edge, &ended[0].id), (Edge::Resolved, &begun[0].id));
    // A rule that is no more takes what it watched with it.
    assert!(Alerts::new(vec![], bench.alerts.book()).book().watched.is_empty());
}

#[tokio::test]
async fn rates_are_judged_also_where_nobody_asks() {
    let named = |name: &str, signal, bound| Rule { name: name.into(), ..rule(signal, bound) };
    let mut bench = Bench::new(vec![
        named("few", route(Some("shop"), Measure::Rate), Bound::Below(1.0)),
        named("none", route(Some("shop"), Measure::Rate), Bound::Absent),
        named("slow", route(Some("shop"), Measure::P99), Bound::Above(1.0)),
        named("gone", route(None, Measure::Rate), Bound::Absent),
    ]);
    bench.requests("shop", NOW_US, 120, (MS / 2, 200));
    assert_eq!(bench.evaluate(NOW_US).await, []);
    let events = bench.evaluate(NOW_US + 2 * MINUTE).await;
    let told: Vec<_> = events.iter().map(|event| (event.rule.as_str(), event.value)).collect();
    assert_eq!(told, [("few", Some(0.0)), ("none", None), ("gone", None)]);
}

#[tokio::test]
async fn what_was_before_the_start_is_not_missed() {
    let named =
        |name: &str, bound| Rule { name: name.into(), ..rule(route(Some("shop"), Measure::Rate), bound) };
    let mut bench = Bench::new(vec![named("few", Bound::Below(1.0)), named("none", Bound::Absent)]);
    assert_eq!(bench.evaluate(NOW_US).await, []);
    assert_eq!(bench.evaluate(NOW_US + 59 * SECOND).await, []);
    let told: Vec<_> = bench.evaluate(NOW_US + MINUTE).await.into_iter().map(|event| event.rule).collect();
    assert_eq!(told, ["few", "none"]);
    // An alert of the process before ends as soon as there is something.
    bench.alerts = Alerts::new(bench.alerts.rules().to_vec(), bench.alerts.book());
    assert_eq!(bench.evaluate(NOW_US + 2 * MINUTE).await, []);
    bench.requests("shop", NOW_US + 2 * MINUTE + SECOND, 100, (MS, 200));
    let ended = bench.evaluate(NOW_US + 2 * MINUTE + SECOND).await;
    assert_eq!(ended.iter().map(|event| event.edge).collect::<Vec<_>>(), [Edge::Resolved, Edge::Resolved]);
}

/// A budget of 1 %: the long window and the short one have to agree.
#[tokio::test]
async fn a_budget_is_burnt_when_both_windows_say_so() {
    let slo = Signal::Burn {
        route: Some("pay".into()),
        objective: 99.0,
        faster_than: Some(Duration::from_millis(300)),
    };
    let burn = Rule { over: Duration::from_secs(3600), ..rule(slo, Bound::Above(10.0)) };
    let mut bench = Bench::new(vec![burn]);
    let at = |minute: u64| NOW_US + minute * MINUTE;
    for minute in 1..=60 {
        bench.requests("pay", at(minute), 100, (100 * MS, 200));
    }
    assert_eq!(bench.evaluate(at(60)).await, []);
    // Five bad minutes: all of the short window, and 8 % of the long one, which is 8 times the budget.
    for minute in 61..=65 {
        bench.requests("pay", at(minute), 50, (400 * MS, 200));
        bench.requests("pay", at(minute), 50, (MS, 500));
    }
    assert_eq!(bench.evaluate(at(65)).await, []);
    for minute in 66..=67 {
        bench.requests("pay", at(minute), 100, (400 * MS, 200));
    }
    let begun = bench.evaluate(at(67)).await;
    assert_eq!(edges(&begun), [(Edge::Firing, Some("pay"))]);
    let value = begun[0].value.expect("a value");
    assert!((10.0..13.0).contains(&value), "{value}");
    assert!(begun[0].trace_id.is_some());
    // The long window still remembers; the short one says that it is over.
    for minute in 68..=73 {
        bench.requests("pay", at(minute), 100, (100 * MS, 200));
    }
    assert_eq!(edges(&bench.evaluate(at(73)).await), [(Edge::Resolved, Some("pay"))]);
}

#[tokio::test]
async fn apdex_counts_the_patient_half_and_failures_for_nothing() {
    let apdex = rule(route(Some("shop"), Measure::Apdex(Duration::from_millis(100))), Bound::Below(0.7));
    let mut bench = Bench::new(vec![apdex]);
    for (count, seen) in
        [(50, (100 * MS, 200)), (20, (400 * MS, 200)), (20, (401 * MS, 200)), (10, (MS, 500))]
    {
        bench.requests("shop", NOW_US, count, seen);
    }
    let events = bench.evaluate(NOW_US).await;
    assert_eq!(events[0].value, Some(0.6), "50 and half of 20, of 100");
}

fn depth(queue: &str, time_us: u64, value: f64) -> SeriesPoints {
    let attributes = BTreeMap::from([("queue".to_owned(), queue.to_owned())]);
    let series = MetricSeries {
        service: "shop".into(),
        name: "queue.depth".into(),
        kind: MetricKind::Gauge,
        temporality: Temporality::Cumulative,
        labels: attributes.into_iter().collect(),
        unit: String::new(),
        description: String::new(),
    };
    let point = MetricPoint { time_us, start_us: 0, value: MetricValue::Number(value) };
    SeriesPoints { series, points: vec![point] }
}

#[tokio::test]
async fn metrics_are_judged_by_their_labels() {
    let metric = |by: &[&str], bound| {
        let by = by.iter().map(ToString::to_string).collect();
        let (name, filter) = ("queue.depth".into(), BTreeMap::new());
        rule(Signal::Metric { name, service: None, function: None, filter, by }, bound)
    };
    let absent = Rule { name: "silent".into(), ..metric(&[], Bound::Absent) };
    let mut bench = Bench::new(vec![metric(&["queue"], Bound::Above(100.0)), absent]);
    bench.load.batch.metrics =
        vec![depth("mail", NOW_US - SECOND, 500.0), depth("jobs", NOW_US - SECOND, 5.0)];
    let events = bench.evaluate(NOW_US).await;
    let mail = Group::from([("queue".to_owned(), "mail".to_owned())]);
    assert_eq!(
        events.iter().map(|event| (&event.group, event.value)).collect::<Vec<_>>(),
        [(&mail, Some(500.0))]
    );
    let events = bench.evaluate(NOW_US + 5 * MINUTE).await;
    let told: Vec<_> = events.iter().map(|event| (event.rule.as_str(), event.edge)).collect();
    assert_eq!(told, [("the rule", Edge::Resolved), ("silent", Edge::Firing)]);
    let state = &bench.alerts.states()[0];
    assert_eq!(state.condition, "queue.depth above 100 over 1m");
    assert!(state.watched.is_empty(), "what nobody reports any more is forgotten: {:?}", state.watched);
}

#[tokio::test]
async fn a_silence_has_an_end_and_covers_what_it_names() {
    let mut bench = Bench::new(vec![rule(route(None, Measure::ErrorPercent), Bound::Above(1.0))]);
    let silence = |reason: &str| Silence {
        id: "s1".into(),
        rule: None,
        group: Group::from([("route".to_owned(), "shop".to_owned())]),
        until_us: NOW_US + MINUTE,
        by: "bora".into(),
        reason: reason.into(),
    };
    assert!(bench.alerts.silence(silence(" ")).is_err());
    bench.alerts.silence(silence("deployment")).expect("a silence");
    bench.requests("shop", NOW_US, 5, (MS, 500));
    bench.requests("pay", NOW_US, 5, (MS, 500));
    let events = bench.evaluate(NOW_US).await;
    let untold: Vec<_> =
        events.iter().map(|event| (event.group["route"].as_str(), event.untold.as_deref())).collect();
    assert_eq!(untold, [("pay", None), ("shop", Some("silenced by bora: deployment"))]);
    let ended = bench.evaluate(NOW_US + 3 * MINUTE).await;
    assert!(ended.iter().all(|event| event.untold.is_none()), "{ended:?}");
    assert!(!bench.alerts.unsilence("s1"), "it has ended by itself");
}

#[tokio::test]
async fn a_query_that_fails_leaves_the_alert_and_is_told() {
    let signal = Signal::Metric {
        name: "queue.depth".into(),
        service: None,
        function: Some(iap_apm::MetricFunction::P95),
        filter: BTreeMap::new(),
        by: vec![],
    };
    let mut bench = Bench::new(vec![rule(signal, Bound::Absent)]);
    bench.load.batch.metrics = vec![depth("mail", NOW_US - SECOND, 500.0)];
    assert_eq!(bench.evaluate(NOW_US).await, []);
    let error = bench.alerts.states()[0].error.clone().expect("a gauge has no percentiles");
    assert!(error.contains("cannot be computed of a metric of this kind"), "{error}");
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let errors = route(None, Measure::ErrorPercent);
    let burn = |objective| Signal::Burn { route: None, objective, faster_than: None };
    let hour = Duration::from_secs(3600);
    for (wrong, part) in [
        (Rule { name: "".into(), ..rule(errors.clone(), Bound::Above(1.0)) }, "name"),
        (Rule { over: Duration::from_secs(1), ..rule(errors.clone(), Bound::Above(1.0)) }, "over"),
        (Rule { over: hour * 2, ..rule(route(None, Measure::P95), Bound::Above(1.0)) }, "over: 12m"),
        (rule(burn(99.0), Bound::Above(1.0)), "over: 12m"),
        (Rule { over: hour, ..rule(burn(100.0), Bound::Above(1.0)) }, "objective"),
        (Rule { over: hour, ..rule(burn(99.0), Bound::Below(1.0)) }, "below"),
        (rule(errors.clone(), Bound::Absent), "absent"),
        (rule(errors.clone(), Bound::Above(f64::NAN)), "a number"),
        (Rule { recovers_at: Some(5.0), ..rule(errors, Bound::Above(1.0)) }, "recovers_at"),
    ] {
        let error = wrong.check().expect_err(part);
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn an_alert_is_told_in_both_languages() {
    let mut bench = Bench::new(vec![rule(route(Some("shop"), Measure::ErrorPercent), Bound::Above(2.5))]);
    bench.requests("shop", NOW_US, 3, (MS, 500));
    let event = bench.evaluate(NOW_US).await.remove(0);
    let rule = &bench.alerts.rules()[0];
    let text = |language| describe(&event, rule, language, &Zone::default());
    assert_eq!(
        text(Language::English),
        "the rule (route=shop): now 100 %. Rule: failed requests above 2.5 % over 1m. Since 2026-11-25T13:00:00+09:00."
    );
    assert_eq!(
        text(Language::Korean),
        "the rule (route=shop): 현재 100 %. 조건: 1m 동안 오류율 2.5 % 초과. 시작: 2026-11-25T13:00:00+09:00."
    );
}
