//! Ids as lower-case hexadecimal text in serde formats.

macro_rules! hex_module {
    ($name:ident, $optional:ident, $id:ty) => {
        pub(crate) mod $name {
            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(crate) fn serialize<S: Serializer>(id: &$id, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(id)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$id, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                <$id>::from_hex(&text).ok_or_else(|| D::Error::custom("not a hexadecimal id"))
            }
        }

        pub(crate) mod $optional {
            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(crate) fn serialize<S: Serializer>(
                id: &Option<$id>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                match id {
                    Some(id) => serializer.collect_str(id),
                    None => serializer.serialize_none(),
                }
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Option<$id>, D::Error> {
                let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.map(|text| {
                    <$id>::from_hex(&text).ok_or_else(|| D::Error::custom("not a hexadecimal id"))
                })
                .transpose()
            }
        }
    };
}

hex_module!(trace, trace_opt, iap_core::TraceId);
hex_module!(span, span_opt, iap_core::SpanId);
