//! Of which kind a value is, without telling it.

use serde_json::Value;

/// What a value stands in that was made of another one by [`masked`].
const MARKS: [char; 2] = ['\u{2039}', '\u{203a}'];

/// The kind of a value: the order of magnitude of a number, the length of a text. Of a value that is
/// masked already, the kind of the one that it was.
pub fn value_class(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => magnitude(number.as_f64().unwrap_or(0.0)).to_owned(),
        Value::String(text) => match (unmarked(text), text.parse::<f64>()) {
            (Some(class), _) => class.to_owned(),
            (None, Ok(number)) if number.is_finite() => magnitude(number).to_owned(),
            _ => length(text.chars().count()).to_owned(),
        },
        Value::Array(items) => format!("{LIST}{}", magnitude(items.len() as f64)),
        Value::Object(_) => "object".to_owned(),
    }
}

/// What is kept of a value that is not to be kept.
pub(crate) fn masked(value: &Value) -> String {
    format!("{}{}{}", MARKS[0], value_class(value), MARKS[1])
}

/// What stands between the marks, if it is a kind: anything else is a value of its own.
fn unmarked(text: &str) -> Option<&str> {
    let class = text.strip_prefix(MARKS[0])?.strip_suffix(MARKS[1])?;
    let one = class.strip_prefix(LIST).unwrap_or(class);
    let mut known = MAGNITUDES.iter().map(|(_, name)| *name).chain(LENGTHS.iter().map(|(_, name)| *name));
    (known.any(|name| name == one) || ["null", "true", "false", "object"].contains(&class)).then_some(class)
}

const LIST: &str = "list of ";

/// Below which number a kind ends, and its name.
const MAGNITUDES: [(f64, &str); 9] = [
    (0.0, "below 0"),
    (1.0, "0"),
    (10.0, "1 to 9"),
    (100.0, "10 to 99"),
    (1e3, "100 to 999"),
    (1e4, "1,000 to 9,999"),
    (1e5, "10,000 to 99,999"),
    (1e6, "100,000 to 999,999"),
    (f64::INFINITY, "1,000,000 or more"),
];

/// The same for the characters of a text.
const LENGTHS: [(usize, &str); 5] = [
    (1, "empty text"),
    (9, "text of 1 to 8 characters"),
    (33, "text of 9 to 32 characters"),
    (257, "text of 33 to 256 characters"),
    (usize::MAX, "text of more than 256 characters"),
];

fn magnitude(number: f64) -> &'static str {
    let last = MAGNITUDES[MAGNITUDES.len() - 1];
    MAGNITUDES.iter().find(|(end, _)| number < *end).unwrap_or(&last).1
}

fn length(characters: usize) -> &'static str {
    let last = LENGTHS[LENGTHS.len() - 1];
    LENGTHS.iter().find(|(end, _)| characters < *end).unwrap_or(&last).1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{masked, value_class};

    #[test]
    fn a_value_is_told_by_its_kind_alone() {
        for (value, kind) in [
            (json!(null), "null"),
            (json!(0), "0"),
            (json!(-4), "below 0"),
            (json!(1234), "1,000 to 9,999"),
            (json!("1234567"), "1,000,000 or more"),
            (json!("kim@example.com"), "text of 9 to 32 characters"),
            (json!(""), "empty text"),
            (json!([1, 2, 3]), "list of 1 to 9"),
            (json!(true), "true"),
        ] {
            assert_eq!(value_class(&value), kind, "{value}");
        }
    }

    #[test]
    fn a_masked_value_keeps_its_kind_and_nothing_else_passes_for_one() {
        for value in [
            json!(null),
            json!(7),
            json!(-1),
            json!(1e9),
            json!("kim"),
            json!([1, 2]),
            json!({"a": 1}),
            json!(false),
        ] {
            let mask = json!(masked(&value));
            assert_eq!(value_class(&mask), value_class(&value));
            assert_eq!(json!(masked(&mask)), mask, "twice is as once");
        }
        let odd = json!("\u{2039}kim@example.com\u{203a}");
        assert_eq!(value_class(&odd), "text of 9 to 32 characters");
    }
}
