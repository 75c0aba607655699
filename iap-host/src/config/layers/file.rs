//! What a file says of profiles and instances, and the layers of one of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::emit::Emitted;
use super::merge::{agree, lay};
use super::tree::{Entry, Node, Tree, count, read};
use super::{Layer, Place, Wrong, wrong};
use crate::config::SecretRef;
use crate::config::parse::{nearest, typed};

/// Keys of a file that are about layers, and no settings themselves.
const KEYS: [&str; 3] = ["profiles", "use", "instances"];
/// More of them than this is nothing that somebody looks through.
const MAX_NAMED: usize = 256;
/// Parts of a file, counted anew for each instance: all of them are read whenever the file is.
const MAX_PARTS: usize = 1_000_000;

/// The part of a file that is about layers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(dead_code, reason = "the tree is read; this says what form it has")]
pub(crate) struct LayersForm {
    /// Named parts of a configuration.
    profiles: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// Profiles that all instances have.
    r#use: Vec<String>,
    /// Hosts that this file is of, by name.
    instances: BTreeMap<String, InstanceForm>,
}

/// One of several hosts in a file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceConfig")]
#[allow(dead_code, reason = "the tree is read; this says what form it has")]
struct InstanceForm {
    /// A UUID, which stays when its name or its ports change.
    id: String,
    /// Profiles that it has besides those of the file.
    #[serde(default)]
    r#use: Vec<String>,
    /// Its own settings, over all else.
    #[serde(default)]
    settings: serde_json::Map<String, serde_json::Value>,
    /// How the others reach its admin API.
    #[serde(default)]
    admin: Reach,
}

/// How an admin API is reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "InstanceAdmin")]
pub(crate) struct Reach {
    /// Its address, like `http://10.0.0.7:9900`; by default where it listens itself. With another machine's host the instance is on
    /// that machine.
    pub(crate) url: Option<String>,
    /// A token of its `admin.access.tokens`.
    pub(crate) token: Option<SecretRef>,
}

/// One of several hosts in a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) id: String,
    /// Its profiles, those of the file first.
    pub(crate) profiles: Vec<String>,
    pub(crate) admin: Reach,
    /// Where its name stands.
    pub(crate) place: Place,
}

/// What is told of a profile.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Profile")]
pub(crate) struct ProfileShown {
    pub(crate) name: String,
    /// Paths of what it sets.
    pub(crate) sets: Vec<String>,
    /// Instances that have it; all of them where the file's own `use` has it.
    pub(crate) used_by: Vec<String>,
}

/// A file with profiles or instances.
#[derive(Debug)]
pub(crate) struct Document {
    root: Node,
    /// Of the instances, in the order of the file.
    instances: Vec<Instance>,
    /// By number, those that parts of a merged tree say they are of.
    layers: Vec<Layer>,
}

impl Document {
    /// Reads a text. `None` where it has neither profiles nor instances, or is no YAML: then it is one configuration, read as it
    /// stands.
    pub(crate) fn read(text: &str) -> Option<Result<Self, Wrong>> {
        let root = read(text).ok()??;
        KEYS.iter().any(|key| root.get(key).is_some()).then(|| Self::new(root))
    }

    fn new(root: Node) -> Result<Self, Wrong> {
        check_form(&root)?;
        let mut layers = vec![Layer::File, Layer::Instance];
        layers.extend(named(&root, "profiles").iter().map(|entry| Layer::Profile(entry.name.clone())));
        let mut document = Self { root, instances: Vec::new(), layers };
        document.instances = document.named_instances()?;
        Ok(document)
    }

    fn named_instances(&self) -> Result<Vec<Instance>, Wrong> {
        let common = self.used(&self.root)?;
        let of = |entry: &Entry| {
            let own = self.used(&entry.node)?;
            Ok(Instance {
                name: entry.name.clone(),
                id: entry.node.get("id").and_then(Node::text).unwrap_or_default().to_owned(),
                profiles: common.iter().chain(&own).map(|entry| entry.name.clone()).collect(),
                admin: reach(entry.node.get("admin"))?,
                place: entry.place,
            })
        };
        named(&self.root, "instances").iter().map(of).collect()
    }

    /// The instances, in the order of the file.
    pub(crate) fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// One of them. Without a name there is none, in a file that has none.
    pub(crate) fn instance(&self, name: Option<&str>) -> Result<Option<&Instance>, Wrong> {
        let all = || {
            let names = self.instances.iter().map(|one| format!("`{}`", one.name));
            names.collect::<Vec<_>>().join(", ")
        };
        let general = |message| Err(Wrong { place: None, message });
        match name {
            None if self.instances.is_empty() => Ok(None),
            None => general(format!(
                "it has instances: say which by `--instance NAME` or IAP_INSTANCE; there are {}",
                all()
            )),
            Some(name) if self.instances.is_empty() => general(no_instances(name)),
            Some(name) => match self.instances.iter().find(|one| one.name == name) {
                Some(one) => Ok(Some(one)),
                None => general(match nearest(name, self.instances.iter().map(|one| one.name.as_str())) {
                    Some(near) => format!("there is no instance `{name}`; did you mean `{near}`?"),
                    None => format!("there is no instance `{name}`; there are {}", all()),
                }),
            },
        }
    }

    /// What counts for an instance, or in a file without instances, defaults and environment left out.
    pub(crate) fn merged(&self, instance: Option<&Instance>) -> Result<Node, Wrong> {
        let entry = instance.and_then(|one| self.root.get("instances")?.entry(&one.name));
        let mut merged = Node::default();
        for list in [Some(&self.root), entry.map(|entry| &entry.node)].into_iter().flatten() {
            let profiles = self.used(list)?;
            for (index, second) in profiles.iter().enumerate() {
                for first in &profiles[..index] {
                    agree((&first.name, &first.node), (&second.name, &second.node), "")?;
                }
            }
            for profile in profiles {
                let layer = Layer::Profile(profile.name.clone());
                merged = lay(merged, profile.node.clone().of(self.number(&layer)));
            }
        }
        merged = lay(merged, self.own());
        let Some(entry) = entry else { return Ok(merged) };
        let number = self.number(&Layer::Instance);
        if let Some(settings) = entry.node.get("settings") {
            merged = lay(merged, settings.clone().of(number));
        }
        Ok(lay(of_the_name(&merged, entry).of(number), merged))
    }

    /// What a part of a merged tree is of.
    pub(crate) fn layer(&self, node: &Node) -> &Layer {
        self.layers.get(node.layer).unwrap_or(&Layer::File)
    }

    /// Parts that mean something by themselves, though others may lie over them: each profile, and the file's own keys.
    pub(crate) fn parts(&self) -> Vec<Emitted> {
        let profiles = named(&self.root, "profiles").iter().map(|entry| entry.node.emitted());
        profiles.chain([self.own().emitted()]).collect()
    }

    /// What is told of the profiles.
    pub(crate) fn profiles(&self) -> Vec<ProfileShown> {
        let users = |name: &String| {
            let users = self.instances.iter().filter(|one| one.profiles.contains(name));
            users.map(|one| one.name.clone()).collect()
        };
        let shown = |entry: &Entry| {
            let mut sets = Vec::new();
            paths("", &entry.node, &mut sets);
            ProfileShown { name: entry.name.clone(), sets, used_by: users(&entry.name) }
        };
        named(&self.root, "profiles").iter().map(shown).collect()
    }

    /// Whether the settings of an instance have something at a path.
    pub(crate) fn says(&self, instance: &Instance, path: &str) -> bool {
        let settings = self.root.at(&["instances", &instance.name, "settings"]);
        let path: Vec<&str> = path.split('.').collect();
        settings.and_then(|settings| settings.at(&path)).is_some()
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// Where a setting of an instance was written, or else its name.
    pub(super) fn place_of(&self, instance: &Instance, path: &str) -> Place {
        let path: Vec<&str> = path.split('.').collect();
        let merged = self.merged(Some(instance)).unwrap_or_default();
        merged.at(&path).map_or(instance.place, |node| node.place)
    }

    /// What all instances share: the file without what is about layers.
    fn own(&self) -> Node {
        let own = self.root.entries().iter().filter(|entry| !KEYS.contains(&entry.name.as_str()));
        Node::made(self.root.place, self.number(&Layer::File), Tree::Block(own.cloned().collect()))
    }

    fn number(&self, layer: &Layer) -> usize {
        self.layers.iter().position(|one| one == layer).unwrap_or_default()
    }

    /// The profiles of a `use` list.
    fn used(&self, block: &Node) -> Result<Vec<&Entry>, Wrong> {
        let all = named(&self.root, "profiles");
        let mut found: Vec<&Entry> = Vec::new();
        let names = block.get("use").map_or(&[][..], |list| match &list.tree {
            Tree::List(items) => items,
            _ => &[],
        });
        for node in names {
            let name = node.text().unwrap_or_default();
            let Some(entry) = all.iter().find(|entry| entry.name == name) else {
                let near = nearest(name, all.iter().map(|entry| entry.name.as_str()));
                let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                return wrong(node.place, format!("use: there is no profile `{name}`{hint}"));
            };
            if found.iter().any(|other| other.name == name) {
                return wrong(node.place, format!("use: `{name}` stands there twice"));
            }
            found.push(entry);
        }
        Ok(found)
    }
}

/// A name was given, and there are none.
pub(crate) fn no_instances(name: &str) -> String {
    format!("it has no instances, so there is no `{name}`: leave `--instance` and IAP_INSTANCE out")
}

fn named<'a>(root: &'a Node, key: &str) -> &'a [Entry] {
    root.get(key).map_or(&[], Node::entries)
}

/// What an instance has because of its name, so that no two share it.
fn of_the_name(merged: &Node, entry: &Entry) -> Node {
    let (name, place) = (&entry.name, entry.place);
    let value = |text: String| Node::made_text(place, 0, text);
    let block = |entries| Node::made_block(place, 0, entries);
    let directory = |what: &str| block(vec![("directory", value(format!("data/{name}/{what}")))]);
    let mut admin = vec![("revisions", directory("revisions"))];
    if merged.at(&["admin", "access"]).is_some_and(Node::is_block) {
        admin.push(("access", directory("access")));
    }
    block(vec![
        ("apm", block(vec![("history", value(format!("data/{name}/history")))])),
        ("sessions", block(vec![("node", value(name.clone()))])),
        ("admin", block(admin)),
        ("reports", directory("reports")),
    ])
}

/// Forms and names of all that is about layers.
fn check_form(root: &Node) -> Result<(), Wrong> {
    let instances = named(root, "instances").len().max(1);
    if count(root).saturating_mul(instances) > MAX_PARTS {
        let text = format!("{instances} instances are too many for a file of this size: use several files");
        return Err(Wrong { place: None, message: text });
    }
    let about = root.entries().iter().filter(|entry| KEYS.contains(&entry.name.as_str()));
    let about = Node::made(root.place, 0, Tree::Block(about.cloned().collect()));
    let emitted = about.emitted();
    typed::<LayersForm>(&emitted.text).map_err(|wrong| wrong.from(&emitted))?;
    for key in ["profiles", "instances"] {
        let entries = named(root, key);
        if entries.len() > MAX_NAMED {
            return wrong(root.place, format!("{key}: at most {MAX_NAMED}"));
        }
        // Names go into paths of the API, names of files and of units.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_name = |name: &str| (1..=64).contains(&name.len()) && name.bytes().all(plain);
        if let Some(entry) = entries.iter().find(|entry| !is_name(&entry.name)) {
            return wrong(entry.place, format!("{key}: a name has 1 to 64 letters, digits, `-` and `_`"));
        }
    }
    for entry in named(root, "profiles") {
        if let Some(inner) = entry.node.entries().iter().find(|inner| KEYS.contains(&inner.name.as_str())) {
            return wrong(
                inner.place,
                format!("a profile has settings alone: `{}` has no place here", inner.name),
            );
        }
    }
    for entry in named(root, "instances") {
        let Some(id) = entry.node.get("id") else { continue };
        let parsed = id.text().and_then(|text| Some((uuid::Uuid::try_parse(text).ok()?, text)));
        if parsed.is_none_or(|(uuid, text)| uuid.to_string() != text) {
            let text =
                "id: a UUID in small letters is expected here, like 6f1c2f0e-8f43-4c0b-9d5e-2a7b1c3d4e5f";
            return wrong(id.place, text);
        }
    }
    Ok(())
}

fn reach(node: Option<&Node>) -> Result<Reach, Wrong> {
    let Some(node) = node else { return Ok(Reach::default()) };
    let emitted = node.emitted();
    let reach: Reach = typed(&emitted.text).map_err(|wrong| wrong.from(&emitted))?;
    let is_url = |url: &str| {
        let uri = url.parse::<http::Uri>().ok();
        uri.is_some_and(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some())
    };
    match &reach.url {
        Some(url) if !is_url(url) => {
            wrong(node.place, "admin.url: an address like http://10.0.0.7:9900 is expected here")
        }
        _ => Ok(reach),
    }
}

/// Paths of single values and lists.
fn paths(path: &str, node: &Node, found: &mut Vec<String>) {
    match &node.tree {
        Tree::Block(entries) if !entries.is_empty() => {
            for entry in entries {
                let path =
                    if path.is_empty() { entry.name.clone() } else { format!("{path}.{}", entry.name) };
                paths(&path, &entry.node, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

impl Wrong {
    /// The same in the text that another was made from.
    pub(in crate::config) fn from(self, emitted: &Emitted) -> Self {
        Self { place: self.place.and_then(|place| emitted.origin(place)), message: self.message }
    }
}
