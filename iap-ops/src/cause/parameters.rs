//! With which kind of values a statement is to blame: what its bad calls have and its usual ones have not. Values themselves are never told,
//! only of what kind they are.

use std::collections::BTreeMap;

use iap_apm::{Span, value_class};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What OpenTelemetry calls the values that a statement was given.
const GIVEN: &str = "db.query.parameter.";
/// Other numbers of a call that say how much it was about.
const AMOUNTS: [(&str, &str); 3] = [
    ("db.response.returned_rows", "rows returned"),
    ("db.response.affected_rows", "rows affected"),
    ("db.operation.batch.size", "batch size"),
];
/// Parameters of one call, and kinds of all, that are looked at.
const MAX_PARAMETERS: usize = 32;
const MAX_KINDS: usize = 2_000;
/// From which weight on it is told: half and half is what goes with everything.
const CLEAR: f64 = 0.6;

/// A parameter of the statement to blame, or an amount that a call was about, and of what kind it is in the bad calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BlamedParameter")]
pub struct Parameter {
    /// The parameter's name, or what is counted: `rows returned`. Untrusted text without control characters.
    pub name: String,
    /// Of what kind: `1,000 to 9,999`, `text of 9 to 32 characters`.
    pub class: String,
    /// In how many of the bad calls it is so, in percent.
    pub percent: f64,
    /// In how many of the usual ones.
    pub usual_percent: f64,
}

/// Calls of statements, by the kinds of their values.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// By the statement.
    all: BTreeMap<String, usize>,
    /// By the statement, the parameter and the kind of its value.
    kinds: BTreeMap<(String, String, String), usize>,
}

impl Calls {
    /// Takes up a call.
    pub(super) fn add(&mut self, statement: &str, span: &Span) {
        *self.all.entry(statement.to_owned()).or_default() += 1;
        let given = span.attributes.iter().filter_map(|(name, value)| {
            let name = match name.strip_prefix(GIVEN) {
                Some(name) => super::traces::printable(name),
                None => AMOUNTS.iter().find(|(amount, _)| *amount == name.as_str())?.1.to_owned(),
            };
            Some((name, value_class(value)))
        });
        for (name, class) in given.take(MAX_PARAMETERS) {
            let key = (statement.to_owned(), name, class);
            if self.kinds.len() < MAX_KINDS || self.kinds.contains_key(&key) {
                *self.kinds.entry(key).or_default() += 1;
            }
        }
    }

    fn share(&self, key: &(String, String, String)) -> f64 {
        let all = self.all.get(&key.0).copied().unwrap_or(0).max(1);
        self.kinds.get(key).copied().unwrap_or(0) as f64 / all as f64
    }
}

/// What the bad calls of a statement clearly have in common that its usual ones have not.
pub(super) fn parameter(bad: &Calls, good: &Calls, statement: &str) -> Option<Parameter> {
    // Without usual calls there is nothing to tell them from.
    good.all.get(statement)?;
    let own = bad.kinds.keys().filter(|(of, ..)| of == statement);
    let weighed = own.map(|key| {
        let (support, elsewhere) = (bad.share(key), good.share(key));
        (support * support / (support + elsewhere).max(f64::EPSILON), key)
    });
    let (_, key) = weighed.filter(|(weight, _)| *weight > CLEAR).max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Parameter {
        name: key.1.clone(),
        class: key.2.clone(),
        percent: bad.share(key) * 100.0,
        usual_percent: good.share(key) * 100.0,
    })
}
