//! Which precompressed form of a file a client gets (RFC 9110 section 12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A content coding and how its files are named: `app.js` has a sibling `app.js.br`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) name: &'static str,
    pub(super) suffix: &'static str,
}

/// Smallest results first: the order among codings that a client likes equally.
const CODINGS: [Coding; 3] = [
    Coding { name: "br", suffix: ".br" },
    Coding { name: "zstd", suffix: ".zst" },
    Coding { name: "gzip", suffix: ".gz" },
];

/// The codings that a client prefers to none at all, best first. Without the field there are none.
pub(super) fn accepted(fields: &HeaderMap) -> Vec<Coding> {
    let identity = weight(fields, "identity").unwrap_or(0);
    let mut found: Vec<(u16, Coding)> = CODINGS
        .into_iter()
        .filter_map(|coding| {
            let weight = weight(fields, coding.name).or_else(|| weight(fields, "*"))?;
            (weight > 0 && weight >= identity).then_some((weight, coding))
        })
        .collect();
    found.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    found.into_iter().map(|(_, coding)| coding).collect()
}

/// The weight that the client gives a coding by name, in thousandths. Zero where it is malformed.
fn weight(fields: &HeaderMap, name: &str) -> Option<u16> {
    let lists = fields.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).find_map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let coding = parts.next()?;
        let is_meant =
            coding.eq_ignore_ascii_case(name) || (name == "gzip" && coding.eq_ignore_ascii_case("x-gzip"));
        is_meant.then(|| match parts.next() {
            None => 1000,
            Some(weight) => thousandths(weight).unwrap_or(0),
        })
    })
}

/// `q=0.5` is 500.
fn thousandths(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let value = value.trim();
    if !name.trim().eq_ignore_ascii_case("q") || value.len() > 5 {
        return None;
    }
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}
