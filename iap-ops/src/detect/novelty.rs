//! What a log says that it never said before: templates of lines, in the manner of Drain (He et al., ICWS 2017).
//!
//! A line is cut into words; those that hold a digit stand for any. Lines of the same length and the same first words whose
//! words are mostly the same are one template, and where they differ it has a gap.

use std::collections::BTreeMap;

/// Templates that are kept; of more, the one that was not seen longest goes.
const MAX_TEMPLATES: usize = 2_000;
/// Words of a line that are looked at, and bytes of each.
const MAX_WORDS: usize = 40;
const MAX_WORD: usize = 64;
/// First words that must be the same.
const FIRST: usize = 1;
/// The part of its words that a line shares with its template.
const SIMILAR: f64 = 0.6;
/// What stands for any word.
const ANY: &str = "<*>";

/// Length, service and first words.
type Group = (usize, String, Vec<String>);

#[derive(Debug, Clone)]
struct Template {
    words: Vec<String>,
    seen_s: u64,
    count: u64,
}

/// The templates of error lines that were ever seen.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    groups: BTreeMap<Group, Vec<Template>>,
    number: usize,
}

impl Templates {
    /// Takes up a line of a service at a moment (Unix seconds). Gives its template where there was none like it.
    pub fn learn(&mut self, at_s: u64, service: &str, line: &str) -> Option<String> {
        let words = words(line);
        let first: Vec<String> = words.iter().take(FIRST).cloned().collect();
        let group = self.groups.entry((words.len(), service.to_owned(), first)).or_default();
        let shared =
            |template: &Template| template.words.iter().zip(&words).filter(|(a, b)| a == b).count() as f64;
        let best = group.iter_mut().max_by(|a, b| shared(a).total_cmp(&shared(b)));
        if let Some(template) = best
            && shared(template) >= SIMILAR * words.len() as f64
        {
            for (known, word) in template.words.iter_mut().zip(&words) {
                if known != word {
                    ANY.clone_into(known);
                }
            }
            template.seen_s = at_s;
            template.count += 1;
            return None;
        }
        let text = words.join(" ");
        group.push(Template { words, seen_s: at_s, count: 1 });
        self.number += 1;
        self.make_room();
        Some(text)
    }

    /// Templates that are kept.
    pub fn len(&self) -> usize {
        self.number
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.number == 0
    }

    fn make_room(&mut self) {
        if self.number <= MAX_TEMPLATES {
            return;
        }
        let oldest = self.groups.values().flatten().map(|template| template.seen_s).min().unwrap_or(0);
        let mut gone = false;
        self.groups.retain(|_, group| {
            let at = group.iter().position(|template| template.seen_s == oldest).filter(|_| !gone);
            if let Some(at) = at {
                group.remove(at);
                gone = true;
            }
            !group.is_empty()
        });
        self.number -= usize::from(gone);
    }
}

/// The words of a line, without control characters; `<*>` for those with a digit.
fn words(line: &str) -> Vec<String> {
    let word = |word: &str| {
        let clean: String = word.chars().filter(|c| !c.is_control()).take(MAX_WORD).collect();
        if clean.chars().any(|c| c.is_ascii_digit()) { ANY.to_owned() } else { clean }
    };
    line.split_whitespace().take(MAX_WORDS).map(word).collect()
}

#[cfg(test)]
mod tests;
