//! YAML to [`Config`], with a place for each error.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_saphyr::Spanned;

use super::layers::{Document, Instance, Wrong, apart, no_instances};
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

/// What a text means, for one of its instances.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) config: Config,
    /// None where the text has none.
    pub(crate) instance: Option<Instance>,
}

/// Parses a text without instances, lays the environment over it and checks it whole.
#[cfg(any(test, fuzzing))]
pub(crate) fn parse(file: &str, text: &str, environment: &Environment) -> Result<Config, ConfigError> {
    parse_as(file, text, None, environment).map(|parsed| parsed.config)
}

/// What a text means for one of its instances, with the environment laid over it. All others are checked as well: an error
/// anywhere in the text is one.
pub(crate) fn parse_as(
    file: &str,
    text: &str,
    instance: Option<&str>,
    environment: &Environment,
) -> Result<Parsed, ConfigError> {
    let read = || match layers(text)? {
        None if instance.is_none() => Ok(Parsed { config: whole(text, environment)?, instance: None }),
        None => Err(Wrong { place: None, message: no_instances(instance.unwrap_or_default()) }),
        Some(document) => {
            document.instance(instance)?;
            let all = each(&document, instance, environment)?;
            let is_it = |one: &Parsed| one.instance.as_ref().map(|one| one.name.as_str()) == instance;
            let none = || Wrong { place: None, message: "there is no such instance".to_owned() };
            all.into_iter().find(is_it).ok_or_else(none)
        }
    };
    read().map_err(|wrong: Wrong| wrong.of(file))
}

/// What a text means for each of its instances, or the one thing that it means without any. The environment is that of one
/// process, so it counts in a text without instances alone.
pub(crate) fn parse_all(
    file: &str,
    text: &str,
    environment: &Environment,
) -> Result<Vec<Parsed>, ConfigError> {
    let read = || match layers(text)? {
        None => Ok(vec![Parsed { config: whole(text, environment)?, instance: None }]),
        Some(document) => each(&document, None, environment),
    };
    read().map_err(|wrong: Wrong| wrong.of(file))
}

/// The same of a text that was read already, without any environment.
pub(crate) fn parse_document(document: &Document) -> Result<Vec<Parsed>, Wrong> {
    each(document, None, &Environment::new())
}

/// A text with profiles or instances.
fn layers(text: &str) -> Result<Option<Document>, Wrong> {
    if text.len() > MAX_BYTES {
        let message = format!("larger than {} MiB: this is no configuration", MAX_BYTES >> 20);
        return Err(Wrong { place: None, message });
    }
    Document::read(text).transpose()
}

/// What a file means for each of its instances. The environment counts for the one of this process.
fn each(document: &Document, own: Option<&str>, environment: &Environment) -> Result<Vec<Parsed>, Wrong> {
    for part in document.parts() {
        match typed::<Config>(&part.text) {
            // It may stand in another layer.
            Err(wrong) if !wrong.message.contains("missing field") => return Err(wrong.from(&part)),
            _ => {}
        }
    }
    let of = |instance: Option<&Instance>, environment| {
        let emitted = document.merged(instance)?.emitted();
        whole(&emitted.text, environment).map_err(|wrong| wrong.from(&emitted))
    };
    if document.instances().is_empty() {
        return Ok(vec![Parsed { config: of(None, environment)?, instance: None }]);
    }
    let (mut all, none) = (Vec::new(), Environment::new());
    for instance in document.instances() {
        let is_own = Some(instance.name.as_str()) == own;
        let config = of(Some(instance), if is_own { environment } else { &none });
        let config = config.map_err(|Wrong { place, message }| {
            let message = if is_own { message } else { format!("instance `{}`: {message}", instance.name) };
            Wrong { place, message }
        })?;
        all.push((instance, config));
    }
    apart(document, &all)?;
    let parsed =
        |(instance, config): (&Instance, Config)| Parsed { config, instance: Some(instance.clone()) };
    Ok(all.into_iter().map(parsed).collect())
}

/// A text that is one configuration.
fn whole(text: &str, environment: &Environment) -> Result<Config, Wrong> {
    let at = |place, message| Wrong { place, message };
    let config = if is_blank(text) { Config::default() } else { typed(text)? };
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

/// Reads a text as something, with the place of what does not fit.
pub(super) fn typed<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|location| (location.line(), location.column()));
        Wrong { place, message: describe(&error) }
    })
}

impl Wrong {
    fn of(self, file: &str) -> ConfigError {
        ConfigError { file: file.to_owned(), place: self.place, message: self.message }
    }
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
    nearest(wrong, expected.split(", ").map(|key| key.trim_matches('`')))
}

/// The name that somebody probably means.
pub(super) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) = names.map(|name| (edit_distance(wrong, name), name)).min()?;
    (distance <= wrong.len().max(3) / 2).then_some(name)
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
