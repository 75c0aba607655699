use super::{ADAPTS, Detector, Direction, Measure, QUIET};

const STEP_S: u64 = 10;
const BEGIN_S: u64 = 1_800_000_000;
const NONE: [u64; 0] = [];

/// A number from 0 to 1 that varies without a pattern and is the same in each run.
fn noise(at: u64) -> f64 {
    let mut x = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) as f64 / u64::MAX as f64
}

/// The steps at which events began and ended.
fn changes(detector: &mut Detector, steps: u64, step_s: u64, value: impl Fn(u64) -> f64) -> Vec<u64> {
    (0..steps).filter(|at| detector.push(BEGIN_S + at * step_s, value(*at), 50.0).changed).collect()
}

#[test]
fn a_fault_is_seen_in_the_second_step_and_is_over_after_it() {
    for (measure, usual, fault) in [
        (Measure::Ratio, 0.02, 0.4),
        (Measure::Duration, 0.03, 0.4),
        (Measure::Events, 40.0, 400.0),
        (Measure::Level, 70.0, 95.0),
    ] {
        let mut detector = Detector::new(measure, Direction::Up);
        let value = |at| (if (60..90).contains(&at) { fault } else { usual }) * (0.9 + 0.2 * noise(at));
        let found = changes(&mut detector, 150, STEP_S, value);
        assert_eq!(found.len(), 2, "{measure:?}: {found:?}");
        assert!((60..=61).contains(&found[0]), "{measure:?}: {found:?}");
        assert!(
            (90 + u64::from(QUIET) - 1..=90 + u64::from(QUIET) + 8).contains(&found[1]),
            "{measure:?}: {found:?}"
        );
    }
}

#[test]
fn a_fault_that_comes_back_is_seen_as_soon_as_the_first_time() {
    let mut detector = Detector::new(Measure::Duration, Direction::Up);
    // Six steps of forty are wrong, again and again.
    let is_wrong = |at: u64| at >= 80 && at % 40 < 6;
    let value = |at| (if is_wrong(at) { 0.2 } else { 0.004 }) * (0.4 + 1.2 * noise(at));
    let found = changes(&mut detector, 1_600, STEP_S, value);
    let begun: Vec<u64> = found.into_iter().step_by(2).collect();
    let second: Vec<u64> = (2..40).map(|round| round * 40 + 1).collect();
    assert_eq!(begun, second);
}

#[test]
fn it_is_told_when_it_began() {
    let mut detector = Detector::new(Measure::Ratio, Direction::Up);
    let since = (0..80).find_map(|at| {
        let told = detector.push(BEGIN_S + at * STEP_S, if at < 60 { 0.0 } else { 0.5 }, 20.0);
        told.since_s
    });
    assert_eq!(since, Some(BEGIN_S + 60 * STEP_S));
}

#[test]
fn one_wild_value_is_no_event() {
    for measure in [Measure::Ratio, Measure::Duration, Measure::Events, Measure::Level] {
        let mut detector = Detector::new(measure, Direction::Both);
        let value = |at| if at % 50 == 49 { 1e3 } else { 0.5 + 0.01 * noise(at) };
        assert_eq!(changes(&mut detector, 500, STEP_S, value), NONE, "{measure:?}");
    }
}

#[test]
fn noise_makes_no_events() {
    for seed in 0..20 {
        let mut detector = Detector::new(Measure::Duration, Direction::Up);
        // Slow ones now and then: the tail that percentiles of few requests have.
        let value = |at| {
            let at = at + seed * 1_000_000;
            if noise(at * 3) < 0.15 { 1.8 } else { 0.005 + 0.005 * noise(at) }
        };
        // Of the first minutes it is not known yet that there are slow ones.
        let found: Vec<_> =
            changes(&mut detector, 2_000, STEP_S, value).into_iter().filter(|at| *at > 60).collect();
        assert_eq!(found, NONE, "seed {seed}");
    }
}

#[test]
fn a_share_of_few_varies_by_itself() {
    let mut detector = Detector::new(Measure::Ratio, Direction::Up);
    let found: Vec<u64> = (0..2_000)
        .filter(|at| {
            let failed = (0..4).filter(|n| noise(at * 4 + n) < 0.12).count();
            detector.push(BEGIN_S + at * STEP_S, failed as f64 / 4.0, 4.0).changed
        })
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_direction_counts() {
    let falls = |at| if at < 60 { 100.0 } else { 3.0 };
    assert_eq!(changes(&mut Detector::new(Measure::Events, Direction::Up), 100, STEP_S, falls), NONE);
    assert_eq!(changes(&mut Detector::new(Measure::Events, Direction::Down), 100, STEP_S, falls).len(), 1);
}

#[test]
fn what_does_not_matter_is_no_event_however_unusual() {
    let mut detector = Detector::new(Measure::Duration, Direction::Up);
    let value = |at| if at < 60 { 0.0010 } else { 0.0090 };
    assert_eq!(changes(&mut detector, 100, STEP_S, value), NONE);
}

#[test]
fn what_lasts_becomes_usual() {
    let mut detector = Detector::new(Measure::Level, Direction::Up);
    let found = changes(&mut detector, 1_000, STEP_S, |at| if at < 60 { 1.0 } else { 9.0 } + 0.1 * noise(at));
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[1] - found[0], u64::from(ADAPTS));
}

#[test]
fn a_season_is_used_where_there_is_one() {
    // A batch each night for an hour, in steps of five minutes.
    let step_s = 300;
    let value = |at: u64| if at % 288 < 12 { 90.0 } else { 20.0 } + noise(at);
    let mut detector = Detector::new(Measure::Level, Direction::Up);
    let found = changes(&mut detector, 288 * 12, step_s, value);
    assert_eq!(detector.season_s(), Some(86_400));
    let late: Vec<_> = found.iter().filter(|at| **at > 288 * 6).collect();
    assert!(late.is_empty(), "the batch is known by then: {found:?}");
    // The same at another hour is an event.
    let other = |at: u64| if at >= 100 { 90.0 } else { 20.0 };
    let begun = (60..112)
        .find(|at| detector.push(BEGIN_S + (288 * 12 + at) * step_s, other(*at) + noise(*at), 1.0).changed);
    assert!(matches!(begun, Some(100..=102)), "{begun:?}");

    let mut none = Detector::new(Measure::Level, Direction::Up);
    changes(&mut none, 288 * 12, step_s, |at| 20.0 + noise(at));
    assert_eq!(none.season_s(), None);
}
