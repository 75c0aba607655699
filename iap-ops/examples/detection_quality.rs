//! How well events are found in public series: a part of the Numenta Anomaly Benchmark.
//!
//! ```sh
//! cargo run --release -p iap-ops --example detection_quality -- DIRECTORY
//! ```
//!
//! The directory holds `combined_windows.json` and the series. Every series is a level of which either side may hurt. The first 15 %
//! are not judged, as in the benchmark. A labelled window is found when an event overlaps it; an event is right when it overlaps
//! a window.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs, reason = "a program that prints a table")]

mod quality;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use iap_ops::detect::{Detector, Direction, Measure};
use quality::{entries, name, rows, seconds};

/// The part of a series that is not judged.
const PROBATION: f64 = 0.15;

#[derive(Default)]
struct Counts {
    series: usize,
    windows: usize,
    found: usize,
    events: usize,
    right: usize,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.series += other.series;
        self.windows += other.windows;
        self.found += other.found;
        self.events += other.events;
        self.right += other.right;
    }

    fn print(&self, set: &str) {
        let share = |part: usize, whole: usize| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
        let (precision, recall) = (share(self.right, self.events), share(self.found, self.windows));
        let f1 = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
        let Self { series, windows, found, events, right } = self;
        println!(
            "| {set} | {series} | {found} of {windows} | {right} of {events} | {precision:.2} | {recall:.2} | {f1:.2} |"
        );
    }
}

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("give the directory with combined_windows.json");
        return ExitCode::FAILURE;
    };
    if run(Path::new(&directory)).is_none() {
        eprintln!("{directory}: combined_windows.json or a series cannot be read");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(directory: &Path) -> Option<()> {
    let text = std::fs::read_to_string(directory.join("combined_windows.json")).ok()?;
    let windows: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&text).ok()?;
    println!(
        "| set | series | windows found | events right | precision | recall | F1 |\n|---|---|---|---|---|---|---|"
    );
    let mut all = Counts::default();
    for set in entries(directory)?.iter().filter(|path| path.is_dir()) {
        let mut counts = Counts::default();
        for file in entries(set)? {
            let key = format!("{}/{}", name(set), name(&file));
            let labelled = windows.get(&key).map_or(&[][..], Vec::as_slice);
            let labelled = labelled.iter().map(|(from, to)| Some((seconds(from)?, seconds(to)?)));
            let one = series(&file, &labelled.collect::<Option<Vec<_>>>()?)?;
            counts.add(&one);
        }
        counts.print(&name(set));
        all.add(&counts);
    }
    all.print("all");
    Some(())
}

fn series(file: &Path, labelled: &[(u64, u64)]) -> Option<Counts> {
    let rows = rows(file)?;
    let points: Vec<(u64, f64)> =
        rows[1..].iter().filter_map(|row| Some((seconds(&row[0])?, row.get(1)?.parse().ok()?))).collect();
    let begin = points[(points.len() as f64 * PROBATION) as usize].0;
    let mut detector = Detector::new(Measure::Level, Direction::Both);
    let mut events: Vec<(u64, u64)> = Vec::new();
    for (at_s, value) in &points {
        let judged = detector.push(*at_s, *value, 1.0);
        match (judged.event, judged.changed) {
            (true, true) => events.push((*at_s, *at_s)),
            (true, false) => events.last_mut()?.1 = *at_s,
            _ => {}
        }
    }
    events.retain(|(_, to)| *to >= begin);
    let meets = |a: &(u64, u64), b: &(u64, u64)| a.0 <= b.1 && b.0 <= a.1;
    let judged: Vec<_> = labelled.iter().filter(|window| window.1 >= begin).collect();
    let found = judged.iter().filter(|window| events.iter().any(|event| meets(event, window))).count();
    let right = events.iter().filter(|event| labelled.iter().any(|window| meets(event, window))).count();
    Some(Counts { series: 1, windows: judged.len(), found, events: events.len(), right })
}
