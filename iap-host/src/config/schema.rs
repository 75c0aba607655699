//! The JSON schema of a configuration: what editors and the console know of settings. It comes from the types themselves.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::layers::LayersForm;
use super::observed::RecordAddressConfig;
use super::process::{CommandConfig, EnvValue};
use super::session_policy::{RouteSession, SessionRef};
use super::units::{ByteSize, Rate, Span};
use super::{Config, SecretRef, TextOr};

/// The schema (draft 2020-12), as JSON.
pub(crate) fn schema() -> serde_json::Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let layers = generator.subschema_for::<LayersForm>();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    // Keys of the text itself, beside those of a configuration. What profiles and instances set is a configuration, in parts.
    let name = layers.get("$ref").and_then(|name| name.as_str()).and_then(|name| name.rsplit('/').next());
    let form = name.and_then(|name| schema["$defs"].as_object_mut()?.remove(name));
    if let (Some(form), Some(properties)) = (form, schema["properties"].as_object_mut()) {
        for (key, property) in form["properties"].as_object().into_iter().flatten() {
            properties.insert(key.clone(), property.clone());
        }
    }
    let part = serde_json::json!({ "$ref": "#" });
    schema["properties"]["profiles"]["additionalProperties"] = part.clone();
    schema["$defs"]["InstanceConfig"]["properties"]["settings"] = part;
    schema
}

/// Types that read their own form.
macro_rules! written {
    ($($type:ty, $name:literal, |$generator:ident| $schema:expr;)*) => {
        $(impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        })*
    };
}

written! {
    Span, "Span", |_generator| json_schema!({ "type": "string", "pattern": "^[0-9]+ ?(ms|s|m|h|d)$" });
    ByteSize, "ByteSize", |_generator| json_schema!({ "type": ["string", "integer"], "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)?$", "minimum": 0 });
    Rate, "Rate", |_generator| json_schema!({ "type": "string", "pattern": "^([0-9]+/s|all)$" });
    SecretRef, "SecretRef", |_generator| json_schema!({
        "oneOf": [
            { "type": "object", "properties": { "env": { "type": "string" } }, "required": ["env"], "additionalProperties": false },
            { "type": "object", "properties": { "file": { "type": "string" } }, "required": ["file"], "additionalProperties": false },
        ]
    });
    CommandConfig, "Command", |_generator| json_schema!({
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
    });
    EnvValue, "EnvValue", |generator| {
        let secret = generator.subschema_for::<SecretRef>();
        json_schema!({ "anyOf": [{ "type": ["string", "boolean", "integer"] }, secret] })
    };
    RecordAddressConfig, "RecordAddress", |_generator| json_schema!({ "enum": [true, false, "masked"] });
    SessionRef, "Session", |generator| {
        let block = generator.subschema_for::<RouteSession>();
        json_schema!({ "anyOf": [{ "enum": ["on", "existing", "off", true, false] }, block] })
    };
}

impl<T: JsonSchema> JsonSchema for TextOr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("TextOr{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let block = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "type": "string" }, block] })
    }
}
