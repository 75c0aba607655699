//! How good the forecast is on public series: the hourly ones of the M4 competition.
//!
//! ```sh
//! cargo run --release -p iap-ops --example forecast_quality -- DIRECTORY
//! ```
//!
//! The directory holds `Hourly-train.csv` and `Hourly-test.csv`. Nothing was fitted to the test part.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs, reason = "a program that prints a table")]

use std::path::Path;
use std::process::ExitCode;

use iap_ops::forecast::forecast;

/// The season that M4 scales errors by.
const SEASON: usize = 24;

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("give the directory with Hourly-train.csv and Hourly-test.csv");
        return ExitCode::FAILURE;
    };
    let read = |name: &str| series(&Path::new(&directory).join(name));
    let (Some(train), Some(test)) = (read("Hourly-train.csv"), read("Hourly-test.csv")) else {
        eprintln!("{directory}: Hourly-train.csv or Hourly-test.csv cannot be read");
        return ExitCode::FAILURE;
    };
    let (mut scores, mut exceeding) = (Scores::default(), Vec::new());
    for (past, later) in train.iter().zip(&test) {
        let Some(made) = forecast(past, 0, later.len()) else { continue };
        let values: Vec<f64> = made.points.iter().map(|point| point.value).collect();
        let naive: Vec<f64> = (0..later.len()).map(|at| past[past.len() - SEASON + at % SEASON]).collect();
        scores.ours.add(past, &values, later);
        scores.naive.add(past, &naive, later);
        for (point, actual) in made.points.iter().zip(later) {
            scores.inside_80 += usize::from((point.range_80.0..=point.range_80.1).contains(actual));
            scores.inside_95 += usize::from((point.range_95.0..=point.range_95.1).contains(actual));
            scores.points += 1;
        }
        // A limit that the past reached now and then.
        let mut sorted = past.clone();
        sorted.sort_by(f64::total_cmp);
        for part in [0.9, 0.97, 1.0] {
            let limit = sorted[((sorted.len() - 1) as f64 * part) as usize];
            let naive = f64::from(naive.iter().any(|value| *value > limit));
            exceeding.push((
                made.exceeds(limit) / 100.0,
                naive,
                f64::from(later.iter().any(|value| *value > limit)),
            ));
        }
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

/// Brier scores, and by tenths what was said and what came.
fn reliability(cases: &[(f64, f64, f64)]) {
    let mean =
        |of: &dyn Fn(&(f64, f64, f64)) -> f64| cases.iter().map(of).sum::<f64>() / cases.len().max(1) as f64;
    let ours = mean(&|(said, _, came)| (said - came).powi(2));
    let naive = mean(&|(_, naive, came)| (naive - came).powi(2));
    println!(
        "P(exceed): {} cases, Brier {ours:.3}, seasonal naive {naive:.3}, skill {:.2}",
        cases.len(),
        1.0 - ours / naive
    );
    for tenth in 0..10 {
        let of: Vec<_> = cases.iter().filter(|(said, ..)| ((said * 10.0) as usize).min(9) == tenth).collect();
        let share = |value: &dyn Fn(&&(f64, f64, f64)) -> f64| {
            of.iter().map(value).sum::<f64>() * 100.0 / of.len().max(1) as f64
        };
        println!(
            "{:>4} cases: said {:5.1} %, came {:5.1} %",
            of.len(),
            share(&|case| case.0),
            share(&|case| case.2)
        );
    }
}

fn series(file: &Path) -> Option<Vec<Vec<f64>>> {
    let text = std::fs::read_to_string(file).ok()?;
    let row = |line: &str| -> Vec<f64> {
        line.split(',').skip(1).filter_map(|cell| cell.trim_matches('"').parse().ok()).collect()
    };
    Some(text.lines().skip(1).map(row).collect())
}
