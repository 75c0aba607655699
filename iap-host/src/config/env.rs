//! Overrides from the environment: `IAP_SERVER__LISTEN=0.0.0.0:80` sets `server.listen`.
//!
//! Two underscores part the levels; a list is written with commas, `null` clears a setting. Routes
//! cannot be set this way. A variable that names no setting is an error, so that a typing mistake
//! does not pass unseen; others (`IAP_SESSION_SECRET`) are left alone, since secrets are often
//! named so.

use serde_json::Value;

use super::{Config, Environment};

const PREFIX: &str = "IAP_";
const SECTIONS: [&str; 7] = ["SERVER", "ADMIN", "SESSIONS", "APM", "LOG", "UPSTREAMS", "ROUTES"];

/// Lays the environment over `config`.
pub(super) fn apply(config: Config, environment: &Environment) -> Result<Config, String> {
    let mut overrides = Vec::new();
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        if path.contains("__") {
            overrides.push((name, path.to_ascii_lowercase(), text));
        } else if let Some(section) = section_of(path) {
            let rest = &path[section.len()..];
            return Err(format!("{name}: settings need two underscores, like IAP_{section}_{rest}"));
        }
    }
    if overrides.is_empty() {
        return Ok(config);
    }
    let mut value = serde_json::to_value(config).map_err(|error| error.to_string())?;
    // A block that was absent may be whole only when all of its settings are there.
    let mut unfinished = None;
    for (name, path, text) in overrides {
        let problem = set(&mut value, &path, text).map_err(|message| format!("{name}: {message}"))?;
        unfinished = unfinished.or(problem.map(|problem| format!("{name}: {problem}")));
    }
    serde_json::from_value(value).map_err(|error| unfinished.unwrap_or_else(|| error.to_string()))
}

/// The section that a name with a single underscore probably means.
fn section_of(path: &str) -> Option<&'static str> {
    SECTIONS.into_iter().find(|section| {
        path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

/// Sets one leaf: to null, a number, a truth value or a list where that fits, else to the text.
/// Answers what is wrong with the configuration then, if anything.
fn set(root: &mut Value, path: &str, text: &str) -> Result<Option<String>, String> {
    let is_list = leaf(root, path).ok_or("there is no such setting")?.is_array();
    let list = || text.split(',').map(|item| Value::String(item.trim().to_owned())).collect();
    let scalar = serde_json::from_str(text).ok().filter(|value: &Value| !value.is_object());
    let plain = if is_list { list() } else { Value::String(text.to_owned()) };
    let mut problem = None;
    for candidate in scalar.into_iter().chain([plain]) {
        *leaf(root, path).ok_or("there is no such setting")? = candidate;
        match serde_json::from_value::<Config>(root.clone()) {
            Ok(_) => return Ok(None),
            Err(error) if error.to_string().starts_with("unknown field") => {
                return Err("there is no such setting".to_owned());
            }
            Err(error) => problem = Some(error.to_string()),
        }
    }
    Ok(problem)
}

/// The place of a setting; blocks that are absent come into being on the way.
fn leaf<'a>(root: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let (parents, last) = path.rsplit_once("__")?;
    let mut node = root;
    for key in parents.split("__") {
        node = node.as_object_mut()?.get_mut(key)?;
        if node.is_null() {
            *node = Value::Object(serde_json::Map::new());
        }
    }
    let found = node.as_object_mut()?.entry(last).or_insert(Value::Null);
    let is_named = path.starts_with("routes") || path.starts_with("upstreams");
    (!found.is_object() && !is_named).then_some(found)
}
