use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{document, routes};
use crate::admin::openapi::Table;

fn described() -> Value {
    let tables = routes::tables();
    document::document(tables.iter().flat_map(Table::operations))
}

/// Each operation with its path.
fn operations(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().values().map(move |operation| (path, operation))
    })
}

#[test]
fn the_file_in_the_repository_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let described = described();
    let text = serde_json::to_string_pretty(&described).unwrap() + "\n";
    if std::env::var_os("IAP_RENEW").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let kept: Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap_or_default()).unwrap_or_default();
    assert!(
        kept == described,
        "docs/openapi.json is not what the routes say. Renew it, and look at what differs:\n\
         IAP_RENEW=1 cargo test -p iap-host --bin iap-host openapi && git diff docs/openapi.json"
    );
}

#[test]
fn an_operation_says_what_it_takes_and_answers() {
    let document = described();
    let mut names = BTreeSet::new();
    for (path, operation) in operations(&document) {
        assert!(names.insert(operation["operationId"].to_string()), "two are {}", operation["operationId"]);
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with(['2', '3'])), "{path}: no good answer");
        let parameters = operation["parameters"].as_array().unwrap();
        for parameter in parameters {
            assert!(parameter["description"].is_string(), "{path}: {} has no description", parameter["name"]);
            assert!(!parameter["schema"].to_string().contains("null"), "{path}: {parameter}");
        }
        let places: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let told = parameters.iter().filter(|parameter| parameter["in"] == "path");
        assert_eq!(
            told.map(|parameter| parameter["name"].as_str().unwrap()).collect::<BTreeSet<_>>(),
            places,
            "{path}"
        );
    }
}

#[test]
fn schemas_have_names_of_their_own_and_no_marks_of_the_source() {
    let document = described();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "two schemas are called like {name}");
        let used = format!("#/components/schemas/{name}");
        assert!(document.to_string().contains(&used), "nothing refers to {name}");
    }
    assert!(!document.to_string().contains("[`"), "a link of the source is in a description");
}

#[test]
fn routes_come_from_tables_alone() {
    for file in ["mod.rs", "views.rs", "details.rs", "acting.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/routes").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(!text.contains(".route("), "{file}: a route without a description");
    }
}
