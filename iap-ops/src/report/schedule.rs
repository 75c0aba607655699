//! When reports are made by themselves.

use iap_apm::Window;
use jiff::civil::Time;
use jiff::{Span, Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use super::ReportKind;
use crate::question::Language;
use crate::zone::{Zone, midnight};

/// What a report of a schedule is about: the last whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight; each day.
    Day,
    /// From Monday to Sunday; on Mondays.
    Week,
    /// A month of the calendar; on its first day.
    Month,
}

/// A report that is made again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its name, and the beginning of its files'.
    pub name: String,
    /// What it is for.
    pub kind: ReportKind,
    /// What it is about.
    pub period: Period,
    /// The hour and minute from which on it is made, in the zone.
    pub at: (u8, u8),
    /// Its language.
    pub language: Language,
}

/// A report that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Since when, in Unix microseconds.
    pub since_us: u64,
    /// What it is about.
    pub window: Window,
    /// The day that it belongs to: `2026-11-25`.
    pub day: String,
}

impl Schedule {
    /// The last time that the report was due, whether or not it was made. `None` beyond the calendar.
    pub fn due(&self, zone: &Zone, now_ms: u64) -> Option<Due> {
        let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?.to_zoned(zone.zone.clone());
        let first = self.begins(&now)?;
        let due = match self.on(&first)? {
            due if due <= now => due,
            _ => self.on(&first.checked_sub(self.length()).ok()?)?,
        };
        let end = self.begins(&due)?;
        let window = Window::new(midnight(&end.checked_sub(self.length()).ok()?)?, midnight(&end)?);
        let since_us = u64::try_from(due.timestamp().as_microsecond()).ok()?;
        Some(Due { since_us, window, day: due.strftime("%Y-%m-%d").to_string() })
    }

    /// The first day of the period that `day` is in.
    fn begins(&self, day: &Zoned) -> Option<Zoned> {
        match self.period {
            Period::Day => Some(day.clone()),
            Period::Week => {
                let since = i64::from(day.weekday().to_monday_zero_offset());
                day.checked_sub(Span::new().days(since)).ok()
            }
            Period::Month => day.first_of_month().ok(),
        }
    }

    fn length(&self) -> Span {
        match self.period {
            Period::Day => Span::new().days(1),
            Period::Week => Span::new().days(7),
            Period::Month => Span::new().months(1),
        }
    }

    /// The time of day on a day.
    fn on(&self, day: &Zoned) -> Option<Zoned> {
        let time = Time::new(i8::try_from(self.at.0).ok()?, i8::try_from(self.at.1).ok()?, 0, 0).ok()?;
        day.date().to_datetime(time).to_zoned(day.time_zone().clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Period, Schedule};
    use crate::question::Language;
    use crate::report::ReportKind;
    use crate::zone::Zone;

    /// Wednesday, 2026-11-25, 13:00 in Seoul.
    const NOW_MS: u64 = 1_795_579_200_000;
    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn reports_are_about_the_last_whole_period() {
        let zone = Zone::default();
        for (period, at, after_days, day, from, to) in [
            (Period::Day, (8, 30), 0, "2026-11-25", "2026-11-24 00:00", "2026-11-25 00:00"),
            (Period::Day, (13, 0), 0, "2026-11-25", "2026-11-24 00:00", "2026-11-25 00:00"),
            (Period::Day, (13, 1), 0, "2026-11-24", "2026-11-23 00:00", "2026-11-24 00:00"),
            (Period::Week, (8, 0), 0, "2026-11-23", "2026-11-16 00:00", "2026-11-23 00:00"),
            (Period::Week, (14, 0), 5, "2026-11-23", "2026-11-16 00:00", "2026-11-23 00:00"),
            (Period::Week, (12, 0), 5, "2026-11-30", "2026-11-23 00:00", "2026-11-30 00:00"),
            (Period::Month, (8, 0), 0, "2026-11-01", "2026-10-01 00:00", "2026-11-01 00:00"),
            (Period::Month, (8, 0), 6, "2026-12-01", "2026-11-01 00:00", "2026-12-01 00:00"),
            (Period::Month, (14, 0), 6, "2026-11-01", "2026-10-01 00:00", "2026-11-01 00:00"),
        ] {
            let (name, kind) = ("r".to_owned(), ReportKind::Executive);
            let schedule = Schedule { name, kind, period, at, language: Language::Korean };
            let due = schedule.due(&zone, NOW_MS + after_days * DAY_MS).expect("a time");
            let window = (zone.minute(due.window.from_us), zone.minute(due.window.to_us));
            assert_eq!((due.day.as_str(), window), (day, (from.into(), to.into())), "{period:?} {at:?}");
            let since = format!("{day} {:02}:{:02}", at.0, at.1);
            assert_eq!(zone.minute(due.since_us), since);
        }
    }
}
