//! Attribute values, whatever they are written in.
#![cfg_attr(not(feature = "redis"), allow(dead_code))] // Some is only needed for sources in Redis.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::record::Attributes;

use super::java::{Id, MAGIC, Stream};

/// The most types that are told apart in one session.
const MAX_TYPES: usize = 64;
/// The longest name of a type in a report.
const MAX_TYPE_NAME: usize = 128;

/// Attributes as they are read, and what of them has no JSON form.
#[derive(Default)]
pub(super) struct Values {
    pub(super) attributes: Attributes,
    pub(super) opaque: BTreeMap<String, u64>,
}

impl Values {
    /// Adds a stored value: a Java object, JSON, or something unknown. No bytes at all are a removed attribute.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if bytes.starts_with(&MAGIC) {
            match Stream::parse(bytes) {
                Ok(stream) if stream.top().len() == 1 => {
                    let id = stream.top()[0];
                    match stream.json(id) {
                        Some(value) => self.set(name, value),
                        None => self.keep(name, "java", stream.class_name(id), bytes),
                    }
                }
                _ => self.keep(name, "java", "unreadable Java object", bytes),
            }
            return;
        }
        match serde_json::from_slice(bytes) {
            Ok(value) => self.set(name, value),
            Err(_) => self.keep(name, "bytes", "unknown bytes", bytes),
        }
    }

    /// Adds an object of a longer Java stream.
    pub(super) fn add_java(&mut self, name: &str, stream: &Stream, id: Id) {
        match stream.json(id) {
            Some(value) => self.set(name, value),
            None => {
                let bytes = stream.cut(id).unwrap_or_default();
                self.keep(name, "java", stream.class_name(id), &bytes);
            }
        }
    }

    /// Adds a value that is JSON already.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.attributes.insert(name.to_owned(), value);
    }

    /// Keeps what has no JSON form.
    pub(super) fn keep(&mut self, name: &str, format: &str, kind: &str, bytes: &[u8]) {
        let end = kind.floor_char_boundary(MAX_TYPE_NAME);
        let kind = if kind.is_empty() { "unknown" } else { &kind[..end] };
        let value = json!({"$opaque": {"format": format, "type": kind, "base64": STANDARD.encode(bytes)}});
        self.attributes.insert(name.to_owned(), value);
        let kind = if self.opaque.len() >= MAX_TYPES { "others" } else { kind };
        *self.opaque.entry(kind.to_owned()).or_default() += 1;
    }

    /// The text or number at a path of names, divided by dots where no name has them.
    pub(super) fn user_at(&self, path: &str) -> Option<String> {
        if let Some(found) = self.attributes.get(path) {
            return as_name(found);
        }
        let dots = path.match_indices('.').map(|(at, _)| path.split_at(at));
        let paths = dots.filter_map(|(first, rest)| Some((self.attributes.get(first)?, &rest[1..])));
        let mut found =
            paths.map(|(value, rest)| rest.split('.').try_fold(value, |value, name| value.get(name)));
        as_name(found.find_map(|found| found)?)
    }
}

/// What a user's name may be.
pub(super) fn as_name(value: &Value) -> Option<String> {
    match value {
        Value::String(name) if !name.is_empty() => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number as systems write it: JSON, digits, `["java.lang.Long", 5]`, or a Java object.
pub(super) fn number(bytes: &[u8]) -> Option<i64> {
    let value = if bytes.starts_with(&MAGIC) {
        let stream = Stream::parse(bytes).ok()?;
        stream.json(*stream.top().first()?)?
    } else {
        serde_json::from_slice(bytes).ok()?
    };
    match &value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Array(pair) if pair.len() == 2 => pair[1].as_i64(),
        _ => None,
    }
}
