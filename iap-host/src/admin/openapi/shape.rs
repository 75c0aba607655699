//! Schemas of what handlers put together themselves, and of the forms that parameters have.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::admin::params::{Size, Time};

/// The schema of a type.
pub(in crate::admin) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// An object with one member, a list.
macro_rules! list_of {
    ($name:literal, $item:ty) => {
        $crate::admin::openapi::object! { $name: Vec<$item> }
    };
}

/// The [`Shape`](super::operation::Shape) of an object that has all of these members.
macro_rules! object {
    ($($name:literal: $type:ty),+ $(,)?) => {
        |generator| {
            let members = [$(($name, generator.subschema_for::<$type>())),+];
            $crate::admin::openapi::shape::object_of(members)
        }
    };
}

/// The [`Shape`](super::operation::Shape) of a query, each parameter with what it means. None of them is needed, unless it is
/// marked.
macro_rules! parameters {
    ($($name:literal: $type:ty, $text:literal $(, $needed:ident)?;)+) => {
        |generator| {
            let members = [$(($name, generator.subschema_for::<$type>(), $text, !concat!($(stringify!($needed))?).is_empty())),+];
            $crate::admin::openapi::shape::query_of(members)
        }
    };
}

pub(in crate::admin) use {list_of, object, parameters};

/// What [`object`] makes.
pub(in crate::admin) fn object_of<const N: usize>(members: [(&'static str, Schema); N]) -> Schema {
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let required = json!(required);
    let properties: Map<String, Value> =
        members.into_iter().map(|(name, schema)| (name.to_owned(), schema.to_value())).collect();
    json_schema!({ "type": "object", "properties": properties, "required": required })
}

/// What [`parameters`] makes; the last of each is whether it is needed.
pub(in crate::admin) fn query_of<const N: usize>(
    members: [(&'static str, Schema, &'static str, bool); N],
) -> Schema {
    let needed = members.iter().filter(|member| member.3).map(|member| member.0);
    let required = json!(needed.collect::<Vec<_>>());
    let described = members.into_iter().map(|(name, mut schema, text, _)| {
        schema.insert("description".to_owned(), text.into());
        (name.to_owned(), schema.to_value())
    });
    let properties: Map<String, Value> = described.collect();
    json_schema!({ "type": "object", "properties": properties, "required": required })
}

/// The members of both.
pub(in crate::admin) fn joined(mut one: Schema, mut other: Schema) -> Schema {
    let more = other.remove("properties");
    let members = one.get_mut("properties").and_then(Value::as_object_mut);
    if let (Some(members), Some(Value::Object(more))) = (members, more) {
        members.extend(more);
    }
    one
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "pattern": "^[0-9]+ ?(ms|s|m|h|d)?$", "minimum": 0 })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)?$", "minimum": 0 })
    }
}
