use crate::config::{Environment, parse};

fn refusal(ops: &str) -> String {
    let text = format!("ops: {ops}\n");
    match parse("iap.yaml", &text, &Environment::new()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

const LOCAL: &str =
    "{name: local, kind: openai_compatible, url: 'http://127.0.0.1:11434/v1', model: llama3.1}";

#[test]
fn what_cannot_work_is_refused_with_its_name() {
    assert_eq!(refusal(&format!("{{llm: {{providers: [{LOCAL}], use: {{word: [local]}}}}}}")), "");
    for (ops, part) in [
        (
            format!("{{llm: {{providers: [{LOCAL}], use: {{word: [other]}}}}}}"),
            "there is no provider `other`",
        ),
        (format!("{{llm: {{providers: [{LOCAL}, {LOCAL}]}}}}"), "another provider has the same name"),
        ("{llm: {providers: [{name: x, kind: openai_compatible, model: m}]}}".into(), "say where it is"),
        ("{llm: {providers: [{name: x, kind: other, model: m}]}}".into(), "other"),
        (
            "{llm: {providers: [{name: x, kind: openai, model: m, key: sk-very-secret}]}}".into(),
            "by reference",
        ),
        (
            "{llm: {providers: [{name: x, kind: openai, model: m, context_tokens: 500}]}}".into(),
            "max_output_tokens",
        ),
        (
            "{llm: {providers: [{name: x, kind: openai, model: m, price: {input: -1, output: 1}}]}}".into(),
            "price",
        ),
        ("{llm: {budget: {day: {cost: -2}}}}".into(), "from 0 on"),
        ("{llm: {breaker: {failures: 0}}}".into(), "ops.llm.breaker"),
        ("{llm: {timeout: 5m}}".into(), "at most 100s"),
        ("{runbooks: {every: 10ms}}".into(), "ops.runbooks.every"),
        ("{runbooks: {max_total: 1GiB}}".into(), "64MiB"),
    ] {
        let said = refusal(&ops);
        assert!(said.contains(part) && !said.contains("sk-very"), "{ops}: {said}");
    }
    let off =
        format!("apm: {{enabled: false}}\nops: {{llm: {{providers: [{LOCAL}], use: {{word: [local]}}}}}}\n");
    let error =
        parse("iap.yaml", &off, &Environment::new()).expect_err("it has nothing to tell of").to_string();
    assert!(error.contains("apm records"), "{error}");
}

#[test]
fn the_examples_of_the_documentation_are_read() {
    let text = include_str!("../../../../docs/ops.md");
    let blocks: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let blocks: Vec<&&str> = blocks.iter().filter(|block| block.starts_with("ops:")).collect();
    assert_eq!(blocks.len(), 4, "runbooks, and three of models");
    for block in blocks {
        if let Err(error) = parse("ops.md", block, &Environment::new()) {
            panic!("{error}\n{block}");
        }
    }
}
