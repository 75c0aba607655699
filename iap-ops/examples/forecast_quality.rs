//! How good the forecast is on public series: the hourly ones of the M4 competition.
//!
//! ```sh
//! cargo run --release -p iap-ops --example forecast_quality -- DIRECTORY
//! ```
//!
//! The directory holds `Hourly-train.csv` and `Hourly-test.csv`. Points: nothing was fitted to the test part. Intervals were
//! made, and probabilities are calibrated, with every second series, and both are reported on the others; `fit` after the
//! directory prints those of the former, and the calibration anew.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs, reason = "a program that prints a table")]

use std::path::Path;
use std::process::ExitCode;

use iap_ops::forecast::forecast;

/// The season that M4 scales errors by.
const SEASON: usize = 24;
/// Earlier moments of each series, one horizon apart.
const EARLIER: usize = 6;
/// Limits of a series, as parts of its past that are below them.
const LIMITS: [f64; 8] = [0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.99, 1.0];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(directory) = arguments.next() else {
        eprintln!("give the directory with Hourly-train.csv and Hourly-test.csv");
        return ExitCode::FAILURE;
    };
    let read = |name: &str| series(&Path::new(&directory).join(name));
    let (Some(train), Some(test)) = (read("Hourly-train.csv"), read("Hourly-test.csv")) else {
        eprintln!("{directory}: Hourly-train.csv or Hourly-test.csv cannot be read");
        return ExitCode::FAILURE;
    };
    let fits = arguments.next().as_deref() == Some("fit");
    let (mut scores, mut exceeding) = (Scores::default(), Vec::new());
    for (index, (past, later)) in train.iter().zip(&test).enumerate() {
        let Some(made) = forecast(past, 0, later.len()) else { continue };
        let values: Vec<f64> = made.points.iter().map(|point| point.value).collect();
        let naive: Vec<f64> = (0..later.len()).map(|at| past[past.len() - SEASON + at % SEASON]).collect();
        scores.ours.add(past, &values, later);
        scores.naive.add(past, &naive, later);
        // Intervals and probabilities were made with the odd ones.
        if index.is_multiple_of(2) == fits {
            continue;
        }
        for (point, actual) in made.points.iter().zip(later) {
            scores.inside_80 += usize::from((point.range_80.0..=point.range_80.1).contains(actual));
            scores.inside_95 += usize::from((point.range_95.0..=point.range_95.1).contains(actual));
            scores.points += 1;
        }
        exceeding.extend(cases(past, later, fits));
        // The same at earlier moments of the same series.
        for cut in (1..=EARLIER).map(|steps| past.len().saturating_sub(steps * later.len())) {
            let (before, after) = past.split_at(cut);
            exceeding.extend(cases(before, &after[..later.len().min(after.len())], fits));
        }
    }
    if fits {
        scores.print();
        fit(exceeding);
        return ExitCode::SUCCESS;
    }
    scores.print();
    reliability(&exceeding);
    ExitCode::SUCCESS
}

#[derive(Default)]
struct Scores {
    ours: Errors,
    naive: Errors,
    inside_80: usize,
    inside_95: usize,
    points: usize,
}

#[derive(Default)]
struct Errors {
    mase: f64,
    smape: f64,
    series: usize,
}

impl Errors {
    fn add(&mut self, past: &[f64], made: &[f64], later: &[f64]) {
        let scale = past.windows(SEASON + 1).map(|pair| (pair[SEASON] - pair[0]).abs()).sum::<f64>()
            / (past.len() - SEASON) as f64;
        let count = later.len() as f64;
        let error = made.iter().zip(later).map(|(made, actual)| (made - actual).abs()).sum::<f64>() / count;
        let part = |(made, actual): (&f64, &f64)| {
            200.0 * (made - actual).abs() / (made.abs() + actual.abs()).max(1e-9)
        };
        self.mase += error / scale.max(1e-9);
        self.smape += made.iter().zip(later).map(part).sum::<f64>() / count;
        self.series += 1;
    }

    fn means(&self) -> (f64, f64) {
        let count = self.series.max(1) as f64;
        (self.mase / count, self.smape / count)
    }
}

impl Scores {
    fn print(&self) {
        for (name, errors) in [("this forecast", &self.ours), ("seasonal naive (24)", &self.naive)] {
            let (mase, smape) = errors.means();
            println!("{name}: {} series, MASE {mase:.3}, sMAPE {smape:.2}", errors.series);
        }
        let share = |inside: usize| inside as f64 * 100.0 / self.points.max(1) as f64;
        println!(
            "80 % interval: {:.1} %, 95 % interval: {:.1} %",
            share(self.inside_80),
            share(self.inside_95)
        );
    }
}

/// A limit of a series: what was said, what the day before says, and what came.
struct Case {
    said: f64,
    naive: f64,
    came: f64,
}

/// Limits that the past reached now and then.
fn cases(past: &[f64], later: &[f64], raw: bool) -> Vec<Case> {
    let Some(made) = forecast(past, 0, later.len()) else { return Vec::new() };
    let mut sorted = past.to_vec();
    sorted.sort_by(f64::total_cmp);
    let naive = |limit: f64| (0..later.len()).any(|at| past[past.len() - SEASON + at % SEASON] > limit);
    let case = |part: f64| {
        let limit = sorted[((sorted.len() - 1) as f64 * part) as usize];
        Case {
            said: if raw { made.paths_above(limit) } else { made.exceeds(limit) } / 100.0,
            naive: f64::from(naive(limit)),
            came: f64::from(later.iter().any(|value| *value > limit)),
        }
    };
    LIMITS.into_iter().map(case).collect()
}

/// Brier scores, and by tenths what was said and what came.
fn reliability(cases: &[Case]) {
    let mean = |of: &dyn Fn(&Case) -> f64| cases.iter().map(of).sum::<f64>() / cases.len().max(1) as f64;
    let ours = mean(&|case| (case.said - case.came).powi(2));
    let naive = mean(&|case| (case.naive - case.came).powi(2));
    println!(
        "P(exceed): {} cases, Brier {ours:.3}, seasonal naive {naive:.3}, skill {:.2}",
        cases.len(),
        1.0 - ours / naive
    );
    for tenth in 0..10 {
        let of: Vec<_> = cases.iter().filter(|case| ((case.said * 10.0) as usize).min(9) == tenth).collect();
        let share = |value: &dyn Fn(&&Case) -> f64| {
            of.iter().map(value).sum::<f64>() * 100.0 / of.len().max(1) as f64
        };
        println!(
            "{:>4} cases: said {:5.1} %, came {:5.1} %",
            of.len(),
            share(&|case| case.said),
            share(&|case| case.came)
        );
    }
}

/// Isotonic regression by pooling neighbours that are out of order or said the same, in steps of a twentieth; prints said and came.
fn fit(mut cases: Vec<Case>) {
    cases.sort_by(|a, b| a.said.total_cmp(&b.said));
    // Sums of what was said and of what came, and how many.
    let mut pools: Vec<(f64, f64, f64)> = Vec::new();
    for chunk in cases.chunks(cases.len().div_ceil(20).max(1)) {
        let sum = |of: fn(&Case) -> f64| chunk.iter().map(of).sum::<f64>();
        pools.push((sum(|case| case.said), sum(|case| case.came), chunk.len() as f64));
        while let [.., (before, came, count), (said, next, more)] = pools[..]
            && (came / count >= next / more || before / count >= said / more)
        {
            let (said, came, count) = pools.pop().unwrap_or_default();
            if let Some(last) = pools.last_mut() {
                *last = (last.0 + said, last.1 + came, last.2 + count);
            }
        }
    }
    for (said, came, count) in pools {
        println!("    ({:.1}, {:.1}), // {count} cases", said * 100.0 / count, came * 100.0 / count);
    }
}

fn series(file: &Path) -> Option<Vec<Vec<f64>>> {
    let text = std::fs::read_to_string(file).ok()?;
    let row = |line: &str| -> Vec<f64> {
        line.split(',').skip(1).filter_map(|cell| cell.trim_matches('"').parse().ok()).collect()
    };
    Some(text.lines().skip(1).map(row).collect())
}
