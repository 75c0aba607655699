//! What a text is found by: words of Latin letters, and two and three syllables of Korean.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

/// The longest word that is kept.
const MAX_WORD: usize = 64;

/// Words that are in every text, or in every statement.
const COMMON: &[&str] = &[
    "select", "insert", "update", "delete", "into", "values", "where", "join", "limit", "a", "all", "an",
    "and", "are", "as", "at", "be", "by", "do", "for", "from", "how", "if", "in", "is", "it", "last", "me",
    "now", "of", "on", "or", "right", "s", "that", "the", "then", "this", "to", "was", "what", "when", "why",
    "with",
];

/// The grams of a text, in order; some come more than once.
pub(super) fn of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut run: Vec<char> = Vec::new();
    let mut latin = false;
    for c in text.nfkc().flat_map(char::to_lowercase).chain([' ']) {
        let letter = c.is_alphanumeric();
        if (!letter || c.is_ascii_alphanumeric() != latin) && !run.is_empty() {
            end(&run, latin, &mut found);
            run.clear();
        }
        if letter {
            latin = c.is_ascii_alphanumeric();
            run.push(c);
        }
    }
    found
}

/// The grams by which texts are compared: each syllable counts in two of them, however a word ends.
pub(super) fn basic(text: &str) -> BTreeSet<String> {
    of(text).into_iter().filter(|gram| gram.is_ascii() || gram.chars().count() < 3).collect()
}

fn end(run: &[char], latin: bool, found: &mut Vec<String>) {
    if latin {
        let word: String = run.iter().take(MAX_WORD).collect();
        if !COMMON.contains(&word.as_str()) {
            found.push(word);
        }
        return;
    }
    for size in [2, 3] {
        found.extend(run.windows(size).map(|part| part.iter().collect::<String>()));
    }
    if run.len() == 1 {
        found.push(run.iter().collect());
    }
}
