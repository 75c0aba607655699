//! References to secrets. A value never stands in a configuration, and where somebody wrote one,
//! no error message repeats it.

use std::fmt;
use std::path::PathBuf;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; a line break at its end does not count.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reference)
    }
}

const HELP: &str = "a secret is given by reference: `{env: NAME}` or `{file: PATH}`";

struct Reference;

impl<'de> Visitor<'de> for Reference {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HELP)
    }

    fn visit_str<E: de::Error>(self, _value: &str) -> Result<SecretRef, E> {
        Err(E::custom(HELP))
    }

    fn visit_u64<E: de::Error>(self, _value: u64) -> Result<SecretRef, E> {
        Err(E::custom(HELP))
    }

    fn visit_i64<E: de::Error>(self, _value: i64) -> Result<SecretRef, E> {
        Err(E::custom(HELP))
    }

    fn visit_f64<E: de::Error>(self, _value: f64) -> Result<SecretRef, E> {
        Err(E::custom(HELP))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let reference = match map.next_entry::<String, String>()? {
            Some((key, name)) if key == "env" => SecretRef::Env(name),
            Some((key, path)) if key == "file" => SecretRef::File(path.into()),
            _ => return Err(de::Error::custom(HELP)),
        };
        match map.next_entry::<String, String>()? {
            None => Ok(reference),
            Some(_) => Err(de::Error::custom(HELP)),
        }
    }
}
