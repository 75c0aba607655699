//! What operators see of sessions.

use iap_session::RecordAddress;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::SecretRef;

/// How much is kept of the addresses of clients: `true`, `false`, or `masked`, their networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RecordAddressConfig(pub(crate) RecordAddress);

impl Serialize for RecordAddressConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RecordAddress::Full => to.serialize_bool(true),
            RecordAddress::Off => to.serialize_bool(false),
            RecordAddress::Masked => to.serialize_str("masked"),
        }
    }
}

impl<'de> Deserialize<'de> for RecordAddressConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        /// A boolean, or the word for what is between.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Flag(bool),
            Word(String),
        }
        const HELP: &str = "write `true`, `false` or `masked`";
        match Written::deserialize(from).map_err(|_| de::Error::custom(HELP))? {
            Written::Flag(true) => Ok(Self(RecordAddress::Full)),
            Written::Flag(false) => Ok(Self(RecordAddress::Off)),
            Written::Word(word) if word == "masked" => Ok(Self(RecordAddress::Masked)),
            Written::Word(_) => Err(de::Error::custom(HELP)),
        }
    }
}

/// What happens to sessions, told to operators and applications.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EventsConfig {
    pub(crate) enabled: bool,
    /// Events that are kept, about.
    pub(crate) keep: usize,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { enabled: true, keep: 10_000 }
    }
}

/// Which sessions have ended, told to applications.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RevocationsConfig {
    /// The secret that applications show. Without it they are not told.
    pub(crate) token: Option<SecretRef>,
}

#[cfg(test)]
mod tests;
