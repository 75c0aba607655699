//! The settings of a configuration one by one.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::redact::redact_json;
use crate::config::{Config, Environment, Layer, Node, Sources};

/// The identity of a configuration: of its settings as they count, whatever the text looks like.
pub(crate) fn hash(config: &Config) -> String {
    let canonical = serde_json::to_vec(&sorted(value(config))).unwrap_or_default();
    blake3::hash(&canonical).to_hex().to_string()
}

/// A configuration as JSON. All of it can be written so, which tests of the configuration show.
fn value(config: &Config) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}

/// The same document with its keys in order, whatever the map that the library uses.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> =
                fields.into_iter().map(|(name, field)| (name, sorted(field))).collect();
            fields.into_iter().collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// How a setting differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SettingChangeKind")]
pub(crate) enum ChangeKind {
    Added,
    Removed,
    Changed,
}

/// A setting, or a whole block of a list or a map, that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct SettingChange {
    pub(crate) path: String,
    pub(crate) kind: ChangeKind,
}

/// What differs between two configurations.
pub(crate) fn changes(before: &Config, after: &Config) -> Vec<SettingChange> {
    let mut found = Vec::new();
    compare("", Some(&value(before)), Some(&value(after)), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<SettingChange>) {
    let change = |kind| SettingChange { path: path.to_owned(), kind };
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) if before == after => return,
        (Some(before), Some(after)) => (before, after),
        (Some(_), None) => return found.push(change(ChangeKind::Removed)),
        (None, Some(_)) => return found.push(change(ChangeKind::Added)),
        (None, None) => return,
    };
    let is_empty = |value: &Value| {
        value.as_object().is_some_and(serde_json::Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty)
    };
    let all = |value, other| {
        parts(path, value).or_else(|| (is_empty(value) && parts(path, other).is_some()).then(Vec::new))
    };
    match (all(before, after), all(after, before)) {
        (Some(before), Some(after)) => {
            let (was, is): (BTreeMap<_, _>, BTreeMap<_, _>) =
                (before.iter().cloned().collect(), after.iter().cloned().collect());
            let (old, new) = (before.iter().map(|(path, _)| path), after.iter().map(|(path, _)| path));
            // In the order of the new one; what is gone comes last.
            for path in new.chain(old.filter(|path| !is.contains_key(*path))) {
                compare(path, was.get(path).copied(), is.get(path).copied(), found);
            }
            let order = |parts: &[(String, &Value)], other: &BTreeMap<String, &Value>| -> Vec<String> {
                parts
                    .iter()
                    .filter(|(path, _)| other.contains_key(path))
                    .map(|(path, _)| path.clone())
                    .collect()
            };
            if order(&before, &is) != order(&after, &was) {
                found.push(change(ChangeKind::Changed));
            }
        }
        _ => found.push(change(ChangeKind::Changed)),
    }
}

/// The parts of a block or of a list of blocks, by path; none of a single setting. Blocks in a list go by their name.
fn parts<'a>(path: &str, value: &'a Value) -> Option<Vec<(String, &'a Value)>> {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            Some(fields.iter().map(|(name, field)| (below(path, name), field)).collect())
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let name = |item: &Value| item["name"].as_str().map(str::to_owned);
            let items = items.iter().enumerate();
            let place = |(index, item): (usize, &'a Value)| {
                let name = name(item).unwrap_or_else(|| index.to_string());
                (format!("{path}[{name}]"), item)
            };
            Some(items.map(place).collect())
        }
        _ => None,
    }
}

fn below(path: &str, name: &str) -> String {
    match (path.is_empty(), name.contains(['.', '['])) {
        (true, false) => name.to_owned(),
        (false, false) => format!("{path}.{name}"),
        (_, true) => format!("{path}[{name}]"),
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SettingSource")]
pub(crate) enum Source {
    Default,
    Profile,
    File,
    Instance,
    Environment,
}

/// A setting as it counts.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Setting {
    pub(crate) path: String,
    /// Without secrets.
    pub(crate) value: Value,
    pub(crate) source: Source,
    /// The name of the profile, where it comes from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
}

/// All settings of a configuration, with where each comes from.
pub(crate) fn settings(
    config: &Config,
    (text, instance): (&str, Option<&str>),
    environment: &Environment,
) -> Vec<Setting> {
    let sources = Sources::new(text, instance);
    let set: BTreeSet<String> = environment
        .keys()
        .filter_map(|name| Some(name.strip_prefix("IAP_")?.to_ascii_lowercase().replace("__", ".")))
        .collect();
    let mut found = Vec::new();
    let walker = Walker { set: &set, sources: &sources };
    walker.walk("", &redact_json(value(config)), sources.root(), &mut found);
    found
}

struct Walker<'a> {
    /// Paths that the environment has.
    set: &'a BTreeSet<String>,
    sources: &'a Sources,
}

impl Walker<'_> {
    fn walk(&self, path: &str, value: &Value, written: Option<&Node>, found: &mut Vec<Setting>) {
        let Some(all) = parts(path, value) else {
            let (source, profile) = self.source(path, written);
            return found.push(Setting { path: path.to_owned(), value: value.clone(), source, profile });
        };
        for (index, (part, inner)) in all.into_iter().enumerate() {
            let own = match (value, written) {
                (Value::Object(fields), Some(given)) if given.is_block() => {
                    fields.keys().nth(index).and_then(|name| given.get(name))
                }
                (Value::Array(_), Some(given)) if given.is_list() => given.item(index),
                // Something shorter stands for the whole block.
                (_, given) => given,
            };
            self.walk(&part, inner, own, found);
        }
    }

    fn source(&self, path: &str, written: Option<&Node>) -> (Source, Option<String>) {
        match written.map(|node| self.sources.layer(node)) {
            _ if self.set.contains(path) => (Source::Environment, None),
            None => (Source::Default, None),
            Some(Layer::File) => (Source::File, None),
            Some(Layer::Instance) => (Source::Instance, None),
            Some(Layer::Profile(name)) => (Source::Profile, Some(name)),
        }
    }
}
