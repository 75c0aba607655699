//! The settings of a configuration one by one.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::Config;

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
