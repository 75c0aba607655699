//! A setting that is a text in its short form, and a block in its long one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A text, or a block. Errors in the block keep their place and words.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum TextOr<B> {
    Text(String),
    Block(B),
}

impl<'de, B: Deserialize<'de>> Deserialize<'de> for TextOr<B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either(PhantomData))
    }
}

struct Either<B>(PhantomData<B>);

impl<'de, B: Deserialize<'de>> Visitor<'de> for Either<B> {
    type Value = TextOr<B>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text (in quotes if it looks like a number or a truth value), or a block of settings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOr<B>, E> {
        Ok(TextOr::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<B>, A::Error> {
        B::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Block)
    }
}
