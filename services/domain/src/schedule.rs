//! When a subscriber's digest is due.
//!
//! A slot is the moment a local clock shows the chosen time. Where daylight saving skips that time, the slot is the same
//! time shifted by the gap; where it repeats, the first of the two. It never reads a clock.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The days on which a digest is due, by the local calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frequency {
    /// Every day.
    #[default]
    Daily,
    /// Monday to Friday.
    Weekdays,
    /// One day a week.
    Weekly(Weekday),
}

/// Days, local time of day and IANA time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    frequency: Frequency,
    time: Time,
    zone: TimeZone,
    zone_name: String,
}

/// An invalid schedule.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScheduleError {
    /// Not a time of day.
    #[error("time is {0:?}; it must be a time of day from 00:00 to 23:59, such as 07:30")]
    Time(String),
    /// Not a time zone.
    #[error("time zone is {0:?}; it must be a name from the IANA time zone database, such as Europe/Berlin or UTC")]
    Zone(String),
}

impl Schedule {
    /// Parses `HH:MM` and an IANA name; daily.
    pub fn parse(time: &str, zone: &str) -> Result<Self, ScheduleError> {
        let wrong_time = || ScheduleError::Time(crate::text::shorten(time));
        let (hour, minute) = time.split_once(':').ok_or_else(wrong_time)?;
        let number = |s: &str| (s.len() == 2).then(|| s.parse::<i8>().ok()).flatten();
        let (hour, minute) = number(hour).zip(number(minute)).ok_or_else(wrong_time)?;
        let parsed = Time::new(hour, minute, 0, 0).map_err(|_| wrong_time())?;
        let known = TimeZone::get(zone).map_err(|_| ScheduleError::Zone(crate::text::shorten(zone)))?;
        Ok(Self {
            frequency: Frequency::Daily,
            time: parsed,
            zone: known,
            zone_name: zone.to_owned(),
        })
    }

    /// The time as `HH:MM`.
    pub fn time(&self) -> String {
        format!("{:02}:{:02}", self.time.hour(), self.time.minute())
    }

    /// The IANA name.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The same schedule with another frequency.
    #[must_use]
    pub fn on(mut self, frequency: Frequency) -> Self {
        self.frequency = frequency;
        self
    }

    /// The days.
    pub fn frequency(&self) -> Frequency {
        self.frequency
    }

    /// The latest slot at or before `now`: the one a digest sent now belongs to.
    pub fn current_slot(&self, now: Timestamp) -> Timestamp {
        let slots = (0..=WEEK).map(|days| self.slot_on(now, -days));
        slots.flatten().find(|slot| *slot <= now).unwrap_or(Timestamp::MIN)
    }

    /// The first slot after `now`.
    pub fn next_slot(&self, now: Timestamp) -> Timestamp {
        // The day before, too: a skipped hour can shift a slot over midnight.
        let slots = (-1..=WEEK).map(|days| self.slot_on(now, days));
        slots.flatten().find(|slot| *slot > now).unwrap_or(Timestamp::MAX)
    }

    /// The date of a moment by the local calendar.
    pub fn local_date(&self, at: Timestamp) -> Date {
        at.to_zoned_datetime(self.zone.clone()).date()
    }

    /// The slot this many days from now, by the local calendar; `None` where that day has no digest.
    fn slot_on(&self, now: Timestamp, offset_days: i64) -> Option<Timestamp> {
        let today = now.to_zoned_datetime(self.zone.clone()).date();
        let date = today.saturating_add(offset_days.days());
        if !self.frequency.includes(date) {
            return None;
        }
        // The compatible strategy of RFC 5545: gaps shift forwards, folds take the first.
        let slot = self.zone.to_ambiguous_timestamp(date.to_datetime(self.time));
        slot.compatible().ok()
    }
}

impl Frequency {
    fn includes(self, date: Date) -> bool {
        match self {
            Self::Daily => true,
            Self::Weekdays => !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday),
            Self::Weekly(day) => date.weekday() == day,
        }
    }
}

/// Days within which every frequency has a slot, plus one for a slot that shifts over midnight.
const WEEK: i64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn slots_follow_the_local_clock() {
        let schedule = Schedule::parse("07:30", "Europe/Berlin").expect("a schedule");
        assert_eq!(
            schedule.next_slot(at("2026-01-10T00:00:00Z")),
            at("2026-01-10T06:30:00Z")
        );
        assert_eq!(
            schedule.next_slot(at("2026-07-10T00:00:00Z")),
            at("2026-07-10T05:30:00Z")
        );
        assert_eq!(
            schedule.current_slot(at("2026-01-10T06:30:00Z")),
            at("2026-01-10T06:30:00Z")
        );
        assert_eq!(
            schedule.next_slot(at("2026-01-10T06:30:00Z")),
            at("2026-01-11T06:30:00Z")
        );
        assert_eq!(
            schedule.current_slot(at("2026-01-10T06:29:59Z")),
            at("2026-01-09T06:30:00Z")
        );
    }

    #[test]
    fn a_skipped_hour_shifts_and_a_repeated_one_counts_once() {
        let schedule = Schedule::parse("02:30", "Europe/Berlin").expect("a schedule");
        assert_eq!(
            schedule.next_slot(at("2026-03-29T00:00:00Z")),
            at("2026-03-29T01:30:00Z")
        );
        let first = schedule.next_slot(at("2026-10-24T22:00:00Z"));
        assert_eq!(first, at("2026-10-25T00:30:00Z"));
        assert_eq!(schedule.next_slot(first), at("2026-10-26T01:30:00Z"));
    }

    #[test]
    fn weekdays_and_weeks_go_by_the_local_calendar() {
        let weekdays = Schedule::parse("07:00", "Asia/Tokyo")
            .expect("a schedule")
            .on(Frequency::Weekdays);
        // Friday evening in UTC is Saturday in Tokyo.
        assert_eq!(
            weekdays.next_slot(at("2026-11-20T22:30:00Z")),
            at("2026-11-22T22:00:00Z")
        );
        assert_eq!(
            weekdays.current_slot(at("2026-11-22T10:00:00Z")),
            at("2026-11-19T22:00:00Z")
        );
        let weekly = Schedule::parse("07:00", "UTC")
            .expect("a schedule")
            .on(Frequency::Weekly(Weekday::Monday));
        assert_eq!(weekly.next_slot(at("2026-11-23T07:00:00Z")), at("2026-11-30T07:00:00Z"));
        assert_eq!(
            weekly.current_slot(at("2026-11-23T06:59:59Z")),
            at("2026-11-16T07:00:00Z")
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "7", "24:00", "07:60", "7:30", "ab:cd"] {
            assert!(
                matches!(Schedule::parse(bad, "UTC"), Err(ScheduleError::Time(_))),
                "{bad}"
            );
        }
        assert!(matches!(
            Schedule::parse("07:00", "Mars/Olympus"),
            Err(ScheduleError::Zone(_))
        ));
    }
}
