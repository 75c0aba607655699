//! Numbers that identify a person or a business.

use super::clause::Topic;
use super::digits::{Groups, Number, goes_on, is_inside};
use super::{Class, Hit, Seen};

/// Milliseconds since 1970 that a bare number of 13 digits rather is: from 2014 to 2039.
const EPOCH_MS: std::ops::Range<u64> = 1_400_000_000_000..2_200_000_000_000;
/// The regions of driver licences.
const REGIONS: std::ops::RangeInclusive<u8> = 11..=28;
/// Their names in the form before.
const REGION_NAMES: [[char; 2]; 16] = [
    ['서', '울'],
    ['부', '산'],
    ['경', '기'],
    ['강', '원'],
    ['충', '북'],
    ['충', '남'],
    ['전', '북'],
    ['전', '남'],
    ['경', '북'],
    ['경', '남'],
    ['제', '주'],
    ['대', '구'],
    ['인', '천'],
    ['광', '주'],
    ['대', '전'],
    ['울', '산'],
];

/// The number of a resident, a foreigner or a driver.
pub(super) fn number(seen: Seen<'_>, groups: &Groups) -> Option<Hit> {
    if groups.opens.is_some() {
        return None;
    }
    resident(seen, groups).or_else(|| licence(seen, groups))
}

fn resident(seen: Seen<'_>, groups: &Groups) -> Option<Hit> {
    let number = groups.shaped(&[6, 7]).or_else(|| groups.shaped(&[13]))?;
    let (clauses, at) = (seen.clauses, groups.start);
    let labelled = clauses.before(at, Topic::Resident);
    if clauses.before(at, Topic::Corporation) && !labelled || !is_birth(number.digits) {
        return None;
    }
    let value = number.digits.iter().fold(0, |value, digit| value * 10 + u64::from(*digit));
    if !number.separated && !labelled && EPOCH_MS.contains(&value) && !has_checksum(number.digits) {
        return None;
    }
    let class = if matches!(number.digits[6], 5..=8) { Class::Foreigner } else { Class::Resident };
    Some((class, number.range))
}

/// Whether a number begins with a day of birth, and the seventh digit tells a century and a sex.
fn is_birth(digits: &[u8]) -> bool {
    let two = |at: usize| u16::from(digits[at]) * 10 + u16::from(digits[at + 1]);
    let century = match digits[6] {
        1 | 2 | 5 | 6 => 1900,
        3 | 4 | 7 | 8 => 2000,
        _ => return false,
    };
    let (year, month, day) = (century + two(0), two(2), two(4));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u16::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day) && year <= 2039
}

/// The checksum of numbers given before October 2020. It makes surer, and rejects none.
fn has_checksum(digits: &[u8]) -> bool {
    const WEIGHTS: [u32; 12] = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    let shift = if matches!(digits[6], 5..=8) { 13 } else { 11 };
    (shift - sum % 11) % 10 == u32::from(digits[12])
}

fn licence(seen: Seen<'_>, groups: &Groups) -> Option<Hit> {
    let labelled = seen.clauses.before(groups.start, Topic::Licence);
    let written = groups.shaped(&[2, 2, 6, 2]).filter(|number| number.dashed || labelled);
    let number = written.or_else(|| groups.shaped(&[12]).filter(|_| labelled))?;
    let region = number.digits[0] * 10 + number.digits[1];
    REGIONS.contains(&region).then_some((Class::Licence, number.range))
}

/// A driver licence with the name of its region: `서울 95-123456-78`.
pub(super) fn regional_licence(seen: Seen<'_>, at: usize) -> Option<Hit> {
    let name = [*seen.chars.get(at)?, *seen.chars.get(at + 1)?];
    if !REGION_NAMES.contains(&name) {
        return None;
    }
    let gap = usize::from(matches!(seen.chars.get(at + 2), Some(' ' | '-')));
    let from = at + 2 + gap;
    if !seen.chars.get(from)?.is_ascii_digit() {
        return None;
    }
    let rest: &[char] = &seen.chars[from..];
    let groups = super::digits::groups(rest, 0)?;
    let number = groups.shaped(&[2, 6, 2])?;
    number.dashed.then_some((Class::Licence, at..from + number.range.end))
}

/// A passport: a letter and eight digits, or `M123A4567`.
pub(super) fn passport(seen: Seen<'_>, at: usize) -> Option<Hit> {
    const LENGTH: usize = 9;
    let letter = seen.chars[at].to_ascii_uppercase();
    let body = seen.chars.get(at + 1..at + LENGTH)?;
    let digit = |at: usize| body[at].is_ascii_digit();
    let rest = [0, 1, 2, 4, 5, 6, 7].into_iter().all(digit);
    let formed = matches!(letter, 'M' | 'S' | 'R' | 'O' | 'D' | 'G' | 'P') && rest;
    let middle = digit(3) || body[3].is_ascii_alphabetic();
    if !(formed && middle) || is_inside(seen.chars, at) || goes_on(seen.chars, at + LENGTH) {
        return None;
    }
    seen.clauses.anywhere(at, Topic::Passport).then_some((Class::Passport, at..at + LENGTH))
}

/// The number of a business.
pub(super) fn business(seen: Seen<'_>, groups: &Groups) -> Option<Hit> {
    if groups.opens.is_some() {
        return None;
    }
    let labelled = seen.clauses.before(groups.start, Topic::Business);
    let written = groups.shaped(&[3, 2, 5]).filter(|number| number.dashed || labelled);
    let number = written.or_else(|| groups.shaped(&[10]).filter(|_| labelled))?;
    is_business(&number).then_some((Class::Business, number.range))
}

fn is_business(number: &Number<'_>) -> bool {
    const WEIGHTS: [u32; 9] = [1, 3, 7, 1, 3, 7, 1, 3, 5];
    let sum: u32 = number.digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    let sum = sum + u32::from(number.digits[8]) * 5 / 10;
    (10 - sum % 10) % 10 == u32::from(number.digits[9])
}
