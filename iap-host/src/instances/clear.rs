//! The directories of an instance that is destroyed. Only what lies below the directory of the configuration file is removed, and
//! nothing that another instance has anything to do with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

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
    let Some(base) = fs::canonicalize(file).ok().and_then(|file| file.parent().map(Path::to_owned)) else {
        return Vec::new();
    };
    let is_it = |one: &str| one == name;
    let (mut own, mut others) = (Vec::new(), vec![]);
    for parsed in &text.all {
        let is_own = parsed.instance.as_ref().is_some_and(|one| is_it(&one.name));
        for (_, path) in own_directories(&parsed.config) {
            // What is not there cannot be removed, nor lie below anything.
            let Ok(path) = fs::canonicalize(path) else { continue };
            if is_own { own.push(path) } else { others.push(path) }
        }
    }
    let touches = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
    own.retain(|path| path.starts_with(&base) && *path != base);
    own.retain(|path| !touches(path, file) && !others.iter().any(|other| touches(path, other)));
    own.sort();
    own.dedup();
    own
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
