//! What the masking takes for personal data in logs that have none: `masking_quality FILE...`.
//!
//! Every finding is printed, so that a person can say whether it is one; and how the time grows with the text.

use std::collections::BTreeMap;
use std::time::Instant;

use iap_ops::masking::Masker;

#[allow(clippy::print_stdout)] // The result.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let masker = Masker::default();
    let (mut lines, mut bytes, mut found) = (0_u64, 0_u64, BTreeMap::<_, u64>::new());
    let mut all = String::new();
    let begin = Instant::now();
    for file in std::env::args().skip(1) {
        let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
        for line in text.lines() {
            (lines, bytes) = (lines + 1, bytes + line.len() as u64);
            for hit in masker.find(line) {
                *found.entry(hit.class.as_str()).or_default() += 1;
                println!("{}\t{}\t{line}", hit.class.as_str(), &line[hit.range]);
            }
        }
        all.push_str(&text);
    }
    let seconds = begin.elapsed().as_secs_f64();
    let hits: u64 = found.values().sum();
    println!("{lines} lines, {bytes} bytes, {:.1} MB/s", bytes as f64 / 1e6 / seconds);
    println!("{hits} findings, {:.2} in 10,000 lines: {found:?}", hits as f64 * 1e4 / lines.max(1) as f64);
    let part = |size: usize| {
        let end = (0..=size.min(all.len())).rev().find(|end| all.is_char_boundary(*end)).unwrap_or(0);
        let begin = Instant::now();
        masker.find(&all[..end]);
        begin.elapsed().as_secs_f64() * 1e9 / end.max(1) as f64
    };
    for size in [100_000, 1_000_000, 10_000_000] {
        println!("{size} bytes at once: {:.0} ns a byte", part(size));
    }
    Ok(())
}
