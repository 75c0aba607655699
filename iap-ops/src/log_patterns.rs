//! Many log lines as the few things they say.

use std::collections::BTreeMap;

use iap_apm::LogLine;
use iap_apm::model::Level;
use schemars::JsonSchema;
use serde::Serialize;

/// Words of a line that are looked at.
const MAX_WORDS: usize = 40;
/// What stands for a word with a digit: such words mostly tell one line from the next.
const ANY: &str = "<*>";

/// Lines of one service and level that differ in their numbers and ids only.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LogPattern {
    /// The words that they share, with `<*>` for those that hold a digit.
    pub pattern: String,
    /// Who wrote them.
    pub service: String,
    /// How grave they are.
    pub level: Level,
    /// How many there are.
    pub count: u64,
    /// When the first was written, in Unix microseconds.
    pub first_us: u64,
    /// When the last was written.
    pub last_us: u64,
    /// The transaction of one of them, as hexadecimal digits.
    pub trace_id: Option<String>,
}

/// The patterns of some lines, the most frequent first.
pub fn log_patterns(lines: &[LogLine]) -> Vec<LogPattern> {
    let mut found: BTreeMap<(Level, &str, String), LogPattern> = BTreeMap::new();
    for line in lines {
        let has_digit = |word: &str| word.bytes().any(|b| b.is_ascii_digit());
        let words = line.message.split_whitespace().take(MAX_WORDS);
        let words: Vec<&str> = words.map(|word| if has_digit(word) { ANY } else { word }).collect();
        let text = words.join(" ");
        let new = || LogPattern {
            pattern: text.clone(),
            service: line.service.clone(),
            level: line.level,
            count: 0,
            first_us: line.time_us,
            last_us: line.time_us,
            trace_id: None,
        };
        let pattern = found.entry((line.level, &line.service, text.clone())).or_insert_with(new);
        pattern.count += 1;
        pattern.first_us = pattern.first_us.min(line.time_us);
        pattern.last_us = pattern.last_us.max(line.time_us);
        if pattern.trace_id.is_none() {
            pattern.trace_id = line.trace_id.map(|id| id.to_string());
        }
    }
    let mut patterns: Vec<_> = found.into_values().collect();
    patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.count));
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_numbers_is_one() {
        let line = |time_us, level, message: &str, trace_id: Option<&str>| -> LogLine {
            let line = serde_json::json!({ "time_us": time_us, "level": level, "target": "t", "message": message,
                "service": "shop", "trace_id": trace_id, "span_id": null });
            serde_json::from_value(line).expect("a line")
        };
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let lines = [
            line(5, Level::Warn, "order 17 took 3 ms", None),
            line(3, Level::Warn, "order 4711  took 12 ms", Some(trace)),
            line(4, Level::Error, "order 1 took 2 ms", None),
            line(9, Level::Warn, "order 1 was refused", None),
        ];
        let patterns = log_patterns(&lines);
        let seen: Vec<_> = patterns.iter().map(|p| (p.pattern.as_str(), p.level, p.count)).collect();
        let wanted = [
            ("order <*> took <*> ms", Level::Warn, 2),
            ("order <*> was refused", Level::Warn, 1),
            ("order <*> took <*> ms", Level::Error, 1),
        ];
        assert_eq!(seen, wanted);
        assert_eq!((patterns[0].first_us, patterns[0].last_us), (3, 5));
        assert_eq!(patterns[0].trace_id, Some(trace.to_owned()));
    }
}
