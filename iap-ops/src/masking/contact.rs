//! Where a person can be reached.

use super::clause::Topic;
use super::digits::{Groups, Number};
use super::{Class, Hit, Seen};

/// Characters of an address before and after `@`.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;
/// Characters of a top-level domain.
const MAX_TOP: usize = 24;

/// A telephone number: of a mobile, of an area, of the internet, with or without +82.
pub(super) fn phone(seen: Seen<'_>, groups: &Groups) -> Option<Hit> {
    let labelled = || seen.clauses.before(groups.start, Topic::Phone);
    for count in (1..=groups.len().min(4)).rev() {
        let Some(number) = groups.first(count) else { continue };
        let foreign = groups.opens == Some('+');
        let national = match foreign {
            true => number.digits.strip_prefix(&[8, 2]).map(|rest| [&[0], without_zero(rest)].concat()),
            false => Some(number.digits.to_vec()),
        };
        let Some(national) = national else { continue };
        let kind = kind(&national);
        let believed = match kind {
            None => false,
            Some(_) if foreign => true,
            Some(Kind::Mobile) => {
                (is_split(groups, count) && number.separated) || national[2] == 0 || labelled()
            }
            Some(Kind::Area) => is_area_split(groups, &number, count) || labelled(),
        };
        if believed && (groups.opens != Some('(') || groups.separator(1) == Some(')')) {
            return Some((Class::Phone, number.range));
        }
    }
    None
}

fn without_zero(digits: &[u8]) -> &[u8] {
    digits.strip_prefix(&[0]).unwrap_or(digits)
}

enum Kind {
    Mobile,
    Area,
}

/// The kind of a number as it is dialled within Korea.
fn kind(digits: &[u8]) -> Option<Kind> {
    let rest = |prefix: usize| matches!(digits.len() - prefix, 7 | 8) && digits[prefix] != 0;
    match digits {
        [0, 1, 0, _, ..] => (digits.len() == 11).then_some(Kind::Mobile),
        [0, 1, 1 | 6..=9, _, ..] => rest(3).then_some(Kind::Mobile),
        [0, 7, 0, _, ..] => (digits.len() == 11).then_some(Kind::Area),
        [0, 5, 0, _, ..] => matches!(digits.len(), 11 | 12).then_some(Kind::Area),
        [0, 2, _, ..] => rest(2).then_some(Kind::Area),
        [0, 3, 1..=3, _, ..] | [0, 4, 1..=4, _, ..] | [0, 5, 1..=5, _, ..] | [0, 6, 1..=4, _, ..] => {
            rest(3).then_some(Kind::Area)
        }
        _ => None,
    }
}

/// Whether a number is written in the three groups of a telephone number.
fn is_split(groups: &Groups, count: usize) -> bool {
    count == 3 && [3, 4].into_iter().any(|middle| groups.shaped(&[3, middle, 4]).is_some())
}

/// The same with an area code: by dashes, or with the code in brackets.
fn is_area_split(groups: &Groups, number: &Number<'_>, count: usize) -> bool {
    let shapes = [[2, 3, 4], [2, 4, 4], [3, 3, 4], [3, 4, 4], [4, 3, 4], [4, 4, 4]];
    let split = count == 3 && shapes.iter().any(|shape| groups.shaped(shape).is_some());
    split && (number.dashed || groups.separator(1) == Some(')'))
}

/// An e-mail address that begins at a character. It ends before Hangul.
pub(super) fn email(seen: Seen<'_>, at: usize) -> Option<Hit> {
    let local = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let chars = seen.chars;
    if at > 0 && local(&chars[at - 1]) {
        return None;
    }
    let length = chars[at..].iter().take(MAX_LOCAL + 1).take_while(|c| local(c)).count();
    let sign = at + length;
    if length > MAX_LOCAL || chars.get(sign) != Some(&'@') {
        return None;
    }
    let part = |c: &&char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let from = sign + 1;
    let domain = &chars[from..from + chars[from..].iter().take(MAX_DOMAIN).take_while(part).count()];
    // What follows the top-level domain may be another number: `a@example.com-010-1234-5678`.
    let ends = (1..domain.len()).rev().filter(|dot| domain[*dot] == '.' && domain[dot - 1] != '.');
    let top = |dot: usize| {
        domain[dot + 1..].iter().take(MAX_TOP + 1).take_while(|c| c.is_ascii_alphabetic()).count()
    };
    let fits = |dot: &usize| {
        let length = top(*dot);
        (2..=MAX_TOP).contains(&length)
            && domain.get(dot + 1 + length).is_none_or(|c| !c.is_ascii_alphanumeric())
    };
    let dot = ends.into_iter().find(fits)?;
    Some((Class::Email, at..from + dot + 1 + top(dot)))
}
