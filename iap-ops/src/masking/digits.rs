//! Groups of digits as numbers are written in.

use std::ops::Range;

/// Groups that are looked at, and digits of one.
const MAX_GROUPS: usize = 5;
const MAX_DIGITS: usize = 19;

/// Digits, in groups with one separator between two.
pub(super) struct Groups {
    /// Where it begins, with `(` or `+82`.
    pub(super) start: usize,
    /// What stands before the first digit: `(`, `+` or nothing.
    pub(super) opens: Option<char>,
    /// The groups; each but the first with its separator.
    groups: Vec<(Option<char>, Range<usize>)>,
    digits: Vec<u8>,
    /// Where a number may end: after so many groups.
    ends: Vec<bool>,
}

/// A number of some of the first groups.
pub(super) struct Number<'a> {
    /// Its digits.
    pub(super) digits: &'a [u8],
    /// Whether it is written with separators.
    pub(super) separated: bool,
    /// Whether all of its separators are dashes.
    pub(super) dashed: bool,
    /// Its characters.
    pub(super) range: Range<usize>,
}

/// The groups that begin at a character, unless that is within a word or another number.
pub(super) fn groups(chars: &[char], start: usize) -> Option<Groups> {
    let opens = Some(chars[start]).filter(|c| !c.is_ascii_digit());
    let mut at = start + usize::from(opens.is_some());
    if is_inside(chars, start) || !chars.get(at)?.is_ascii_digit() {
        return None;
    }
    let mut out = Groups { start, opens, groups: Vec::new(), digits: Vec::new(), ends: Vec::new() };
    let mut separator = None;
    while out.groups.len() < MAX_GROUPS {
        let length = chars[at..].iter().take(MAX_DIGITS + 1).take_while(|c| c.is_ascii_digit()).count();
        if length > MAX_DIGITS {
            break;
        }
        let end = at + length;
        out.digits.extend(chars[at..end].iter().map(|c| *c as u8 - b'0'));
        out.groups.push((separator, at..end));
        out.ends.push(!goes_on(chars, end));
        // `)` may be followed by a space or a dash.
        let (c, next) = (chars.get(end).copied(), chars.get(end + 1).copied());
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        at = match (c, next) {
            (Some('-' | ' ' | '.' | ')'), _) if digit(next) => end + 1,
            (Some(')'), Some(' ' | '-')) if digit(chars.get(end + 2).copied()) => end + 2,
            _ => break,
        };
        separator = c;
    }
    (!out.groups.is_empty()).then_some(out)
}

/// Whether a word, a number or an id goes on across this place.
pub(super) fn is_inside(chars: &[char], start: usize) -> bool {
    let before = |back: usize| start.checked_sub(back).map(|at| chars[at]);
    match (before(1), before(2)) {
        (Some(c), _) if c.is_ascii_alphanumeric() || c == '_' => true,
        (Some('.'), Some(c)) => c.is_ascii_alphanumeric(),
        (Some('-'), Some(c)) => c.is_ascii_alphanumeric() && !is_word(chars, start - 1),
        _ => false,
    }
}

/// Whether a plain word ends at a place, as in `tel-010-1234-5678`, and no part of an id.
fn is_word(chars: &[char], end: usize) -> bool {
    const MAX: usize = 16;
    let word = || chars[..end].iter().rev().take(MAX).take_while(|c| c.is_ascii_alphanumeric());
    word().all(char::is_ascii_alphabetic) && !word().all(char::is_ascii_hexdigit)
}

/// The same for an end.
pub(super) fn goes_on(chars: &[char], end: usize) -> bool {
    match (chars.get(end), chars.get(end + 1)) {
        (Some(c), _) if c.is_ascii_alphanumeric() || *c == '_' => true,
        (Some('-'), Some(next)) => next.is_ascii_alphanumeric(),
        (Some('.'), Some(next)) => next.is_ascii_digit(),
        _ => false,
    }
}

impl Groups {
    /// The first groups, if they have these lengths and the number may end there.
    pub(super) fn shaped(&self, lengths: &[usize]) -> Option<Number<'_>> {
        let fits = self.groups.iter().zip(lengths).all(|((_, group), length)| group.len() == *length);
        if self.groups.len() < lengths.len() || !fits {
            return None;
        }
        self.first(lengths.len())
    }

    /// So many of the first groups, if the number may end there.
    pub(super) fn first(&self, count: usize) -> Option<Number<'_>> {
        if count == 0 || count > self.groups.len() || !self.ends[count - 1] {
            return None;
        }
        let groups = &self.groups[..count];
        let digits = groups.iter().map(|(_, group)| group.len()).sum();
        let separators = || groups.iter().skip(1).map(|(separator, _)| *separator);
        Some(Number {
            digits: &self.digits[..digits],
            separated: count > 1,
            dashed: separators().all(|separator| separator == Some('-')),
            range: self.start..groups[count - 1].1.end,
        })
    }

    /// The first group that is not of digits only is none: whether there is just one group before the end.
    pub(super) fn whole(&self) -> Option<Number<'_>> {
        self.first(1)
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The separator before a group.
    pub(super) fn separator(&self, group: usize) -> Option<char> {
        self.groups.get(group).and_then(|(separator, _)| *separator)
    }
}
