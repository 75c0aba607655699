use super::*;
use crate::model::{Buckets, Exponents, Quantiles};

const T0: u64 = 1_700_000_000_000_000;
const SECOND: u64 = 1_000_000;

fn series(kind: MetricKind, temporality: Temporality, labels: &[(&str, &str)]) -> MetricSeries {
    MetricSeries {
        service: "shop".into(),
        name: "m".into(),
        kind,
        temporality,
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        unit: "s".into(),
        description: String::new(),
    }
}

/// Times in seconds since [`T0`].
fn number(start_s: u64, time_s: u64, value: f64) -> MetricPoint {
    point(start_s, time_s, MetricValue::Number(value))
}

fn point(start_s: u64, time_s: u64, value: MetricValue) -> MetricPoint {
    MetricPoint { time_us: T0 + time_s * SECOND, start_us: T0 + start_s * SECOND, value }
}

/// Of `steps` steps of 10 s since [`T0`].
fn query(steps: u64, function: MetricFunction) -> MetricQuery {
    let mut query = MetricQuery::new("m", Window::new(T0, T0 + steps * 10 * SECOND));
    query.step_us = 10 * SECOND;
    query.function = Some(function);
    query
}

type Data = Vec<(MetricSeries, Vec<MetricPoint>)>;

fn answer(query: &MetricQuery, data: &Data) -> MetricAnswer {
    let all: Vec<_> = data.iter().map(|(series, _)| series.clone()).collect();
    let mut evaluation = Evaluation::new(query, &all).expect("a valid query");
    for (at, (_, points)) in
        data.iter().enumerate().filter(|(at, _)| evaluation.reads(*at)).collect::<Vec<_>>()
    {
        evaluation.add(at, points.clone(), false);
    }
    evaluation.finish()
}

/// The values of the only group, in thousandths.
fn only(query: &MetricQuery, data: &Data) -> Vec<Option<i64>> {
    let answer = answer(query, data);
    assert_eq!(answer.groups.len(), 1, "{answer:?}");
    answer.groups[0].values.iter().map(|value| value.map(|value| (value * 1e3).round() as i64)).collect()
}

#[test]
fn a_counter_is_a_rate_whatever_its_temporality_and_resets() {
    use MetricFunction::{Last, Rate, Sum};
    // 10 a second for 20 s; the process starts again at 20 s and does 5 a second.
    let cumulative =
        vec![number(0, 10, 100.0), number(0, 20, 200.0), number(20, 30, 50.0), number(20, 40, 100.0)];
    // The same without start times: only the fall tells.
    let bare: Vec<_> = [(0, 0.0), (10, 100.0), (20, 200.0), (30, 50.0), (40, 100.0)]
        .map(|(time, value)| MetricPoint { start_us: 0, ..number(0, time, value) })
        .into();
    let delta = vec![number(0, 10, 100.0), number(10, 20, 100.0), number(20, 30, 50.0), number(30, 40, 50.0)];
    let cases =
        [(Temporality::Cumulative, cumulative), (Temporality::Cumulative, bare), (Temporality::Delta, delta)];
    for (temporality, points) in cases {
        let data = vec![(series(MetricKind::Counter, temporality, &[]), points)];
        let rates = [10_000, 10_000, 5_000, 5_000].map(Some);
        assert_eq!(only(&query(4, Rate), &data), rates, "{data:?}");
        assert_eq!(only(&query(4, Sum), &data), rates.map(|rate| rate.map(|rate| rate * 10)), "{data:?}");
    }
    let points = vec![number(0, 3, 7.0), number(0, 4, 9.0), number(0, 12, 11.0)];
    let data = vec![(series(MetricKind::Counter, Temporality::Cumulative, &[]), points)];
    assert_eq!(only(&query(2, Last), &data), [Some(9_000), Some(11_000)]);
}

#[test]
fn what_is_reported_seldom_is_spread_and_the_last_step_is_not_low() {
    let points = vec![number(0, 60, 600.0), number(0, 124, 1_240.0)];
    let data = vec![(series(MetricKind::Counter, Temporality::Cumulative, &[]), points)];
    // The thirteenth step is known of for 4 s, the fourteenth not at all.
    let expected: Vec<_> = std::iter::repeat_n(Some(10_000), 13).chain([None]).collect();
    assert_eq!(only(&query(14, MetricFunction::Rate), &data), expected);
}

#[test]
fn a_series_begins_when_the_others_of_its_process_were_last_reported() {
    let kind = (MetricKind::Counter, Temporality::Cumulative);
    let old = vec![number(0, 10, 5.0), number(0, 20, 5.0), number(0, 30, 5.0)];
    let data = vec![
        (series(kind.0, kind.1, &[("status", "200")]), old),
        (series(kind.0, kind.1, &[("status", "500")]), vec![number(0, 30, 3.0)]),
    ];
    let mut query = query(3, MetricFunction::Sum);
    query.filter.insert("status".into(), "500".into());
    assert_eq!(
        only(&query, &data),
        [None, None, Some(3_000)],
        "the first failure is not spread over all time"
    );

    // It had been there before the time that is read: what it gained is not known.
    let all: Vec<_> = data.iter().map(|(series, _)| series.clone()).collect();
    let mut evaluation = Evaluation::new(&query, &all).expect("valid");
    evaluation.add(0, data[0].1.clone(), true);
    evaluation.add(1, data[1].1.clone(), true);
    assert_eq!(evaluation.finish().groups[0].values, [None, None, None]);
}

#[test]
fn levels_are_taken_as_they_were() {
    use MetricFunction::{Avg, Last, Max, Min, Sum};
    let kind = (MetricKind::Gauge, Temporality::Cumulative);
    let data = vec![
        (series(kind.0, kind.1, &[("disk", "a")]), vec![number(0, 1, 10.0), number(0, 2, 20.0)]),
        (series(kind.0, kind.1, &[("disk", "b")]), vec![number(0, 3, 60.0), number(0, 25, 5.0)]),
    ];
    let cases = [
        (Avg, [Some(30_000), None, Some(5_000)]),
        (Min, [Some(10_000), None, Some(5_000)]),
        (Max, [Some(60_000), None, Some(5_000)]),
        (Last, [Some(60_000), None, Some(5_000)]),
        (Sum, [Some(80_000), None, Some(5_000)]),
    ];
    for (function, expected) in cases {
        assert_eq!(only(&query(3, function), &data), expected, "{function:?}");
    }
    let mut by_disk = query(1, Last);
    by_disk.by = vec!["disk".into(), "service".into(), "unknown".into()];
    let groups = answer(&by_disk, &data).groups;
    let labels: Vec<_> =
        groups.iter().map(|group| (group.labels["disk"].as_str(), group.values[0])).collect();
    assert_eq!(labels, [("a", Some(20.0)), ("b", Some(60.0))]);
    assert_eq!((groups[0].labels["service"].as_str(), groups[0].labels.len()), ("shop", 2));
}

#[test]
fn groups_are_bounded_and_the_others_counted() {
    let one = |n: u32| {
        let value = format!("{n:04}");
        let labels = [("user", value.as_str())];
        (series(MetricKind::Gauge, Temporality::Cumulative, &labels), vec![number(0, 1, f64::from(n))])
    };
    let data: Data = (0..150).map(one).collect();
    let mut query = query(1, MetricFunction::Last);
    query.by = vec!["user".into()];
    let answer = answer(&query, &data);
    assert_eq!((answer.groups.len(), answer.left_out), (MAX_GROUPS, 50));
    assert_eq!(answer.groups[99].values, [Some(99.0)]);
}

fn explicit(bounds: &[f64], values: &[f64]) -> Distribution {
    let mut counts = vec![0; bounds.len() + 1];
    for value in values {
        counts[bounds.partition_point(|bound| bound < value)] += 1;
    }
    Distribution {
        count: values.len() as u64,
        sum: Some(values.iter().sum()),
        min: values.iter().copied().reduce(f64::min),
        max: values.iter().copied().reduce(f64::max),
        buckets: Buckets::Explicit { bounds: bounds.to_vec(), counts },
    }
}

/// By the definition of the specification.
fn exponential(scale: i32, values: &[f64]) -> Distribution {
    let base = 2_f64.powf(2_f64.powi(-scale));
    let side = |values: Vec<f64>| {
        let index = |value: f64| (value.log2() * 2_f64.powi(scale)).ceil() as i32 - 1;
        let indices: Vec<i32> = values.iter().map(|value| index(*value)).collect();
        let Some(offset) = indices.iter().copied().min() else { return Exponents::default() };
        let mut counts = vec![0; (indices.iter().max().unwrap_or(&offset) - offset + 1) as usize];
        indices.iter().for_each(|index| counts[(index - offset) as usize] += 1);
        Exponents { offset, counts }
    };
    assert!(base > 1.0);
    Distribution {
        count: values.len() as u64,
        sum: Some(values.iter().sum()),
        min: values.iter().copied().reduce(f64::min),
        max: values.iter().copied().reduce(f64::max),
        buckets: Buckets::Exponential {
            scale,
            zero_count: values.iter().filter(|value| **value == 0.0).count() as u64,
            zero_threshold: 0.0,
            positive: side(values.iter().copied().filter(|value| *value > 0.0).collect()),
            negative: side(values.iter().copied().filter(|value| *value < 0.0).map(f64::abs).collect()),
        },
    }
}

/// Numbers that look random and are the same each time.
fn sample(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    // From milliseconds to minutes.
    (0..count).map(|_| (next() * 11.0).exp() / 1e3).collect()
}

/// The value of nearest rank.
fn reference(values: &[f64], quantile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((quantile * sorted.len() as f64).ceil() as usize).max(1) - 1]
}

#[test]
fn exponential_percentiles_are_within_a_bucket_of_the_true_ones_whatever_is_merged() {
    use MetricFunction::{P50, P95, P99};
    // Two services with scales of their own, and one whose scale falls while it runs.
    let (first, second, third) = (sample(1, 5_000), sample(2, 3_000), sample(3, 4_000));
    let whole = |distribution| vec![point(0, 10, MetricValue::Distribution(distribution))];
    let kind = MetricKind::ExponentialHistogram;
    let growing = vec![
        point(0, 5, MetricValue::Distribution(exponential(7, &third[..1_000]))),
        point(0, 10, MetricValue::Distribution(exponential(3, &third))),
    ];
    let data = vec![
        (series(kind, Temporality::Delta, &[("n", "1")]), whole(exponential(5, &first))),
        (series(kind, Temporality::Cumulative, &[("n", "2")]), whole(exponential(4, &second))),
        (series(kind, Temporality::Cumulative, &[("n", "3")]), growing),
    ];
    let all = [first.as_slice(), &second, &third].concat();
    let base = 2_f64.powf(2_f64.powi(-3));
    for function in [P50, P95, P99] {
        let found = answer(&query(1, function), &data).groups[0].values[0].expect("a value");
        let truth = reference(&all, function.quantile().expect("a percentile"));
        assert!(found / truth < base && truth / found < base, "{function:?}: {found} for {truth}");
    }
    let count = only(&query(1, MetricFunction::Rate), &data)[0].expect("a rate");
    assert_eq!(count, 12_000 * 1_000 / 10, "each value once");
}

#[test]
fn values_of_both_signs_and_zero_have_percentiles() {
    let values: Vec<f64> = (-50..50).map(|n| f64::from(n) / 10.0).collect();
    let distribution = MetricValue::Distribution(exponential(6, &values));
    let kind = MetricKind::ExponentialHistogram;
    let data = vec![(series(kind, Temporality::Delta, &[]), vec![point(0, 10, distribution)])];
    let found = |function| answer(&query(1, function), &data).groups[0].values[0].expect("a value");
    assert!(found(MetricFunction::P50).abs() < 0.11, "{}", found(MetricFunction::P50));
    assert!((found(MetricFunction::P95) - 4.5).abs() < 0.11, "{}", found(MetricFunction::P95));
    assert_eq!((found(MetricFunction::Min), found(MetricFunction::Max)), (-5.0, 4.9));
}

#[test]
fn explicit_histograms_merge_by_buckets_and_are_never_averaged() {
    use MetricFunction::{Avg, P50, P99, Rate};
    let bounds = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
    // 99 fast ones here, one slow one there: the median of all is fast, as the mean of medians is not.
    let (fast, slow) = (vec![0.15; 99], vec![4.0]);
    let kind = MetricKind::Histogram;
    let whole = |values: &[f64]| vec![point(0, 10, MetricValue::Distribution(explicit(&bounds, values)))];
    let data = vec![
        (series(kind, Temporality::Delta, &[("n", "1")]), whole(&fast)),
        (series(kind, Temporality::Delta, &[("n", "2")]), whole(&slow)),
    ];
    let found = |function| answer(&query(1, function), &data).groups[0].values[0].expect("a value");
    assert!((0.1..=0.2).contains(&found(P50)), "{}", found(P50));
    assert!((0.1..=0.2).contains(&found(P99)), "{}", found(P99));
    assert!((found(Avg) - 0.188_5).abs() < 1e-9 && found(Rate) == 10.0);
}

#[test]
fn a_cumulative_histogram_is_what_came_since() {
    let bounds = [1.0, 2.0, 4.0];
    let kind = MetricKind::Histogram;
    let values = [vec![0.5; 10], vec![3.0; 10]].concat();
    let points = vec![
        point(0, 10, MetricValue::Distribution(explicit(&bounds, &values[..10]))),
        point(0, 20, MetricValue::Distribution(explicit(&bounds, &values))),
        // Started again.
        point(20, 30, MetricValue::Distribution(explicit(&bounds, &[1.5; 5]))),
    ];
    let data = vec![(series(kind, Temporality::Cumulative, &[]), points)];
    let medians = answer(&query(3, MetricFunction::P50), &data).groups[0].values.clone();
    let median = |at: usize| medians[at].expect("a value");
    assert!(
        median(0) <= 1.0 && (2.0..=4.0).contains(&median(1)) && (1.0..=2.0).contains(&median(2)),
        "{medians:?}"
    );
    assert_eq!(only(&query(3, MetricFunction::Rate), &data), [Some(1_000), Some(1_000), Some(500)]);
    assert_eq!(only(&query(3, MetricFunction::Sum), &data), [Some(5_000), Some(30_000), Some(7_500)]);
}

#[test]
fn quantiles_of_a_summary_are_told_of_one_series_only() {
    let quantiles = |value| {
        MetricValue::Quantiles(Quantiles { count: 10, sum: 20.0, values: vec![(0.5, value), (0.99, 9.0)] })
    };
    let kind = (MetricKind::Summary, Temporality::Cumulative);
    let one = (
        series(kind.0, kind.1, &[("n", "1")]),
        vec![point(0, 10, quantiles(1.0)), point(0, 10, quantiles(1.0))],
    );
    let two = (series(kind.0, kind.1, &[("n", "2")]), vec![point(0, 10, quantiles(3.0))]);
    let mut wide = query(2, MetricFunction::P50);
    let single = vec![one.clone()];
    assert_eq!(only(&wide, &single), [None, Some(1_000)]);
    assert_eq!(only(&query(2, MetricFunction::Avg), &single), [Some(2_000), None]);
    let both = vec![one, two];
    assert_eq!(only(&wide, &both), [None, None], "they cannot be merged");
    wide.by = vec!["n".into()];
    assert_eq!(answer(&wide, &both).groups[1].values[1], Some(3.0));
}

#[test]
fn queries_that_make_no_sense_are_refused_by_name() {
    let data = [
        series(MetricKind::Gauge, Temporality::Cumulative, &[]),
        series(MetricKind::Counter, Temporality::Cumulative, &[]),
    ];
    let refused = |query: &MetricQuery, series: &[MetricSeries]| {
        Evaluation::new(query, series).map(|_| ()).expect_err("refused").to_string()
    };
    let good = query(3, MetricFunction::Rate);
    assert!(refused(&MetricQuery { step_us: 0, ..good.clone() }, &data).contains("step_s"));
    assert!(refused(&MetricQuery { step_us: 1, ..good.clone() }, &data).contains("step_s"));
    assert!(refused(&good, &data).contains("kind"));
    assert!(refused(&MetricQuery { kind: Some(MetricKind::Gauge), ..good.clone() }, &data).contains("fn"));
    let nothing = Evaluation::new(&good, &[]).expect("valid").finish();
    assert_eq!((nothing.kind, nothing.groups.len()), (None, 0));
}
