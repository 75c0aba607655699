//! What must hold for any text that is taken for a configuration: the body of a fuzz target in `fuzz/`, and a
//! test that runs it over the corpus there.

use super::{Config, Environment, parse, parse_all, parse_as};

/// Parses the text before the first NUL, with the lines `NAME=VALUE` after it as the environment.
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (yaml, variables) = text.split_once('\0').unwrap_or((text, ""));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let environment: Environment = variables.map(|(name, value)| (name.into(), value.into())).collect();
    // With instances each is read, as they are when one of them starts.
    for parsed in parse_all("f.yaml", yaml, &environment).unwrap_or_default() {
        if let Some(instance) = parsed.instance {
            let own = parse_as("f.yaml", yaml, Some(&instance.name), &Environment::new());
            assert_eq!(own.expect("valid among the others").config, parsed.config);
        }
        assert_survives(&parsed.config);
    }
    match parse("f.yaml", yaml, &environment) {
        Ok(config) => assert_survives(&config),
        Err(error) => {
            assert!(!error.message.trim().is_empty(), "an error says what is wrong");
            assert!(error.to_string().starts_with("f.yaml:"), "{error}");
            if let Some((line, column)) = error.place {
                let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
                let lines = yaml.split(breaks).count() as u64 + 1;
                assert!((1..=lines).contains(&line) && column >= 1, "{line}:{column} in {lines} lines");
            }
        }
    }
}

/// What is shown to operators means the same as what was read.
fn assert_survives(config: &Config) {
    let shown = serde_json::to_string(config).expect("a configuration can be shown");
    assert_eq!(serde_json::from_str::<Config>(&shown).expect("and read again"), *config);
}

#[cfg(test)]
mod tests;
