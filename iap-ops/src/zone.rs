//! Windows of the calendar.

use iap_apm::Window;
use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, Zoned};

use crate::holidays::is_holiday;
use crate::question::AskedTime;

/// The zone that windows are printed in unless another one is set.
pub(crate) const SEOUL: &str = "Asia/Seoul";

/// A time zone by name.
#[derive(Debug, Clone)]
pub struct Zone {
    pub(crate) zone: TimeZone,
    name: String,
}

impl Default for Zone {
    fn default() -> Self {
        // Korea has had no summer time since 1988, so the offset serves where no zone data is installed.
        let zone = TimeZone::get(SEOUL).unwrap_or_else(|_| TimeZone::fixed(Offset::constant(9)));
        Self { zone, name: SEOUL.to_owned() }
    }
}

impl Zone {
    /// A zone of the IANA database; `None` when the name is not in it.
    pub fn named(name: &str) -> Option<Self> {
        Some(Self { zone: TimeZone::get(name).ok()?, name: name.to_owned() })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A second with the offset: `2026-11-25T13:00:00+09:00`.
    pub fn print(&self, us: u64) -> String {
        self.zoned(us).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// A minute: `2026-11-25 13:00`.
    pub fn minute(&self, us: u64) -> String {
        self.zoned(us).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// A date (its beginning) or a time with an offset, as Unix microseconds.
    pub(crate) fn parse(&self, text: &str) -> Option<u64> {
        let us = match text.parse::<jiff::civil::Date>() {
            Ok(date) if !text.contains([':', 'T']) => date.to_zoned(self.zone.clone()).ok()?.timestamp(),
            _ => text.parse::<Timestamp>().ok()?,
        };
        u64::try_from(us.as_microsecond()).ok()
    }

    /// Whether a moment is on a Sunday or, in Korea, on a public holiday.
    pub(crate) fn is_day_off(&self, us: u64) -> bool {
        self.is_off(&self.zoned(us))
    }

    fn is_off(&self, day: &Zoned) -> bool {
        day.weekday() == Weekday::Sunday || (self.name == SEOUL && is_holiday(day.date()))
    }

    fn zoned(&self, us: u64) -> Zoned {
        let second = Timestamp::from_second((us / 1_000_000) as i64).unwrap_or(Timestamp::MAX);
        second.to_zoned(self.zone.clone())
    }

    /// The window of a time, and whether it ends now; `None` for one that is not understood.
    pub(crate) fn window(&self, time: AskedTime, now_ms: u64) -> Option<(Window, bool)> {
        // One more millisecond, so that what just began is in it.
        let end_us = (now_ms + 1) * 1_000;
        let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?.to_zoned(self.zone.clone());
        let days = |span: Span| now.checked_sub(span).ok();
        let monday = |weeks: i64| {
            let since = i64::from(now.weekday().to_monday_zero_offset());
            days(Span::new().days(since + 7 * weeks))
        };
        let first = |months: i64| now.first_of_month().ok()?.checked_add(Span::new().months(months)).ok();
        let until_now = |from: Zoned| Some((Window::new(midnight(&from)?, end_us), true));
        let between = |from: Zoned, to: Zoned| Some((Window::new(midnight(&from)?, midnight(&to)?), false));
        match time {
            AskedTime::Last { length_us } => Some((Window::last(length_us, end_us), true)),
            AskedTime::Today => until_now(now),
            AskedTime::Yesterday => between(now.yesterday().ok()?, now.clone()),
            AskedTime::DayBeforeYesterday => between(days(Span::new().days(2))?, now.yesterday().ok()?),
            AskedTime::ThisWeek => until_now(monday(0)?),
            AskedTime::LastWeek => between(monday(1)?, monday(0)?),
            AskedTime::ThisMonth => until_now(first(0)?),
            AskedTime::LastMonth => between(first(-1)?, first(0)?),
            AskedTime::NextWeek => between(monday(-1)?, monday(-2)?),
            AskedTime::NextMonth => between(first(1)?, first(2)?),
            AskedTime::LastBusinessDay => {
                // No row of days off is longer than that.
                let back = (1..=20).filter_map(|back| days(Span::new().days(back)));
                let works = |day: &Zoned| day.weekday() != Weekday::Saturday && !self.is_off(day);
                let day = back.into_iter().find(works)?;
                between(day.clone(), day.tomorrow().ok()?)
            }
            AskedTime::Weekday { weekday, weeks_back } => {
                let today = i64::from(now.weekday().to_monday_one_offset());
                let back = match weeks_back {
                    Some(weeks) => today - i64::from(weekday) + 7 * i64::from(weeks),
                    None => (today - i64::from(weekday) - 1).rem_euclid(7) + 1,
                };
                match back {
                    0 => until_now(now),
                    1.. => {
                        let day = days(Span::new().days(back))?;
                        between(day.clone(), day.tomorrow().ok()?)
                    }
                    // A day of this week that is still to come.
                    _ => None,
                }
            }
            AskedTime::NotUnderstood => None,
        }
    }

    /// The two windows of a comparison, the later one first, as long as each other where one ends now.
    pub(crate) fn two(
        &self,
        time: AskedTime,
        other: Option<AskedTime>,
        now_ms: u64,
    ) -> Option<(Window, Window)> {
        let (later, earlier) = match (time, other) {
            (AskedTime::Today | AskedTime::Yesterday, None) => (AskedTime::Today, AskedTime::Yesterday),
            (AskedTime::LastWeek | AskedTime::ThisWeek, None) => (AskedTime::ThisWeek, AskedTime::LastWeek),
            (AskedTime::LastMonth | AskedTime::ThisMonth, None) => {
                (AskedTime::ThisMonth, AskedTime::LastMonth)
            }
            (AskedTime::Last { length_us }, None) => {
                let (window, _) = self.window(time, now_ms)?;
                return Some((window, Window::last(length_us, window.from_us)));
            }
            (other, None) => (AskedTime::Today, other),
            (one, Some(other)) => (one, other),
        };
        let (a, a_now) = self.window(later, now_ms)?;
        let (b, b_now) = self.window(earlier, now_ms)?;
        let ((a, a_now), b) = if a.from_us >= b.from_us { ((a, a_now), b) } else { ((b, b_now), a) };
        // The same part of both: half a day is not compared with a whole one.
        let earlier = if a_now { Window::new(b.from_us, b.to_us.min(b.from_us + a.length_us())) } else { b };
        Some((a, earlier))
    }
}

pub(crate) fn midnight(day: &Zoned) -> Option<u64> {
    let midnight = day.start_of_day().ok()?.timestamp().as_microsecond();
    Some(u64::try_from(midnight).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, Zone};
    use crate::question::Question;

    /// Wednesday, 2026-11-25, 13:00 in Seoul.
    const NOW_MS: u64 = 1_795_579_200_000;

    #[test]
    fn windows_are_those_of_the_calendar() {
        let zone = Zone::default();
        for (text, from, to) in [
            ("지난달 장애", "2026-10-01 00:00", "2026-11-01 00:00"),
            ("지난주 장애", "2026-11-16 00:00", "2026-11-23 00:00"),
            ("이번 주 월요일 장애", "2026-11-23 00:00", "2026-11-24 00:00"),
            ("지난주 화요일 장애", "2026-11-17 00:00", "2026-11-18 00:00"),
            ("failures last wednesday", "2026-11-18 00:00", "2026-11-19 00:00"),
            ("failures last monday", "2026-11-23 00:00", "2026-11-24 00:00"),
            ("failures on the last business day", "2026-11-24 00:00", "2026-11-25 00:00"),
            ("the day before yesterday", "2026-11-23 00:00", "2026-11-24 00:00"),
            ("이번 달 장애", "2026-11-01 00:00", "2026-11-25 13:00"),
            ("다음 달 용량", "2026-12-01 00:00", "2027-01-01 00:00"),
            ("traffic next week", "2026-11-30 00:00", "2026-12-07 00:00"),
        ] {
            let (window, _) = zone.window(Question::read(text).time, NOW_MS).expect("a window");
            assert_eq!(
                (zone.minute(window.from_us), zone.minute(window.to_us)),
                (from.into(), to.into()),
                "{text}"
            );
        }
        // Monday after Chuseok, which fell on Friday; Thursday before it was off, too.
        let monday_ms = "2026-09-28T04:00:00Z".parse::<Timestamp>().expect("a time").as_millisecond();
        let asked = Question::read("last business day").time;
        let (window, _) = zone.window(asked, monday_ms as u64).expect("a window");
        assert_eq!(zone.minute(window.from_us), "2026-09-23 00:00");
        assert!(zone.window(Question::read("이번 주 금요일 장애").time, NOW_MS).is_none(), "still to come");
    }

    #[test]
    fn the_same_part_of_two_periods_is_compared() {
        let zone = Zone::default();
        for (text, first, second) in [
            ("어제와 비교", "2026-11-25 00:00", "2026-11-24 13:00"),
            ("오늘과 어제 비교", "2026-11-25 00:00", "2026-11-24 13:00"),
            ("compare with last week", "2026-11-23 00:00", "2026-11-18 13:00"),
            ("compare the last hour with the one before", "2026-11-25 12:00", "2026-11-25 12:00"),
        ] {
            let question = Question::read(text);
            let (later, earlier) = zone.two(question.time, question.other_time, NOW_MS).expect("windows");
            assert_eq!(
                (zone.minute(later.from_us), zone.minute(earlier.to_us)),
                (first.into(), second.into()),
                "{text}"
            );
        }
    }
}
