//! An instance put into a text, or taken out of it; all the rest stays as it is, comments too.

use std::ops::Range;

use serde_json::Value;

use super::Wrong;
use super::emit::Emitted;
use super::file::Document;
use super::merge::lay;
use super::tree::{self, Node};

/// A new instance.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: &'a str,
    /// Settings over those of the one it is made from, as JSON.
    pub(crate) settings: &'a Value,
    /// Where its admin API is, on another machine.
    pub(crate) url: Option<&'a str>,
}

/// A text with one more instance, which is like another one and stands behind it; like none, it is the last.
pub(crate) fn insert(text: &str, like: Option<&str>, new: &Entry<'_>) -> Result<String, Wrong> {
    let document = layered(text)?;
    let none = Node::default();
    let (before, source) = match like {
        Some(like) => (like, document.root().at(&["instances", like]).ok_or_else(|| missing(like))?),
        None => (document.instances().last().map_or("", |last| &last.name), &none),
    };
    let (range, indent) = lines(text, &document, before)?;
    let value = |text: &str| Node::made_text((1, 1), 0, text.to_owned());
    let block = |entries| Node::made_block((1, 1), 0, entries);
    let mut entries = vec![("id", value(new.id))];
    entries.extend(source.get("use").map(|node| ("use", node.clone())));
    let settings = lay(source.get("settings").cloned().unwrap_or_default(), json(new.settings)?);
    entries.push(("settings", settings));
    let mut admin = vec![];
    admin.extend(new.url.map(|url| ("url", value(url))));
    admin.extend(source.at(&["admin", "token"]).map(|node| ("token", node.clone())));
    if !admin.is_empty() {
        entries.push(("admin", block(admin)));
    }
    let mut out = text[..range.end].to_owned();
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(&Emitted::entry(new.name, &block(entries), indent));
    out.push_str(&text[range.end..]);
    Ok(out)
}

/// A text without an instance.
pub(crate) fn remove(text: &str, name: &str) -> Result<String, Wrong> {
    let document = layered(text)?;
    let (range, _) = lines(text, &document, name)?;
    Ok(format!("{}{}", &text[..range.start], &text[range.end..]))
}

fn layered(text: &str) -> Result<Document, Wrong> {
    let none = || Wrong { place: None, message: "it has no instances".to_owned() };
    Document::read(text).ok_or_else(none)?
}

fn missing(name: &str) -> Wrong {
    Wrong { place: None, message: format!("there is no instance `{name}`") }
}

/// JSON is YAML.
fn json(settings: &Value) -> Result<Node, Wrong> {
    Ok(tree::read(&settings.to_string())?.unwrap_or_default())
}

/// The lines of an instance, and how far its name is indented. Comments above the next one are that one's.
fn lines(text: &str, document: &Document, name: &str) -> Result<(Range<usize>, usize), Wrong> {
    let instances = document.root().get("instances");
    let Some(entry) = instances.and_then(|node| node.entry(name)) else { return Err(missing(name)) };
    let start = text[..entry.start].rfind('\n').map_or(0, |at| at + 1);
    let lead = &text[start..entry.start];
    if lead.is_empty() || !lead.bytes().all(|byte| byte == b' ') {
        let message = "instances: write each on lines of its own, not within `{ }`: then it can be cloned and taken out";
        return Err(Wrong { place: Some(entry.place), message: message.to_owned() });
    }
    let (mut at, mut end) = (start, text.len());
    for line in text[start..].split_inclusive('\n') {
        let body = line.trim_end();
        let indent = body.len() - body.trim_start_matches(' ').len();
        let is_own = at == start || (indent > lead.len() && !body.is_empty());
        if is_own {
            end = at + line.len();
        } else if !body.is_empty() && !body.trim_start().starts_with('#') {
            break;
        }
        at += line.len();
    }
    Ok((start..end, lead.len()))
}
