//! Times, durations and sizes as people read them.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A duration in microseconds, with three digits or so.
pub(super) fn duration(us: u64) -> String {
    let of = |unit: u64| us as f64 / unit as f64;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", digits(of(1_000))),
        1_000_000..60_000_000 => format!("{} s", digits(of(1_000_000))),
        _ => span(us / 1_000_000),
    }
}

/// Whole seconds, in the two largest units.
pub(super) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} m {:02} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {:02} m", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

/// Three digits, or as many as there are before the point.
pub(super) fn digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// A number of bytes.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, size)| count >= *size);
    unit.map_or_else(
        || format!("{count} B"),
        |(name, size)| format!("{} {name}", digits(count as f64 / *size as f64)),
    )
}

/// A moment in the zone of this machine, with month and day where it is another day than today.
pub(super) fn moment(us: u64) -> String {
    let Some(at) = zoned(us) else { return String::new() };
    match at.date() == Zoned::now().date() {
        true => at.strftime("%H:%M:%S%.3f").to_string(),
        false => at.strftime("%m-%d %H:%M:%S").to_string(),
    }
}

/// A moment in full, with its offset.
pub(super) fn full_moment(us: u64) -> String {
    zoned(us).map(|at| at.strftime("%Y-%m-%d %H:%M:%S%.3f %:z").to_string()).unwrap_or_default()
}

fn zoned(us: u64) -> Option<Zoned> {
    let at = Timestamp::from_microsecond(i64::try_from(us).ok()?).ok()?;
    Some(at.to_zoned(TimeZone::system()))
}

#[cfg(test)]
mod tests;
