//! Overrides from the environment: `IAP_SERVER__LISTEN=0.0.0.0:80` sets `server.listen`.
//!
//! Two underscores part the levels. Lists and routes cannot be set this way. A variable that
//! names no setting is an error, so that a typing mistake does not pass unseen; variables with one
//! level only (`IAP_SESSION_SECRET`) are left alone, since secrets are often named so.

use serde_json::Value;

use super::{Config, Environment};

const PREFIX: &str = "IAP_";

/// Lays the environment over `config`.
pub(super) fn apply(config: Config, environment: &Environment) -> Result<Config, String> {
    let overrides: Vec<_> = environment
        .iter()
        .filter_map(|(name, text)| Some((name, name.strip_prefix(PREFIX)?, text)))
        .filter(|(_, path, _)| path.contains("__"))
        .collect();
    if overrides.is_empty() {
        return Ok(config);
    }
    let mut value = serde_json::to_value(config).map_err(|error| error.to_string())?;
    for (name, path, text) in overrides {
        value =
            set(value, &path.to_ascii_lowercase(), text).map_err(|message| format!("{name}: {message}"))?;
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Sets one leaf: as a number or a truth value where that fits, else as text.
fn set(root: Value, path: &str, text: &str) -> Result<Value, String> {
    let as_text = Value::String(text.to_owned());
    let scalar =
        serde_json::from_str(text).ok().filter(|value: &Value| value.is_number() || value.is_boolean());
    let mut last = String::new();
    for candidate in scalar.into_iter().chain([as_text]) {
        let mut changed = root.clone();
        *leaf(&mut changed, path).ok_or("there is no such setting")? = candidate;
        match serde_json::from_value::<Config>(changed.clone()) {
            Ok(_) => return Ok(changed),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

fn leaf<'a>(root: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let found = path.split("__").try_fold(root, |node, key| node.as_object_mut()?.get_mut(key))?;
    (!found.is_object() && !found.is_array()).then_some(found)
}
