//! One setting changed in a text that keeps all the rest, comments too.

use super::settings::{SettingChange, changes};
use crate::config::{Config, ConfigError};

/// Places that are tried.
const MAX_PLACES: usize = 64;

/// Why there is no preview.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoPreview {
    /// The setting does not stand in the text: where it belongs is for a person to say.
    NotWritten,
    /// It stands there, and this value does not fit.
    NotValid(String),
}

/// The text with another value of a setting, by its path (`server.drain`, `routes[shop].limits.response`), and what it means. The value is put at each
/// place where a setting of that name has one, until exactly this setting differs: so nothing else is ever touched.
pub(crate) fn preview(
    text: &str,
    (path, value): (&str, &str),
    before: &Config,
    parse: impl Fn(&str) -> Result<Config, ConfigError>,
) -> Result<(String, Config), NoPreview> {
    let name = path.rsplit(['.', '[']).next().unwrap_or(path).trim_end_matches(']');
    let mut why = NoPreview::NotWritten;
    for (begin, end) in places(text, name).take(MAX_PLACES) {
        let edited = format!("{}{value}{}", &text[..begin], &text[end..]);
        match parse(&edited) {
            Ok(after) if is_only(&changes(before, &after), path) => return Ok((edited, after)),
            Ok(_) => {}
            Err(error) => why = NoPreview::NotValid(error.message),
        }
    }
    Err(why)
}

fn is_only(changes: &[SettingChange], path: &str) -> bool {
    matches!(changes, [one] if one.path == path)
}

/// Where values stand after `name:`: single ones, in block or in flow style.
fn places<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    let key = format!("{name}:");
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(found) = text[at..].find(&key) {
            let begin = at + found;
            at = begin + key.len();
            let is_key = text[..begin].chars().next_back().is_none_or(|c| " \n{,-".contains(c));
            let line = text[at..].split('\n').next().unwrap_or_default();
            let gap = line.len() - line.trim_start_matches(' ').len();
            let value = &line[gap..];
            if is_key
                && gap > 0
                && !value.is_empty()
                && !value.starts_with(['{', '[', '#', '|', '>', '&', '*', '!'])
            {
                return Some((at + gap, at + gap + length(value)));
            }
        }
        None
    })
}

/// How long a value is that begins here.
fn length(value: &str) -> usize {
    if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        return value[1..].find(quote).map_or(value.len(), |end| end + 2);
    }
    let end = value.find([',', '}', ']']).unwrap_or(value.len());
    let end = value.find(" #").unwrap_or(end).min(end);
    value[..end].trim_end().len()
}
