//! Dates as text (ISO 8601, in UTC).
#![cfg_attr(not(feature = "redis"), allow(dead_code))] // Some is only needed for sources in Redis.

/// A time as `2026-01-31T12:00:00.000Z`; `None` outside of the years 0 to 9999.
pub(super) fn iso(unix_ms: i64) -> Option<String> {
    let (days, ms) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000))
}

/// Reads what [`iso`] writes, and JavaScript's `Date.toISOString`, in Unix milliseconds.
pub(super) fn from_iso(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.split(':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let valid = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !valid || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let fraction = number(format!("{fraction:0<3}").get(..3)?)?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    u64::try_from(seconds * 1000 + fraction).ok()
}

/// Milliseconds of a day of the year (1 to 366), for dates that count so.
pub(super) fn from_ordinal(year: i64, ordinal: i64, seconds: i64, millis: i64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=366).contains(&ordinal) {
        return None;
    }
    let days = days_from_civil(year, 1, 1) + ordinal - 1;
    u64::try_from((days * 86_400).checked_add(seconds)?.checked_mul(1000)?.checked_add(millis)?).ok()
}

/// Days since 1970 of a date, in years that begin with March so that the leap day is the last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso(ms).as_deref(), Some(text));
            assert_eq!(from_iso(text), u64::try_from(ms).ok());
        }
        assert_eq!(iso(-1).as_deref(), Some("1969-12-31T23:59:59.999Z"));
        assert_eq!(iso(i64::MAX), None);
        assert_eq!(from_iso("2026-13-01T00:00:00.000Z"), None);
        assert_eq!(from_iso("nonsense"), None);
        assert_eq!(from_ordinal(2000, 60, 0, 123), Some(951_782_400_123));
    }
}
