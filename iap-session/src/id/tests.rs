use super::*;

#[test]
fn an_id_survives_its_cookie_form() {
    let (id, _) = SessionIds::ephemeral().generate();
    assert_eq!(id.encode().len(), SessionId::ENCODED_LEN);
    assert_eq!(SessionId::decode(&id.encode()), Some(id));
}

#[test]
fn other_shapes_are_no_ids() {
    let good = SessionIds::ephemeral().generate().0.encode();
    let padded = format!("{good}=");
    let standard_alphabet = format!("+{}", &good[1..]);
    // The last digit of 32 bytes carries two spare bits; only zero is canonical.
    let spare_bits = "A".repeat(42) + "B";
    for value in ["", "x", &good[1..], &padded, &standard_alphabet, &spare_bits, &"é".repeat(22)] {
        assert_eq!(SessionId::decode(value), None, "{value}");
    }
}

#[test]
fn keys_depend_on_the_secret_and_debug_shows_no_secret() {
    let one = SessionIds::new(b"a secret of some length").unwrap();
    let two = SessionIds::new(b"another secret of length").unwrap();
    let (id, key) = one.generate();
    assert_eq!(one.key(&id), key);
    assert_ne!(two.key(&id), key);
    assert_ne!(one.user_key("alice"), two.user_key("alice"));
    assert!(!format!("{id:?} {one:?}").contains(&id.encode()));
    assert_eq!(SessionKey::from_hex(&key.to_string()), Some(key));
    assert!(SessionIds::new(b"short").is_err());
}

#[test]
fn operation_ids_survive_their_text_form() {
    let op = OpId::random();
    assert_eq!(OpId::from_hex(&op.to_string()), Some(op));
    assert_eq!(OpId::from_hex("é"), None);
    assert_eq!(OpId::from_hex(&"+1".repeat(12)), None);
}

#[test]
fn names_of_writes_are_different_on_all_threads() {
    let draw = || (0..1000).map(|_| OpId::random()).collect::<Vec<_>>();
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
    let names = threads.into_iter().flat_map(|thread| thread.join().unwrap());
    assert_eq!(names.collect::<std::collections::HashSet<_>>().len(), 4000);
}
