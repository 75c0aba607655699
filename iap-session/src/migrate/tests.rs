//! Whatever stands in another store, nothing here panics, and what comes out is bounded.

use bytes::Bytes;
use proptest::prelude::*;

use super::java::{MAGIC, Stream};
use super::value::{Values, number};
use super::{connect, messagepack, redisson, spring, tomcat, tower};

/// Bytes of which Java streams are made, more often than others.
fn java_like() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![3 => 0x70_u8..=0x7e, 2 => 0_u8..=4, 1 => any::<u8>(), 1 => Just(b'L'), 1 => Just(b'I')];
    let rest = prop::collection::vec(byte, 0..400);
    rest.prop_map(|rest| [&MAGIC[..], &rest].concat())
}

/// A stream of a JDK in which some bytes are others: a map with a list, a text and a date.
fn almost_java() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(changes, end, cut)| {
        let mut bytes = super::java::example();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

fn anything() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![java_like(), almost_java(), prop::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn java_streams_are_read_or_refused(bytes in anything()) {
        if let Ok(stream) = Stream::parse(&bytes) {
            for id in stream.top() {
                let _ = (stream.json(*id), stream.class_name(*id), stream.object_field(*id, "name"));
                if let Some(cut) = stream.cut(*id) {
                    prop_assert!(Stream::parse(&cut).is_ok(), "what is cut out can be read");
                }
            }
        }
    }

    #[test]
    fn values_are_kept_whatever_they_are(bytes in anything()) {
        let mut values = Values::default();
        values.add("name", &bytes);
        prop_assert_eq!(values.attributes.len(), usize::from(!bytes.is_empty()));
        prop_assert!(values.opaque.keys().all(|kind| kind.len() <= 128));
        let _ = number(&bytes);
    }

    #[test]
    fn sessions_are_read_or_refused(bytes in anything(), other in anything(), ms in any::<u64>()) {
        let fields = |names: [&str; 4]| names.map(|name| (name.as_bytes().to_vec(), Bytes::from(bytes.clone())));
        let context = "sessionAttr:SPRING_SECURITY_CONTEXT";
        let _ = spring::decode(&fields(["creationTime", "maxInactiveInterval", context, "x"]), Some("a.b"));
        let own = (other.clone(), Bytes::from(bytes.clone()));
        let of = [&fields(["session:isValid", "session:principal", "session:creationTime", "x"])[..], &[own]].concat();
        let _ = redisson::decode(&of, Some(ms), ms, Some("x"));
        let _ = tomcat::decode(&bytes, Some("x"));
        let _ = tomcat::decode(&[&bytes[..], &other].concat(), None);
        let _ = connect::decode(&bytes, Some(ms), ms, None);
        let _ = tower::decode(&bytes, "AAAAAAAAAAAAAAAAAAAAAA", ms, None);
        let packed = [&[0x93, 0xc4, 16][..], &[0; 16], &bytes].concat();
        let _ = tower::decode(&packed, "AAAAAAAAAAAAAAAAAAAAAA", ms, None);
        let mut decoder = messagepack::Decoder::new(&bytes);
        while decoder.item().is_some() {}
    }

    #[test]
    fn json_of_express_is_read_or_refused(expires in ".{0,40}", age in any::<i64>(), ms in any::<u64>(), left in any::<u64>()) {
        let text = serde_json::json!({"cookie": {"expires": expires, "originalMaxAge": age}, "passport": {"user": [age]}});
        let session = connect::decode(text.to_string().as_bytes(), Some(left), ms, None).unwrap();
        let dry = super::Takeover::default().imported(&session, ms);
        prop_assert!(dry.is_none_or(|imported| imported.accessed_ms <= ms));
    }
}

#[test]
fn nesting_is_bounded() {
    assert_eq!(messagepack::Decoder::new(&[0x91; 100_000]).item(), None);
    assert_eq!(messagepack::Decoder::new(&[0xdd, 0xff, 0xff, 0xff, 0xff]).item(), None);
    assert!(connect::decode("[".repeat(100_000).as_bytes(), None, 0, None).is_err());
}
