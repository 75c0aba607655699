//! What the description of the admin API says, and whether answers are so.
#![allow(dead_code, unreachable_pub)] // Each test binary uses its own part.

use serde_json::{Value, json};

use crate::common::Host;

/// A description that judges answers.
pub struct Description(pub Value);

impl Description {
    pub fn of(host: &Host) -> Self {
        Self(host.admin("/api/openapi.json"))
    }

    /// Panics where an answer of `GET path` is not as described.
    pub fn approve(&self, path: &str, answer: &Value) {
        let schema = self.schema(&self.0["paths"][path]["get"], 200).unwrap_or_else(|| panic!("{path}"));
        let wrong = self.judge(schema, answer);
        assert!(wrong.is_empty(), "{path}: {wrong:#?}\n{answer:#}");
    }

    /// Paths that can be read, with the operation of each.
    pub fn reads(&self) -> impl Iterator<Item = (&str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        paths.filter_map(|(path, methods)| Some((path.as_str(), methods.get("get")?)))
    }

    /// What is wrong with an answer. Also a member that nobody has described is.
    pub fn judge(&self, schema: &Value, answer: &Value) -> Vec<String> {
        let mut components = self.0["components"].clone();
        let mut schema = schema.clone();
        close(&mut components["schemas"], true);
        close(&mut schema, true);
        let whole = json!({ "components": components, "allOf": [schema] });
        let validator = jsonschema::draft202012::new(&whole).unwrap();
        validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    pub fn schema<'a>(&'a self, operation: &'a Value, status: u16) -> Option<&'a Value> {
        let mut answer = &operation["responses"][status.to_string()];
        if let Some(shared) = answer["$ref"].as_str() {
            answer = self.0.pointer(&shared[1..]).unwrap();
        }
        let content = answer["content"].as_object()?;
        content.iter().find(|(form, _)| form.contains("json")).map(|(_, media)| &media["schema"])
    }
}

/// Lets objects have no other members than those that are described.
fn close(schema: &mut Value, is_whole: bool) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| close(item, true)),
        Value::Object(members) => {
            let has_members = members.get("properties").is_some_and(Value::is_object);
            for (name, member) in members.iter_mut() {
                match (name.as_str(), member) {
                    ("oneOf" | "anyOf" | "allOf", Value::Array(parts)) if has_members => {
                        parts.iter_mut().for_each(|part| close(part, false));
                    }
                    (_, member) => close(member, true),
                }
            }
            if has_members && is_whole && !members.contains_key("additionalProperties") {
                members.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        _ => {}
    }
}
