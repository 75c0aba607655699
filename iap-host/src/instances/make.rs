//! What a new instance needs of its own: an identity, ports, directories, a name for its sessions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Text;
use crate::config::{Config, Entry, Instance, Wrong, insert, listeners, own_directories};

/// The first port that may be anybody's.
const FIRST_PORT: u16 = 1_024;

/// A new instance.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "MadeInstance")]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) id: String,
    /// Settings over those of the one that it is like.
    pub(crate) settings: Value,
}

/// A text with one more instance, like another one or like none. What `settings` has counts over what is chosen here. Sessions, secrets and
/// certificates are not copied: the entry is all that is made.
pub(crate) fn make(
    text: &Text,
    like: Option<&str>,
    (name, id): (&str, Option<String>),
    (settings, url): (&Value, Option<&str>),
) -> Result<(String, Made), Wrong> {
    let mut own = Value::Object(Map::new());
    let source = like.and_then(|like| text.get(like));
    if let Some((instance, config)) = source.and_then(|one| Some((one.instance.as_ref()?, &one.config))) {
        // On another machine the same ports are free.
        if url.is_none() {
            ports(text, config, &mut own);
        }
        directories(text, instance, config, name, &mut own);
        if text.document.says(instance, "sessions.node") {
            set(&mut own, "sessions.node", name.into());
        }
    }
    merge(&mut own, settings);
    let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let entry = Entry { name, id: &id, settings: &own, url };
    let text = insert(&text.text, like, &entry)?;
    Ok((text, Made { name: name.to_owned(), id, settings: own }))
}

/// For each listener the next port that no instance has.
fn ports(text: &Text, config: &Config, own: &mut Value) {
    let all = text.all.iter().flat_map(|parsed| listeners(&parsed.config));
    let mut taken: BTreeSet<u16> = all.map(|(_, address)| address.port()).collect();
    for (setting, mut address) in listeners(config).into_iter().filter(|(_, address)| address.port() != 0) {
        let later = (address.port()..=u16::MAX).chain(FIRST_PORT..address.port());
        let Some(port) = later.into_iter().find(|port| !taken.contains(port)) else { continue };
        taken.insert(port);
        address.set_port(port);
        set(own, setting, address.to_string().into());
    }
}

/// Directories that the name alone does not part.
fn directories(text: &Text, like: &Instance, config: &Config, name: &str, own: &mut Value) {
    for (setting, path) in own_directories(config) {
        let by_name = path.starts_with(Path::new("data").join(&like.name));
        if !by_name || text.document.says(like, setting) {
            set(own, setting, renamed(path, &like.name, name).display().to_string().into());
        }
    }
}

/// A path with the new name in the place of the old one, or behind its end.
fn renamed(path: &Path, old: &str, new: &str) -> PathBuf {
    if path.components().any(|part| part.as_os_str() == old) {
        return path
            .components()
            .map(|part| if part.as_os_str() == old { new.as_ref() } else { part.as_os_str() })
            .collect();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let end = path.extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{new}{end}"))
}

/// Sets what stands at a path of keys with dots between them; blocks come into being on the way. Whether it could: a single value
/// may stand in the way.
pub(crate) fn set(root: &mut Value, path: &str, value: Value) -> bool {
    let mut node = root;
    for key in path.split('.') {
        if node.is_null() {
            *node = Value::Object(Map::new());
        }
        let Some(block) = node.as_object_mut() else { return false };
        node = block.entry(key).or_insert(Value::Null);
    }
    *node = value;
    true
}

/// Lays one document over another.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
