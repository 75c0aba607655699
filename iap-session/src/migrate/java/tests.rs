use serde_json::json;

use super::*;

/// As a JDK has written them: a map with a list of a number, a text and a date; a list that is in itself.
const MAP: &str = "aced0005737200176a6176612e7574696c2e4c696e6b6564486173684d617034c04e5c106cc0fb0200015a000b6163636573734f72646572787200116a6176612e7574696c2e486173684d61700507dac1c31660d103000246000a6c6f6164466163746f724900097468726573686f6c6478703f40000000000001770800000002000000017400016b737200136a6176612e7574696c2e41727261794c6973747881d21d99c7619d03000149000473697a65787000000003770400000003737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b020000787000000001740002c3bc7372000e6a6176612e7574696c2e44617465686a81014b59741903000078707708000000000000000578787800";
const SELF: &str = "aced0005737200136a6176612e7574696c2e41727261794c6973747881d21d99c7619d03000149000473697a6578700000000177040000000171007e000178";
/// Where an `ArrayList` begins, with its class and how many it has.
const LIST: &str =
    "aced0005737200136a6176612e7574696c2e41727261794c6973747881d21d99c7619d03000149000473697a657870";

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// A stream for other tests.
pub(in crate::migrate) fn example() -> Vec<u8> {
    bytes(MAP)
}

fn parsed(hex: &str) -> Result<Stream, JavaError> {
    Stream::parse(&bytes(hex))
}

#[test]
fn what_is_cut_out_is_the_same_again() {
    let stream = parsed(MAP).unwrap();
    let value = json!({"k": [1, "ü", "1970-01-01T00:00:00.005Z"]});
    assert_eq!(stream.json(stream.top()[0]), Some(value));
    for hex in [MAP, SELF] {
        let stream = parsed(hex).unwrap();
        assert_eq!(stream.cut(stream.top()[0]), Some(bytes(hex)), "byte for byte as the JDK");
    }
}

#[test]
fn a_list_in_itself_has_no_json_form() {
    let stream = parsed(SELF).unwrap();
    assert_eq!(stream.json(stream.top()[0]), None);
}

/// Lists of two references to the list before: few bytes, and 2^40 values.
#[test]
fn references_are_not_multiplied_without_bounds() {
    let mut hex = LIST.to_owned();
    // The innermost: two texts; its handle follows that of its class.
    let mut handle = 0x7e_0001_u32;
    hex.push_str("0000000277040000000274000161740001627878");
    hex.truncate(hex.len() - 2);
    let first = hex.clone();
    assert!(parsed(&first).is_ok());
    let mut tops = 1;
    for _ in 0..40 {
        hex.push_str(&format!(
            "7371007e000000000002770400000002{:010x}{:010x}78",
            0x71_0000_0000_u64 | u64::from(handle),
            0x71_0000_0000_u64 | u64::from(handle)
        ));
        // After the first list come its two texts.
        handle = if tops == 1 { 0x7e_0004 } else { handle + 1 };
        tops += 1;
    }
    let stream = parsed(&hex).unwrap();
    assert_eq!(stream.top().len(), tops);
    assert_eq!(stream.json(stream.top()[1]), Some(json!([["a", "b"], ["a", "b"]])));
    assert_eq!(stream.json(stream.top()[40]), None);
    assert!(stream.cut(stream.top()[40]).unwrap().len() < 4000, "as it was, it is small");
}

#[test]
fn depth_and_counts_are_bounded() {
    let deep = format!("{LIST}{}", "000000017704000000017371007e0000".repeat(200));
    assert_eq!(parsed(&deep).unwrap_err(), JavaError::TooLarge);
    let claims = ["aced00057c7fffffffffffffff", "aced00057a7fffffff", "aced00057d7fffffff", "aced00057411"];
    for hex in claims {
        assert_eq!(parsed(hex).unwrap_err(), JavaError::Malformed, "{hex}");
    }
    let ints = "aced0005757200025b494dba602676eab2a50200007870";
    assert_eq!(parsed(&format!("{ints}7fffffff00000001")).unwrap_err(), JavaError::Malformed);
    let many = format!("{ints}000f4240{}", "00000001".repeat(1_000_000));
    assert_eq!(parsed(&many).unwrap_err(), JavaError::TooLarge);
    assert_eq!(
        Stream::parse(&[&MAGIC[..], &vec![code::NULL; 5 << 20]].concat()).unwrap_err(),
        JavaError::TooLarge
    );
}

#[test]
fn what_is_no_stream_is_told() {
    for hex in ["", "aced", "aced0004", "aced000571007e0000", "aced000573707371", "aced00057201"] {
        assert_eq!(parsed(hex).unwrap_err(), JavaError::Malformed, "{hex}");
    }
    assert_eq!(parsed("aced00057b").unwrap_err(), JavaError::Unsupported, "an exception that interrupted it");
}
