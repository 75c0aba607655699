use proptest::prelude::*;

use super::*;
use crate::id::SessionIds;

const OLD: &[u8] = b"the key of last year";
const NEW: &[u8] = b"the key of this year";

fn id() -> SessionId {
    SessionIds::ephemeral().generate().0
}

fn signed(current: &[u8], former: &[&[u8]]) -> TokenKeys {
    TokenKeys::new(current, former).unwrap()
}

fn read(tokens: Tokens<'_>, token: &str) -> Option<bool> {
    tokens.decode(token).map(|presented| presented.outdated)
}

#[test]
fn without_keys_a_token_is_the_id() {
    let (id, plain) = (id(), Tokens::default());
    assert_eq!(plain.encode(&id), id.encode());
    assert_eq!(plain.decode(&id.encode()), Some(Presented { id, outdated: false }));
}

#[test]
fn a_signature_is_needed_and_must_be_right() {
    let keys = signed(NEW, &[]);
    let tokens = Tokens { keys: Some(&keys), node: None };
    let (one, other) = (tokens.encode(&id()), tokens.encode(&id()));
    assert_eq!(read(tokens, &one), Some(false));
    assert_eq!(read(tokens, &one[..SessionId::ENCODED_LEN]), None, "unsigned");
    let mixed = format!("{}{}", &one[..SessionId::ENCODED_LEN], &other[SessionId::ENCODED_LEN..]);
    assert_eq!(read(tokens, &mixed), None, "the signature of another id");
    assert_eq!(read(tokens, &one[..one.len() - 1]), None);
    assert_eq!(read(tokens, &format!("{one}A")), None);
    let elsewhere = signed(OLD, &[]);
    assert_eq!(read(Tokens { keys: Some(&elsewhere), node: None }, &one), None);
}

#[test]
fn keys_are_replaced_and_introduced_without_losing_anybody() {
    let (old, new) = (signed(OLD, &[]), signed(NEW, &[OLD]));
    let (before, after) = (Tokens { keys: Some(&old), node: None }, Tokens { keys: Some(&new), node: None });
    let (id, unsigned) = (id(), Tokens::default());
    assert_eq!(read(after, &before.encode(&id)), Some(true), "good, and to be written anew");
    assert_eq!(read(after, &after.encode(&id)), Some(false));
    assert_eq!(read(after, &id.encode()), None);
    let mut tolerant = new.clone();
    tolerant.accept_unsigned = true;
    assert_eq!(read(Tokens { keys: Some(&tolerant), node: None }, &id.encode()), Some(true));
    // Signing is switched off again.
    assert_eq!(read(unsigned, &after.encode(&id)), Some(true));
}

#[test]
fn keys_are_bounded_and_not_shown() {
    assert!(TokenKeys::new(b"short", &[]).is_err());
    assert!(TokenKeys::new(NEW, &[b"short"]).is_err());
    assert!(TokenKeys::new(NEW, &[OLD; TokenKeys::MAX]).is_err());
    assert_eq!(format!("{:?}", signed(NEW, &[OLD])), "TokenKeys { keys: 2, .. }");
}

#[test]
fn a_node_stands_behind_a_dot_and_another_one_is_as_good() {
    let id = id();
    let here = Tokens { keys: None, node: Some("node1") };
    assert_eq!(here.encode(&id), format!("{}.node1", id.encode()));
    assert_eq!(read(here, &here.encode(&id)), Some(false));
    assert_eq!(read(here, &format!("{}.node2", id.encode())), Some(true));
    assert_eq!(read(here, &id.encode()), Some(true));
    assert_eq!(read(Tokens::default(), &here.encode(&id)), Some(true));
}

proptest! {
    #[test]
    fn nothing_but_what_we_wrote_is_a_token(text in "[A-Za-z0-9_.-]{0,100}|\\PC{0,100}") {
        let keys = signed(NEW, &[OLD]);
        let tokens = Tokens { keys: Some(&keys), node: Some("a") };
        prop_assert_eq!(read(tokens, &text), None);
    }
}
