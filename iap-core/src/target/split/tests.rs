use http::StatusCode;

use super::*;

fn variant(name: &str, weight: u32) -> Variant {
    Variant::new(name, weight, Target::respond(StatusCode::OK, ""))
}

fn split(name: &str, weights: &[u32]) -> Split {
    let variants = weights.iter().enumerate().map(|(index, weight)| variant(&index.to_string(), *weight));
    Split::new(name, SplitBy::Client, variants).unwrap()
}

/// The variants of many keys.
fn chosen(split: &Split) -> Vec<usize> {
    (0..10_000).map(|key: u32| split.at(&key.to_le_bytes()).name.parse().unwrap()).collect()
}

#[test]
fn shares_are_kept_and_only_those_move_that_have_to() {
    let before = chosen(&split("a", &[90, 10]));
    let canaries = before.iter().filter(|variant| **variant == 1).count();
    // The keys are fixed, and so is the outcome: five standard deviations around a tenth.
    assert!((850..1150).contains(&canaries), "{canaries}");
    assert_eq!(chosen(&split("a", &[90, 10])), before, "the same everywhere");
    assert_eq!(chosen(&split("a", &[9, 1])), before, "weights are relative");

    let after = chosen(&split("a", &[70, 30]));
    assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "nobody leaves the canary");
    assert!(chosen(&split("a", &[1, 0])).iter().all(|variant| *variant == 0));
    assert!(chosen(&split("a", &[0, u32::MAX, 0])).iter().all(|variant| *variant == 1));

    let other = chosen(&split("b", &[90, 10]));
    let both = before.iter().zip(&other).filter(|(a, b)| **a == 1 && **b == 1).count();
    assert!((50..200).contains(&both), "splits choose independently: {both}");
}

#[test]
fn what_cannot_work_is_refused() {
    let error = |variants: Vec<Variant>| Split::new("s", SplitBy::Client, variants).unwrap_err();
    assert_eq!(error(vec![variant("a", 1)]), SplitError::Count);
    assert_eq!(error((0..65).map(|n| variant(&n.to_string(), 1)).collect()), SplitError::Count);
    assert_eq!(error(vec![variant("a", 0), variant("b", 0)]), SplitError::NoWeight);
    assert_eq!(error(vec![variant("a", 1), variant("a", 1)]), SplitError::DuplicateName("a".into()));
    for name in ["", "a b", "a;b", "a\r\nb", "\u{e9}"] {
        assert_eq!(error(vec![variant("a", 1), variant(name, 1)]), SplitError::BadName(name.into()));
        let by = SplitBy::Sticky(name.to_owned());
        let variants = [variant("a", 1), variant("b", 1)];
        assert_eq!(Split::new("s", by, variants).unwrap_err(), SplitError::BadName(name.into()));
    }
    let nested = Variant::new("n", 1, Target::Split(Arc::new(split("in", &[1, 1]))));
    assert_eq!(error(vec![variant("a", 1), nested]), SplitError::Nested("n".into()));
}
