use iap_ops::tools::{PROPOSE, TOOLS, Tool};

use super::{definitions, prompts};

fn all() -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().chain([&PROPOSE])
}

/// What a model reads before anything is asked: four bytes are about a token.
#[test]
fn definitions_are_small_and_complete() {
    for output_schema in [true, false] {
        let tools = definitions(all(), output_schema);
        let json = serde_json::to_string(&tools).unwrap();
        assert!(json.len() / 4 < 6_000, "{} bytes", json.len());
        assert!(tools.len() <= 12);
        for tool in &tools {
            let hints = tool.annotations.as_ref().unwrap();
            assert_eq!(hints.read_only_hint, Some(tool.name != PROPOSE.name), "{}", tool.name);
            assert!(hints.destructive_hint.is_some() && hints.idempotent_hint.is_some());
            assert!(hints.open_world_hint.is_some());
            assert_eq!(tool.output_schema.is_some(), output_schema);
            assert_eq!(tool.input_schema["additionalProperties"], false);
        }
    }
}

#[test]
fn prompts_name_tools_that_there_are() {
    let tools = definitions(all(), false);
    for prompt in prompts::list() {
        let text = serde_json::to_string(&prompts::get(&prompt.name).unwrap()).unwrap();
        assert!(tools.iter().any(|tool| text.contains(&*tool.name)), "{text}");
    }
    assert!(prompts::get("none").is_none());
}
