//! Byte ranges (RFC 9110 section 14).

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

/// More ranges than this are an attack or a mistake: the whole file is sent instead.
const MAX_RANGES: usize = 16;

/// What of a file is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: there is no `Range`, or one that is not understood or not worth it.
    Whole,
    /// These bytes, in the order asked for; at least one range, none empty, all within the file.
    Parts(Vec<Range<u64>>),
    /// Nothing that the file has: 416.
    Unsatisfiable,
}

/// Reads the `Range` of a request for a file of `length` bytes.
///
/// Ranges that together are longer than the file, as overlapping ones can be, select the whole of it:
/// a small request must not cause a large answer.
pub(super) fn select(fields: &HeaderMap, length: u64) -> Selection {
    let mut values = fields.get_all(RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Selection::Whole };
    let ranges = value.to_str().ok().and_then(|text| parse(text, length));
    // No `Content-Range` can say that an empty part was sent.
    let Some(ranges) = ranges.filter(|_| length > 0) else { return Selection::Whole };
    if ranges.is_empty() {
        return Selection::Unsatisfiable;
    }
    let sum = ranges.iter().fold(0_u64, |sum, range| sum.saturating_add(range.end - range.start));
    if sum > length { Selection::Whole } else { Selection::Parts(ranges) }
}

/// The satisfiable ranges; `None` where the field is not understood and so to be ignored.
fn parse(text: &str, length: u64) -> Option<Vec<Range<u64>>> {
    let (unit, list) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (mut ranges, mut seen) = (Vec::new(), 0);
    for spec in list.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()) {
        seen += 1;
        if seen > MAX_RANGES {
            return None;
        }
        let (first, last) = spec.split_once('-')?;
        let range = match (number(first)?, number(last)?) {
            (None, None) => return None,
            (None, Some(suffix)) => length.saturating_sub(suffix)..length,
            (Some(first), None) => first..length,
            (Some(first), Some(last)) if first > last => return None,
            (Some(first), Some(last)) => first..last.saturating_add(1).min(length),
        };
        if range.start < range.end {
            ranges.push(range);
        }
    }
    (seen > 0).then_some(ranges)
}

/// A number, or none where there is nothing. One that is too large is beyond every file.
fn number(text: &str) -> Option<Option<u64>> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
}
