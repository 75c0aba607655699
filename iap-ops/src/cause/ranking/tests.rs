use super::{Column, MetricUnit, change_point, rank};

fn column(name: &str, unit: MetricUnit, value: impl Fn(usize) -> f64) -> Column {
    Column {
        name: name.into(),
        component: name.split('_').next().unwrap().into(),
        unit,
        values: (0..200).map(value).collect(),
    }
}

/// A number from 0 to 1 that varies without a pattern and is the same in each run.
fn noise(at: usize) -> f64 {
    (at as u64)
        .wrapping_add(7)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(17)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9) as f64
        / u64::MAX as f64
}

#[test]
fn a_constant_metric_does_not_win_by_rounding() {
    let columns = [
        column("idle_mem", MetricUnit::Bytes, |at| if at == 150 { 3e8 + 4096.0 } else { 3e8 }),
        column("busy_cpu", MetricUnit::Percent, |at| if at < 120 { 5.0 } else { 60.0 } + noise(at)),
        column("other_cpu", MetricUnit::Percent, |at| 5.0 + noise(at + 900)),
    ];
    let change = change_point(&columns).expect("something changed");
    assert_eq!(change, 120);
    let names: Vec<_> = rank(&columns, change).into_iter().map(|ranked| ranked.name).collect();
    assert_eq!(names[0], "busy_cpu");
    assert_eq!(names[2], "idle_mem", "4 KiB of 300 MB are nothing");
}

#[test]
fn a_slow_drift_is_no_change_point() {
    let columns = [
        column("drift", MetricUnit::Bytes, |at| 1e8 + at as f64 * 1e5 + noise(at) * 1e5),
        column("step", MetricUnit::Percent, |at| if at < 60 { 1.0 } else { 9.0 } + noise(at)),
    ];
    assert_eq!(change_point(&columns), Some(60));
}

#[test]
fn gaps_and_nothing_at_all_are_no_change() {
    let gaps = [column("gone", MetricUnit::Other, |_| f64::NAN)];
    assert_eq!(change_point(&gaps), None);
    assert!(rank(&gaps, 10).is_empty());
    assert_eq!(change_point(&[]), None);
    let flat = [column("flat", MetricUnit::Count, |_| 3.0)];
    assert_eq!(change_point(&flat), None);
    assert!(rank(&flat, 1_000).is_empty(), "a step outside is no step");
}

#[test]
fn ties_are_broken_by_name() {
    let same = |name| column(name, MetricUnit::Count, |at| if at < 100 { 1.0 } else { 9.0 });
    let names: Vec<_> = rank(&[same("b"), same("a")], 100).into_iter().map(|ranked| ranked.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn memory_explains_the_processor_time_of_its_component_only() {
    let steps = |before: f64, after: f64| move |at: usize| if at < 100 { before } else { after } + noise(at);
    let columns = [
        column("a_cpu", MetricUnit::Percent, steps(1.0, 99.0)),
        column("b_cpu", MetricUnit::Percent, steps(1.0, 60.0)),
        column("b_mem", MetricUnit::Bytes, steps(1e7, 9e7)),
        column("a_mem", MetricUnit::Bytes, steps(1e7, 1.001e7)),
    ];
    let names: Vec<_> = rank(&columns, 100).into_iter().map(|ranked| ranked.name).collect();
    assert_eq!(names, ["a_cpu", "b_mem", "b_cpu", "a_mem"]);
}
