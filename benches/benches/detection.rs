//! What detection costs: one round of 1,000 series, which comes each ten seconds. Under 1 % of a core is under 100 ms.
//!
//! ```sh
//! cargo bench -p iap-benches --bench detection
//! ```
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use criterion::{Criterion, criterion_group, criterion_main};
use iap_ops::detect::{Direction, Entity, Measure, Monitor, Sample, SeriesKey};

const SERIES: u64 = 1_000;
/// Rounds before the measurement: three days at ten seconds would be 25,920; after two, seasons are known.
const BEFORE: u64 = 1_000;
/// Seconds of a step while learning, so that the rounds before hold several days.
const STEP_S: u64 = 600;

fn noise(at: u64) -> f64 {
    let x = (at ^ (at >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 11) as f64 / (1_u64 << 53) as f64
}

fn samples(round: u64) -> Vec<Sample> {
    let measures = [Measure::Ratio, Measure::Duration, Measure::Events, Measure::Level];
    let sample = |number: u64| {
        let daily = 1.0 + ((round % 144) as f64 / 144.0 * std::f64::consts::TAU).sin() / 2.0;
        Sample {
            key: SeriesKey {
                entity: Entity::Route(format!("route {}", number / 4)),
                signal: format!("{}", number % 4),
            },
            measure: measures[(number % 4) as usize],
            direction: Direction::Up,
            value: daily * (1.0 + 0.1 * noise(round * SERIES + number)) / 10.0,
            weight: 100.0,
        }
    };
    (0..SERIES).map(sample).collect()
}

fn round(criterion: &mut Criterion) {
    let mut monitor = Monitor::default();
    // `cargo test` only wants to see that it runs.
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    let before = if is_measured { BEFORE } else { 3 };
    for at in 0..before {
        monitor.feed(at * STEP_S, &samples(at));
    }
    let mut at = before;
    criterion.bench_function("detection/round of 1000 series", |bencher| {
        bencher.iter(|| {
            at += 1;
            monitor.feed(at * STEP_S, &samples(at))
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = round
}
criterion_main!(benches);
