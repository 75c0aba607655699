//! What the metrics of this process have counted between two looks.

use std::collections::BTreeMap;

/// Lines that are read; the series of ours are bounded, and these are for the sake of it.
const MAX_LINES: usize = 200_000;
/// What the names of the metrics that are looked at begin with.
const READ: [&str; 3] = ["iap_http_request", "iap_upstream_re", "iap_session_"];

/// The labels of a series, sorted.
pub(crate) type Labels = BTreeMap<String, String>;

/// Counters, by what they showed last.
#[derive(Debug, Default)]
pub(super) struct Counters {
    last: Option<BTreeMap<String, f64>>,
}

/// What was added to a series since the look before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Added {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: f64,
}

impl Counters {
    /// Reads the metrics in the text format of Prometheus. The first look only remembers.
    pub(super) fn advance(&mut self, text: &str) -> Vec<Added> {
        let read = |line: &&str| READ.iter().any(|start| line.starts_with(start));
        let mut now = BTreeMap::new();
        let mut added = Vec::new();
        for line in text.lines().filter(read).take(MAX_LINES) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            now.insert(series.to_owned(), value);
            // One that appears has counted from nothing.
            let before = self.last.as_ref().map(|last| last.get(series).copied().unwrap_or(0.0));
            if let Some(before) = before
                && let Some((name, labels)) = parse(series)
            {
                added.push(Added { name, labels, value: (value - before).max(0.0) });
            }
        }
        self.last = Some(now);
        added
    }
}

/// The name and the labels: `name{a="b",c="d"}`.
pub(crate) fn parse(series: &str) -> Option<(String, Labels)> {
    let Some((name, rest)) = series.split_once('{') else { return Some((series.to_owned(), Labels::new())) };
    let mut labels = Labels::new();
    let mut rest = rest.strip_suffix('}')?;
    while !rest.is_empty() {
        let (label, value) = rest.split_once("=\"")?;
        let (mut text, mut end, mut escaped) = (String::new(), None, false);
        for (at, c) in value.char_indices() {
            match (escaped, c) {
                (true, 'n') => text.push('\n'),
                (true, c) => text.push(c),
                (false, '\\') => {}
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (false, c) => text.push(c),
            }
            escaped = !escaped && c == '\\';
        }
        labels.insert(label.to_owned(), text);
        rest = &value[end? + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some((name.to_owned(), labels))
}

#[cfg(test)]
mod tests {
    use super::{Counters, parse};

    #[test]
    fn labels_may_hold_anything() {
        let (name, labels) = parse(r#"a_total{route="say \"hi\", {x}",b="c\\"}"#).unwrap();
        assert_eq!((name.as_str(), labels["route"].as_str()), ("a_total", r#"say "hi", {x}"#));
        assert_eq!(labels["b"], "c\\");
        assert_eq!(parse("plain").unwrap().1.len(), 0);
        for broken in [r#"a{b="c}"#, r#"a{b="c""#, "a{b}"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_first_look_only_remembers_and_what_appears_counts_from_nothing() {
        let mut counters = Counters::default();
        assert!(counters.advance("iap_session_logins_total 5\n").is_empty());
        let text = "# HELP x\niap_session_logins_total 7\niap_session_logouts_total 3\nother_total 9\n";
        let added: Vec<_> =
            counters.advance(text).into_iter().map(|added| (added.name, added.value)).collect();
        let expected = [("iap_session_logins_total", 2.0), ("iap_session_logouts_total", 3.0)];
        assert_eq!(added, expected.map(|(name, value)| (name.to_owned(), value)));
        let fallen = counters.advance("iap_session_logins_total 1\n");
        assert!(fallen[0].value.abs() < f64::EPSILON, "a counter that falls has begun anew");
    }
}
