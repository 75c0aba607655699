//! Units, in Korean and English, and what they are called here.

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// Things: whatever has no other unit.
    Count,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
    Days,
    Percent,
    PerSecond,
    Times,
    Bytes,
    Kibibytes,
    Mebibytes,
    Gibibytes,
    /// `2026년`.
    Year,
    /// `11월`.
    Month,
    /// `25일`.
    Day,
    /// `13시`.
    Clock,
    /// `1 pm`: the findings have no such times.
    Hour12,
    /// `1.2k`, `3만`: the findings have no such numbers.
    Large,
}

/// Longer ones first where one begins with another.
const UNITS: &[(&str, Unit)] = &[
    ("requests per second", Unit::PerSecond),
    ("requests a second", Unit::PerSecond),
    ("requests/s", Unit::PerSecond),
    ("req/s", Unit::PerSecond),
    ("per second", Unit::PerSecond),
    ("a second", Unit::PerSecond),
    ("건/초", Unit::PerSecond),
    ("/초", Unit::PerSecond),
    ("/s", Unit::PerSecond),
    ("rps", Unit::PerSecond),
    ("tps", Unit::PerSecond),
    ("microseconds", Unit::Microseconds),
    ("마이크로초", Unit::Microseconds),
    ("μs", Unit::Microseconds),
    ("us", Unit::Microseconds),
    ("milliseconds", Unit::Milliseconds),
    ("millisecond", Unit::Milliseconds),
    ("밀리초", Unit::Milliseconds),
    ("msec", Unit::Milliseconds),
    ("ms", Unit::Milliseconds),
    ("seconds", Unit::Seconds),
    ("second", Unit::Seconds),
    ("secs", Unit::Seconds),
    ("sec", Unit::Seconds),
    ("초", Unit::Seconds),
    ("s", Unit::Seconds),
    ("minutes", Unit::Minutes),
    ("minute", Unit::Minutes),
    ("mins", Unit::Minutes),
    ("min", Unit::Minutes),
    ("분", Unit::Minutes),
    ("hours", Unit::Hours),
    ("hour", Unit::Hours),
    ("시간", Unit::Hours),
    ("h", Unit::Hours),
    ("days", Unit::Days),
    ("day", Unit::Days),
    ("percent", Unit::Percent),
    ("per cent", Unit::Percent),
    ("퍼센트", Unit::Percent),
    ("프로", Unit::Percent),
    ("%", Unit::Percent),
    ("times", Unit::Times),
    ("×", Unit::Times),
    ("배", Unit::Times),
    ("x", Unit::Times),
    ("KiB", Unit::Kibibytes),
    ("MiB", Unit::Mebibytes),
    ("GiB", Unit::Gibibytes),
    ("bytes", Unit::Bytes),
    ("바이트", Unit::Bytes),
    ("B", Unit::Bytes),
    ("년", Unit::Year),
    ("월", Unit::Month),
    ("일", Unit::Day),
    ("시", Unit::Clock),
    ("a.m.", Unit::Hour12),
    ("p.m.", Unit::Hour12),
    ("am", Unit::Hour12),
    ("pm", Unit::Hour12),
    ("thousand", Unit::Large),
    ("million", Unit::Large),
    ("billion", Unit::Large),
    ("KB", Unit::Large),
    ("MB", Unit::Large),
    ("GB", Unit::Large),
    ("k", Unit::Large),
    ("K", Unit::Large),
    ("M", Unit::Large),
    ("백", Unit::Large),
    ("천", Unit::Large),
    ("만", Unit::Large),
    ("억", Unit::Large),
];

/// The unit at the beginning of a text, and how many characters it takes.
pub(super) fn after(text: &str) -> (Unit, usize) {
    let spaces = usize::from(text.starts_with(' '));
    let rest = &text[spaces..];
    for (name, unit) in UNITS {
        let Some(behind) = rest.strip_prefix(name) else { continue };
        let letters = name.ends_with(|c: char| c.is_ascii_alphabetic());
        // `20 sessions` are no seconds.
        if letters && behind.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        return (*unit, spaces + name.chars().count());
    }
    (Unit::Count, 0)
}

/// Whether a run of letters right behind a number is a unit and nothing else.
pub(super) fn is_joined(run: &str) -> bool {
    let (unit, length) = after(run);
    unit != Unit::Count && length == run.chars().count()
}
