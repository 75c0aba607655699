//! The fields of a `tracing` event or span, within bounds.

use std::fmt::{self, Write as _};

use serde_json::Value;
use tracing::field::{Field, Visit};

use crate::model::Attributes;
use crate::text::cut;

const MAX_FIELDS: usize = 64;
pub(super) const MAX_VALUE: usize = 16 * 1_024;

#[derive(Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) values: Attributes,
    /// Fields beyond the limit.
    pub(super) dropped: u32,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if self.values.len() >= MAX_FIELDS && !self.values.contains_key(field.name()) {
            self.dropped = self.dropped.saturating_add(1);
        } else {
            self.values.insert(field.name().to_owned(), value);
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let value = cut(value, MAX_VALUE);
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.put(field, value.into()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded(String::new());
        // A full buffer breaks the formatting off, so that a large value costs no more than the bound.
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text.0);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let part = cut(text, MAX_VALUE - self.0.len());
        self.0.push_str(part);
        if part.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}
