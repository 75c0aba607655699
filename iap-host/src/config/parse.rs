//! YAML to [`Config`], with a place for each error.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{Config, Environment, check, env, upstream};

/// What is wrong with a configuration, where, and how to mend it. Never quotes the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    /// The file's name.
    pub(crate) file: String,
    /// Line and column, both from 1, where they are known.
    pub(crate) place: Option<(u64, u64)>,
    /// What is wrong.
    pub(crate) message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The largest file that is read.
const MAX_BYTES: usize = 4 << 20;

/// What the parser says, and what it means to somebody who writes a configuration.
const PLAIN_WORDS: [(&str, &str); 7] = [
    ("invalid socket address", "not an address: write an IP address and a port, like 127.0.0.1:8080"),
    ("expected mapping start", "a block of settings is expected here, each on a line of its own"),
    ("expected sequence start", "a list is expected here, like [first, second]"),
    ("invalid u", "a whole number is expected here"),
    ("invalid usize", "a whole number is expected here"),
    ("duplicate", "a duplicate key: each setting stands once in its block"),
    ("multiple YAML documents", "more than one document: remove the line `---`"),
];

/// Parses a configuration, lays the environment over it and checks it whole.
pub(crate) fn parse(file: &str, text: &str, environment: &Environment) -> Result<Config, ConfigError> {
    let at = |place, message| ConfigError { file: file.to_owned(), place, message };
    if text.len() > MAX_BYTES {
        return Err(at(None, format!("larger than {} MiB: this is no configuration", MAX_BYTES >> 20)));
    }
    let config = if is_blank(text) {
        Config::default()
    } else {
        serde_saphyr::from_str(text).map_err(|error| {
            let place = error.location().map(|location| (location.line(), location.column()));
            at(place, describe(&error))
        })?
    };
    let config = env::apply(config, environment).map_err(|message| at(None, message))?;
    upstream::check(&config)
        .map_err(|(name, message)| at(place_of(text, |places| places.upstreams.get(&name)), message))?;
    match check::check(&config) {
        Ok(()) => Ok(config),
        Err(problem) => {
            let place = problem.route.and_then(|index| place_of(text, |places| places.routes.get(index)));
            Err(at(place, problem.message))
        }
    }
}

/// What a text has, whatever it means; none where it cannot be read.
pub(crate) fn written(text: &str) -> Option<Value> {
    if is_blank(text) {
        return None;
    }
    serde_saphyr::from_str(text).ok()
}

/// Nothing but comments and white space.
fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// The message alone: the library's own form quotes source lines, and so could leak secrets.
fn describe(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = match text.find(" at line ").or_else(|| text.find(" (line ")) {
        Some(at) => text[..at].to_owned(),
        None => text,
    };
    let text = text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ':' | ' ')).to_owned();
    if let Some((_, plain)) = PLAIN_WORDS.iter().find(|(raw, _)| text.contains(raw)) {
        return (*plain).to_owned();
    }
    match nearest_key(&text) {
        Some(key) => format!("{text}; did you mean `{key}`?"),
        None => text,
    }
}

/// For "unknown field `x`, expected one of a, b": the expected key most like `x`.
fn nearest_key(message: &str) -> Option<&str> {
    let (wrong, expected) = message.strip_prefix("unknown field `")?.split_once("`, expected ")?;
    let expected = expected.strip_prefix("one of ").unwrap_or(expected);
    let keys = expected.split(", ").map(|key| key.trim_matches('`'));
    let (distance, key) = keys.map(|key| (edit_distance(wrong, key), key)).min()?;
    (distance <= wrong.len().max(3) / 2).then_some(key)
}

/// The Levenshtein distance.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Where the blocks that can be wrong as a whole stand.
#[derive(Deserialize)]
struct Places {
    #[serde(default)]
    upstreams: BTreeMap<String, Spanned<IgnoredAny>>,
    #[serde(default)]
    routes: Vec<Spanned<IgnoredAny>>,
}

/// Finds where a block stands; asked only for an error message.
fn place_of(text: &str, find: impl Fn(&Places) -> Option<&Spanned<IgnoredAny>>) -> Option<(u64, u64)> {
    let places: Places = serde_saphyr::from_str(text).ok()?;
    let location = find(&places)?.referenced;
    Some((location.line(), location.column()))
}
