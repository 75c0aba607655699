//! The whole description.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operation::{Answer, Operation, Shape};
use super::text::{clean, without_null};
use crate::access::Right;

/// What an operation is about, by how its path begins; the first that fits.
const TAGS: [(&str, &str); 16] = [
    ("/api/sessions", "sessions"),
    ("/api/audience", "sessions"),
    ("/api/incidents", "incidents"),
    ("/api/changes", "incidents"),
    ("/api/actions", "incidents"),
    ("/api/alerts", "alerts"),
    ("/api/config", "configuration"),
    ("/api/access", "access"),
    ("/api/audit", "access"),
    ("/api/ask", "assistant"),
    ("/api/reports", "assistant"),
    ("/mcp", "assistant"),
    ("/api/metrics", "metrics"),
    ("/api/upstreams", "platform"),
    ("/api/processes", "platform"),
    ("/api/jvms", "platform"),
];
/// Others below `/api` but these are about what requests did.
const PLATFORM: [&str; 7] =
    ["/livez", "/readyz", "/metrics", "/api/status", "/api/runtime", "/api/timeline", "/api/openapi.json"];

/// Parameters that mean the same everywhere.
const COMMON: [(&str, &str); 14] = [
    (
        "last_s",
        "The time that is looked at: the last seconds, 300 unless something is said. Not together with `from_us`.",
    ),
    ("from_us", "Where the time that is looked at begins, in Unix microseconds."),
    ("to_us", "Where it ends; now unless something is said. Needs `from_us`."),
    ("route", "Of this route alone."),
    ("service", "Of this service alone."),
    ("status", "With this HTTP status alone."),
    ("errors", "Failed ones alone."),
    ("min_us", "At least this long."),
    ("max_us", "At most this long."),
    ("user", "Of this user alone. Needs the role operator."),
    ("session", "Of this session alone, by the first 16 digits of its key. Needs the role operator."),
    ("cursor", "`next` of the page before."),
    ("lang", "The language of texts."),
    (
        "step_s",
        "The length of a step in seconds; 1/60 of the time that is looked at unless something is said.",
    ),
];

/// Describes operations.
pub(super) fn document<'a>(operations: impl Iterator<Item = &'a Operation>) -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = schemas.operation(operation);
    }
    let mut components = schemas.answers.take_definitions(true);
    components.insert("Problem".to_owned(), problem());
    let mut document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "iap admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
            "description": "What a running host knows, and what may be done to it. Times are Unix microseconds (`*_us`) or \
                milliseconds (`*_ms`), durations microseconds, ids lower-case hexadecimal. Parameters that are unknown \
                are refused. Limits above their maximum count as the maximum. `x-iap-right` is what one needs where there \
                are accounts: the least role with it stands beside.",
        },
        "servers": [{ "url": "http://127.0.0.1:9900", "description": "Where admin.listen is by default." }],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {
                "BadRequest": refusal("Something of the request is wrong; `detail` says what."),
                "Unauthorized": refusal("Nobody is known by what was sent."),
                "Forbidden": refusal("The role is not enough, or the request comes from another site."),
                "NotModified": {
                    "description": "It is what `If-None-Match` names: there is no body.",
                    "headers": { "ETag": { "$ref": "#/components/headers/ETag" } },
                },
            },
            "headers": {
                "ETag": {
                    "description": "The tag of this answer as the caller may see it. Sent as `If-None-Match`, it is answered with 304 \
                        while nothing has changed. Answers of more than 4 MiB have none.",
                    "schema": { "type": "string" },
                },
            },
            "securitySchemes": {
                "sign_in": {
                    "type": "apiKey", "in": "cookie", "name": "iap_admin",
                    "description": "The cookie of a sign-in (`__Host-iap_admin` where admin.access.secure is on). A request \
                        that changes something has to say its `Origin`.",
                },
                "token": { "type": "http", "scheme": "bearer", "description": "A token of admin.access.tokens." },
            },
        },
    });
    clean(&mut document);
    document
}

struct Schemas {
    /// What is answered: named, and said once.
    answers: SchemaGenerator,
    /// What is sent: said where it is.
    inputs: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let answers = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
        });
        let inputs = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        Self { answers: answers.into_generator(), inputs: inputs.into_generator() }
    }

    fn operation(&mut self, operation: &Operation) -> Value {
        let mut described = json!({
            "operationId": name(operation),
            "summary": operation.summary,
            "tags": [tag(operation.path)],
            "parameters": self.parameters(operation),
            "responses": self.responses(operation),
            "security": [],
        });
        let mut about = operation.about.to_owned();
        if let Some(right) = operation.right {
            described["x-iap-right"] = json!(right);
            // Without accounts everybody is let in.
            described["security"] = json!([{ "sign_in": [] }, { "token": [] }, {}]);
            about = format!("{about} Needs the role {}.", role(right)).trim_start().to_owned();
        }
        if !about.is_empty() {
            described["description"] = about.into();
        }
        if let Some(shape) = operation.body {
            let schema = shape(&mut self.inputs).to_value();
            described["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
        described
    }

    fn parameters(&mut self, operation: &Operation) -> Vec<Value> {
        let mut found = Vec::new();
        for (name, text, shape) in &operation.places {
            let schema = shape(&mut self.inputs).to_value();
            found.push(
                json!({ "name": name, "in": "path", "required": true, "description": text, "schema": schema }),
            );
        }
        if let Some(shape) = operation.query {
            let members = shape(&mut self.inputs).to_value();
            let required = members["required"].as_array().cloned().unwrap_or_default();
            for (name, schema) in members["properties"].as_object().into_iter().flatten() {
                let mut schema = without_null(schema.clone());
                let own = schema.as_object_mut().and_then(|schema| schema.remove("description"));
                let common = COMMON.iter().find(|(common, _)| common == name);
                let text = own.or_else(|| Some(common?.1.into()));
                let is_needed = required.iter().any(|known| known == name);
                found.push(json!({ "name": name, "in": "query", "required": is_needed, "description": text, "schema": schema }));
            }
        }
        for (name, text) in &operation.fields {
            found.push(json!({ "name": name, "in": "header", "required": false, "description": text, "schema": { "type": "string" } }));
        }
        found
    }

    fn responses(&mut self, operation: &Operation) -> Map<String, Value> {
        let mut found = Map::new();
        for answer in &operation.answers {
            let mut described = self.answer(answer);
            if is_tagged(operation, answer) {
                described["headers"] = json!({ "ETag": { "$ref": "#/components/headers/ETag" } });
                found.insert("304".to_owned(), json!({ "$ref": "#/components/responses/NotModified" }));
            }
            found.insert(answer.status.to_string(), described);
        }
        let takes = operation.query.is_some() || operation.body.is_some() || !operation.places.is_empty();
        let shared = |name: &str| json!({ "$ref": format!("#/components/responses/{name}") });
        if takes {
            found.insert("400".to_owned(), shared("BadRequest"));
        }
        if operation.right.is_some() {
            found.insert("401".to_owned(), shared("Unauthorized"));
        }
        found.insert("403".to_owned(), shared("Forbidden"));
        for (status, text) in &operation.problems {
            found.insert(status.to_string(), refusal(text));
        }
        found
    }

    fn answer(&mut self, answer: &Answer) -> Value {
        let mut content = Map::new();
        for (form, shape) in &answer.content {
            let schema = shape.map(|shape: Shape| shape(&mut self.answers).to_value());
            let media = schema.map_or_else(|| json!({}), |schema| json!({ "schema": schema }));
            content.insert((*form).to_owned(), media);
        }
        let mut described = json!({ "description": answer.text });
        if !content.is_empty() {
            described["content"] = content.into();
        }
        if answer.has_etag {
            let text = "What to send as `If-Match` with a change.";
            described["headers"] = json!({ "ETag": { "description": text, "schema": { "type": "string" } } });
        }
        described
    }
}

/// Whether an answer gets a tag on its way out.
fn is_tagged(operation: &Operation, answer: &Answer) -> bool {
    let is_json = answer.content.iter().any(|(form, _)| form.ends_with("json"));
    operation.method == "get" && answer.status == 200 && is_json && !answer.has_etag
}

/// A problem document (RFC 9457).
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457). Some have members of their own besides.",
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What is wrong, and how to mend it." },
            "kind": { "type": "string", "description": "A stable name." },
            "trace_id": { "type": "string" },
        },
        "required": ["type", "title", "status", "detail"],
    })
}

fn refusal(text: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "description": text, "content": { "application/problem+json": { "schema": schema } } })
}

fn role(right: Right) -> &'static str {
    match right {
        Right::View => "viewer",
        Right::Detail => "developer",
        Right::Person | Right::Operate => "operator",
        Right::Administer => "admin",
    }
}

fn tag(path: &str) -> &'static str {
    if PLATFORM.contains(&path) {
        return "platform";
    }
    TAGS.iter().find(|(begin, _)| path.starts_with(begin)).map_or("requests", |(_, tag)| tag)
}

/// `getTransactionsByTraceId`
fn name(operation: &Operation) -> String {
    let mut name = operation.method.to_owned();
    for part in operation.path.split('/').filter(|part| !part.is_empty() && *part != "api") {
        let varies = part.starts_with('{');
        name += if varies { "By" } else { "" };
        for word in part.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            name.extend(word[..1].chars().map(|c| c.to_ascii_uppercase()));
            name += &word[1..];
        }
    }
    name
}
