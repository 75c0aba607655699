//! The values that statements were given, which are nobody else's business: what is kept of them.
//!
//! Senders leave them out unless they are told otherwise (OpenTelemetry's conventions for databases: opt-in). Where one is, they are
//! left out here, too, unless the receiver is told otherwise as well.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::RECEIVED;
use crate::model::masked;

/// What is kept of the values that statements were given: the attributes `db.query.parameter.*` and
/// `db.operation.parameter.*` of OpenTelemetry, `db.statement.parameters` of its libraries for Python, `db.postgresql.values` and
/// `db.mysql.values` of those for Node.js.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SqlParameters {
    /// Nothing.
    #[default]
    Omit,
    /// Of which kind each was, as [`value_class`](crate::value_class) has it.
    Mask,
    /// All of them, as they came.
    Keep,
}

const GROUPS: [&str; 3] = ["query.parameter.", "operation.parameter.", "statement.parameters."];
const NAMES: [&str; 3] = ["statement.parameters", "postgresql.values", "mysql.values"];

impl SqlParameters {
    /// Whether an attribute is one that is not kept as it came.
    pub(super) fn concerns(self, name: &str) -> bool {
        let is_one = |name: &str| GROUPS.iter().any(|group| name.starts_with(group)) || NAMES.contains(&name);
        self != Self::Keep && name.strip_prefix("db.").is_some_and(is_one)
    }

    /// Leaves in a list of attributes what may be kept.
    pub(super) fn apply(self, attributes: &mut Vec<KeyValue>) {
        match self {
            Self::Keep => {}
            Self::Omit => attributes.retain(|attribute| !self.concerns(&attribute.key)),
            Self::Mask => {
                for attribute in attributes.iter_mut().filter(|attribute| self.concerns(&attribute.key)) {
                    let value = RECEIVED.value(attribute.value.take().unwrap_or_default());
                    attribute.value = Some(AnyValue { value: Some(Any::StringValue(masked(&value))) });
                }
            }
        }
    }
}
