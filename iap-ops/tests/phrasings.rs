//! What is asked, by many phrasings: a list that the planner was made with, and one that it was not.

use std::collections::BTreeMap;

use iap_ops::Question;

/// Phrasings of each intent, both languages together.
const MIN_EACH: usize = 40;
/// The least shares that are understood; docs/ops-quality.md states those that were measured.
const HELD_OUT_FLOOR: f64 = 0.95;
const LATER_FLOOR: f64 = 0.75;

/// Pairs of an intent and a text.
fn pairs(file: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut intent = "";
    let mut pairs = Vec::new();
    for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => intent = name,
            None => pairs.push((intent, line)),
        }
    }
    pairs
}

fn understood(text: &str) -> String {
    serde_json::to_value(Question::read(text).intent)
        .expect("serializable")
        .as_str()
        .expect("a name")
        .to_owned()
}

fn wrong(pairs: &[(&str, &str)]) -> Vec<String> {
    let wrong = pairs.iter().filter_map(|(intent, text)| {
        let found = understood(text);
        (found != *intent).then(|| format!("{intent} < {found}: {text}"))
    });
    wrong.collect()
}

#[test]
fn the_phrasings_of_the_list_are_understood() {
    let pairs = pairs(include_str!("phrasings/tuned.txt"));
    let mut each: BTreeMap<&str, usize> = BTreeMap::new();
    for (intent, _) in &pairs {
        *each.entry(intent).or_default() += 1;
    }
    assert_eq!(each.len(), 16, "fifteen intents and the unknown");
    assert!(each.values().all(|count| *count >= MIN_EACH), "{each:?}");
    let wrong = wrong(&pairs);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
}

#[test]
#[expect(clippy::print_stdout, reason = "the measure")]
fn most_phrasings_that_were_held_out_are_understood() {
    for (name, file, floor) in [
        ("written before the rules", include_str!("phrasings/held-out.txt"), HELD_OUT_FLOOR),
        ("written after the rules", include_str!("phrasings/later.txt"), LATER_FLOOR),
    ] {
        let pairs = pairs(file);
        let wrong = wrong(&pairs);
        let right = pairs.len() - wrong.len();
        let share = right as f64 / pairs.len() as f64;
        // Only the share: who sees the texts tunes for them.
        let silent = wrong.iter().filter(|line| line.contains("< unknown:")).count();
        println!("{name}: {right} of {} ({:.1} %), {silent} not understood", pairs.len(), share * 100.0);
        assert!(share >= floor, "{name}: {right} of {}", pairs.len());
    }
}
