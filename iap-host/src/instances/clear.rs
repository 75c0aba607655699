//! The directories of an instance that is destroyed. Only what lies below the directory of the configuration file is removed, and
//! nothing that another instance has anything to do with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Text;
use crate::config::own_directories;

/// What has become of directories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ClearedDirectories")]
pub(crate) struct Cleared {
    pub(crate) removed: Vec<PathBuf>,
    /// Those that could not be removed, each with why.
    pub(crate) left: Vec<String>,
}

/// What of an instance may be removed, and is there. Paths are those of this process: instances on one machine are taken to run in one
/// directory.
pub(crate) fn clearable(text: &Text, name: &str, file: &Path) -> Vec<PathBuf> {
    let Some((file, base)) =
        fs::canonicalize(file).ok().and_then(|file| Some((file.clone(), file.parent()?.to_owned())))
    else {
        return Vec::new();
    };
    // What is not there cannot be removed, nor lie below anything.
    let there = |path: &Path| fs::canonicalize(path).ok();
    let (mut own, mut others, mut named) = (Vec::new(), Vec::new(), vec![file]);
    for parsed in &text.all {
        let is_own = parsed.instance.as_ref().is_some_and(|one| one.name == name);
        let paths = own_directories(&parsed.config).into_iter().filter_map(|(_, path)| there(path));
        if is_own {
            own.extend(paths);
        } else {
            others.extend(paths);
            let value = serde_json::to_value(&parsed.config).unwrap_or_default();
            texts(&value, &mut |text| named.extend(there(Path::new(text))));
        }
    }
    own.retain(|path| path.starts_with(&base) && *path != base);
    own.retain(|path| !others.iter().any(|other| path.starts_with(other) || other.starts_with(path)));
    // Accounts, keys, sites: whatever others name.
    own.retain(|path| !named.iter().any(|other| other.starts_with(path)));
    own.sort();
    own.dedup();
    own
}

fn texts(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) if !text.is_empty() => found(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        _ => {}
    }
}

/// Removes them, and a directory around them that is empty then and bears the instance's name.
pub(crate) fn clear(paths: &[PathBuf], name: &str) -> Cleared {
    let mut cleared = Cleared::default();
    for path in paths {
        let gone = match path.is_dir() {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        };
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                cleared.left.push(format!("{}: {error}", path.display()));
            }
            _ => cleared.removed.push(path.clone()),
        }
        if let Some(parent) = path.parent().filter(|parent| parent.file_name().is_some_and(|own| own == name))
        {
            // It stays where something is left in it.
            let _ = fs::remove_dir(parent);
        }
    }
    cleared
}
