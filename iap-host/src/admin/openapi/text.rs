//! What comes from the documentation of types, in the form that readers of the description need.

use serde_json::{Value, json};

/// Makes plain text of all descriptions: links are for readers of the source, and lines end where theirs do.
pub(super) fn clean(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => *text = plain(text),
                    other => clean(other),
                }
            }
        }
        _ => {}
    }
}

/// Without links of rustdoc, and with one line a paragraph.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("[`") {
        out.push_str(&rest[..at]);
        let Some(end) = rest[at..].find("`]").map(|end| at + end) else { break };
        out.push_str(&rest[at + 1..=end]);
        rest = &rest[end + 2..];
        if rest.starts_with('(') {
            rest = rest.split_once(')').map_or("", |(_, after)| after);
        }
    }
    out.push_str(rest);
    let paragraphs =
        out.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// A parameter of a query is there or not: it is never null.
pub(super) fn without_null(mut schema: Value) -> Value {
    let is_null = |value: &Value| *value == "null" || *value == json!({ "type": "null" }) || value.is_null();
    for name in ["type", "anyOf", "enum"] {
        let Some(forms) = schema[name].as_array() else { continue };
        let mut forms: Vec<Value> = forms.iter().filter(|form| !is_null(form)).cloned().collect();
        match (name, forms.len()) {
            ("type", 1) => schema[name] = forms.remove(0),
            ("anyOf", 1) => {
                let description = schema["description"].take();
                let mut only = forms.remove(0);
                if !description.is_null() {
                    only["description"] = description;
                }
                schema = only;
            }
            _ => schema[name] = forms.into(),
        }
    }
    if schema["default"].is_null()
        && let Some(members) = schema.as_object_mut()
    {
        members.remove("default");
    }
    schema
}
