//! Cards and accounts.

use super::clause::Topic;
use super::digits::Groups;
use super::{Class, Hit, Seen};

/// A payment card.
pub(super) fn card(seen: Seen<'_>, groups: &Groups) -> Option<Hit> {
    if groups.opens.is_some() {
        return None;
    }
    let labelled = seen.clauses.before(groups.start, Topic::Card);
    let number = [&[4, 4, 4, 4][..], &[4, 6, 5], &[4, 6, 4], &[16], &[15], &[14]]
        .into_iter()
        .find_map(|shape| groups.shaped(shape))?;
    let fits = issued(number.digits, number.separated || labelled) && luhn(number.digits);
    fits.then_some((Class::Card, number.range))
}

/// Whether a number begins as an issuer's do, and has its length. Numbers that only cards of Korea begin with count where it is
/// plain that they are cards.
fn issued(digits: &[u8], plain: bool) -> bool {
    let first =
        |count: usize| digits[..count].iter().fold(0_u32, |value, digit| value * 10 + u32::from(*digit));
    match digits.len() {
        16 => match digits[0] {
            4 => true,
            5 => (51..=55).contains(&first(2)),
            2 => (2221..=2720).contains(&first(4)),
            3 => (3528..=3589).contains(&first(4)),
            6 => first(2) == 62 || first(2) == 65 || first(4) == 6011 || (644..=649).contains(&first(3)),
            9 => plain,
            _ => false,
        },
        15 => matches!(first(2), 34 | 37),
        14 => plain && matches!(first(2), 36 | 38 | 39),
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(if at % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

/// A bank account: ten to sixteen digits after the word for it.
pub(super) fn account(seen: Seen<'_>, groups: &Groups) -> Option<Hit> {
    if groups.opens.is_some() || !seen.clauses.before(groups.start, Topic::Account) {
        return None;
    }
    let split = (2..=groups.len().min(4)).rev().filter_map(|count| groups.first(count));
    let split = split.filter(|number| number.dashed);
    let number = split.chain(groups.whole()).find(|number| (10..=16).contains(&number.digits.len()))?;
    Some((Class::Account, number.range))
}
