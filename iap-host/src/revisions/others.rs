//! What a change of the text means to the other instances of the file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::settings::{ChangeKind, SettingChange, changes};
use crate::config::{self, Config, Environment};

/// Another instance of the file that a change is about as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OtherInstance")]
pub(crate) struct Other {
    pub(crate) name: String,
    pub(crate) kind: ChangeKind,
    /// What it would have otherwise, where it is changed.
    pub(crate) changes: Vec<SettingChange>,
}

/// Instances besides `own` that mean something else after a change, by name. None of a text that means nothing.
pub(crate) fn others(before: &str, after: &str, own: Option<&str>) -> Vec<Other> {
    let (was, is) = (read(before, own), read(after, own));
    let mut found = Vec::new();
    for name in was.keys().chain(is.keys().filter(|name| !was.contains_key(*name))) {
        let (kind, changes) = match (was.get(name), is.get(name)) {
            (Some(was), Some(is)) => match changes(was, is) {
                same if same.is_empty() => continue,
                changes => (ChangeKind::Changed, changes),
            },
            (Some(_), None) => (ChangeKind::Removed, Vec::new()),
            (None, _) => (ChangeKind::Added, Vec::new()),
        };
        found.push(Other { name: name.clone(), kind, changes });
    }
    found
}

fn read(text: &str, own: Option<&str>) -> BTreeMap<String, Config> {
    let all = config::parse_all("", text, &Environment::new()).unwrap_or_default();
    let named = all.into_iter().filter_map(|parsed| Some((parsed.instance?.name, parsed.config)));
    named.filter(|(name, _)| Some(name.as_str()) != own).collect()
}
