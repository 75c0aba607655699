//! Public holidays of Korea: those of fixed days, of the lunar calendar, elections that are known, and the days in their place.
//!
//! The dates are those that the Python package `holidays` 0.109 has, by the Act on Public Holidays and its decree. Beyond the last
//! year of the table no day counts as one.

use jiff::civil::Date;

/// By year, as month and day: `1225`.
const DAYS: [(i16, &[i16]); 12] = [
    (
        2024,
        &[101, 209, 210, 211, 212, 301, 410, 505, 506, 515, 606, 815, 916, 917, 918, 1001, 1003, 1009, 1225],
    ),
    (
        2025,
        &[
            101, 127, 128, 129, 130, 301, 303, 505, 506, 603, 606, 815, 1003, 1005, 1006, 1007, 1008, 1009,
            1225,
        ],
    ),
    (
        2026,
        &[
            101, 216, 217, 218, 301, 302, 501, 505, 524, 525, 603, 606, 717, 815, 817, 924, 925, 926, 1003,
            1005, 1009, 1225,
        ],
    ),
    (
        2027,
        &[
            101, 206, 207, 208, 209, 301, 501, 503, 505, 513, 606, 717, 719, 815, 816, 914, 915, 916, 1003,
            1004, 1009, 1011, 1225, 1227,
        ],
    ),
    (2028, &[101, 126, 127, 128, 301, 412, 501, 502, 505, 606, 717, 815, 1002, 1003, 1004, 1005, 1009, 1225]),
    (
        2029,
        &[
            101, 212, 213, 214, 301, 501, 505, 507, 520, 521, 606, 717, 815, 921, 922, 923, 924, 1003, 1009,
            1225,
        ],
    ),
    (
        2030,
        &[
            101, 202, 203, 204, 205, 301, 327, 501, 505, 506, 509, 606, 612, 717, 815, 911, 912, 913, 1003,
            1009, 1225,
        ],
    ),
    (2031, &[101, 122, 123, 124, 301, 303, 501, 505, 528, 606, 717, 815, 930, 1001, 1002, 1003, 1009, 1225]),
    (
        2032,
        &[
            101, 210, 211, 212, 301, 414, 501, 503, 505, 516, 517, 606, 717, 719, 815, 816, 918, 919, 920,
            921, 1003, 1004, 1009, 1011, 1225, 1227,
        ],
    ),
    (
        2033,
        &[
            101, 130, 131, 201, 202, 301, 501, 502, 505, 506, 606, 717, 718, 815, 907, 908, 909, 1003, 1009,
            1010, 1225, 1226,
        ],
    ),
    (
        2034,
        &[101, 218, 219, 220, 221, 301, 501, 505, 525, 531, 606, 717, 815, 926, 927, 928, 1003, 1009, 1225],
    ),
    (
        2035,
        &[
            101, 207, 208, 209, 301, 328, 501, 505, 507, 515, 606, 717, 815, 915, 916, 917, 918, 1003, 1009,
            1225,
        ],
    ),
];

/// Whether a day is a public holiday.
pub(crate) fn is_holiday(day: Date) -> bool {
    let year = DAYS.binary_search_by_key(&day.year(), |(year, _)| *year);
    let wanted = i16::from(day.month()) * 100 + i16::from(day.day());
    year.is_ok_and(|at| DAYS[at].1.binary_search(&wanted).is_ok())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn days_of_both_calendars_and_those_in_their_place_are_known() {
        // Seollal, Chuseok and Buddha's birthday move; the third has a day in its place.
        for day in
            [date(2026, 2, 17), date(2026, 9, 25), date(2026, 5, 25), date(2027, 2, 7), date(2025, 10, 6)]
        {
            assert!(is_holiday(day), "{day}");
        }
        for day in [date(2026, 2, 19), date(2026, 12, 24), date(2099, 12, 25)] {
            assert!(!is_holiday(day), "{day}");
        }
        assert!(DAYS.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "searched by year");
        assert!(DAYS.iter().all(|(_, days)| days.is_sorted()), "and by day");
    }
}
