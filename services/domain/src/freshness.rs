//! Whether it is unusual that a source has brought nothing.
//!
//! Sources rest on some days: arXiv announces nothing on Fridays and Saturdays, a small journal nothing for weeks. So a day
//! is held against the same weekday of the weeks before, and silence is late only where it is unusual. It never reads a
//! clock.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Weeks that say what is usual.
pub const WEEKS: i64 = 8;
/// Same weekdays that must have been watched before anything is unusual.
pub const WATCHED_AT_LEAST: usize = 3;
/// Share of them on which something came, from which on it is usual that something comes.
pub const USUAL_SHARE: f64 = 0.75;
/// How long after the latest hour at which the first paper came on such days nothing is called late yet.
pub const GRACE: SignedDuration = SignedDuration::from_hours(2);

/// What a source brought on one day (UTC) on which it was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// The day.
    pub date: Date,
    /// Papers that were new, by the day they came.
    pub papers: u64,
    /// When the first of them came; absent where none did.
    pub first: Option<Timestamp>,
}

/// How fresh a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It was not watched for long enough to tell.
    Unknown,
    /// It brought what it usually brings by now.
    Usual,
    /// By this moment it has usually brought something, and it has not.
    Late {
        /// The moment.
        since: Timestamp,
    },
}

/// Judges a source by the days on which it was watched, in any order, each at most once.
pub fn judge(days: &[Day], now: Timestamp) -> Freshness {
    let today = date_of(now);
    let newest = days.iter().filter(|day| day.papers > 0).map(|day| day.date).max();
    let Some(newest) = newest.filter(|newest| *newest < today) else {
        return if days.iter().any(|day| day.papers > 0) {
            Freshness::Usual
        } else {
            Freshness::Unknown
        };
    };
    let silent = (1..=WEEKS * 7).map(|after| newest.saturating_add(after.days()));
    let mut known = false;
    for date in silent.take_while(|date| *date <= today) {
        let Some(usual) = usual(days, date) else { continue };
        known = true;
        if let Some(since) = usual.expected
            && since < now
        {
            return Freshness::Late { since };
        }
    }
    if known { Freshness::Usual } else { Freshness::Unknown }
}

struct Usual {
    /// By when something has come, where it is usual that something comes.
    expected: Option<Timestamp>,
}

/// What is usual on a date, by the same weekdays before it; nothing where too few were watched.
fn usual(days: &[Day], date: Date) -> Option<Usual> {
    let same = (1..=WEEKS).map(|weeks| date.saturating_sub((weeks * 7).days()));
    let watched: Vec<&Day> = same
        .filter_map(|before| days.iter().find(|day| day.date == before))
        .collect();
    if watched.len() < WATCHED_AT_LEAST {
        return None;
    }
    let full: Vec<&&Day> = watched.iter().filter(|day| day.papers > 0).collect();
    if (full.len() as f64) < USUAL_SHARE * watched.len() as f64 {
        return Some(Usual { expected: None });
    }
    let latest = full
        .iter()
        .filter_map(|day| Some(day.first?.duration_since(start_of(day.date)?)))
        .max();
    let expected = start_of(date).map(|start| start + latest.unwrap_or(SignedDuration::from_hours(24)) + GRACE);
    Some(Usual { expected })
}

/// The day of a moment, UTC.
pub fn date_of(at: Timestamp) -> Date {
    at.to_zoned_datetime(TimeZone::UTC).date()
}

fn start_of(date: Date) -> Option<Timestamp> {
    let midnight = TimeZone::UTC.to_ambiguous_timestamp(date.to_datetime(Time::midnight()));
    midnight.compatible().ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    /// Days up to a date on which papers come at a given hour, on the weekdays that a rule allows.
    fn history(last: &str, days: i64, hour: i64, has: impl Fn(Weekday) -> bool) -> Vec<Day> {
        let last: Date = last.parse().expect("a date");
        let dates = (0..days).map(|before| last.saturating_sub(before.days()));
        let day = |date: Date| {
            let full = has(date.weekday());
            let first = start_of(date).map(|start| start + SignedDuration::from_hours(hour));
            Day {
                date,
                papers: u64::from(full) * 40,
                first: first.filter(|_| full),
            }
        };
        dates.map(day).collect()
    }

    fn is_workday(day: Weekday) -> bool {
        !matches!(day, Weekday::Saturday | Weekday::Sunday)
    }

    #[test]
    fn an_empty_day_is_late_only_where_it_is_unusual() {
        // Watched up to Friday, 2026-03-13.
        let days = history("2026-03-13", 40, 1, is_workday);
        assert_eq!(judge(&days, at("2026-03-13T09:00:00Z")), Freshness::Usual);
        assert_eq!(judge(&days, at("2026-03-15T22:00:00Z")), Freshness::Usual, "a weekend");
        assert_eq!(
            judge(&days, at("2026-03-16T02:59:00Z")),
            Freshness::Usual,
            "within the grace"
        );
        let since = at("2026-03-16T03:00:00Z");
        assert_eq!(judge(&days, at("2026-03-16T03:01:00Z")), Freshness::Late { since });
        assert_eq!(
            judge(&days, at("2026-03-18T23:00:00Z")),
            Freshness::Late { since },
            "and it stays late"
        );
    }

    #[test]
    fn papers_of_today_end_the_silence() {
        let mut days = history("2026-03-13", 40, 1, is_workday);
        let first = Some(at("2026-03-18T12:00:00Z"));
        days.push(Day {
            date: "2026-03-18".parse().expect("a date"),
            papers: 1,
            first,
        });
        assert_eq!(judge(&days, at("2026-03-18T23:00:00Z")), Freshness::Usual);
    }

    #[test]
    fn nothing_is_unusual_before_it_was_watched() {
        assert_eq!(judge(&[], at("2026-03-16T12:00:00Z")), Freshness::Unknown);
        let days = history("2026-03-13", 14, 1, is_workday);
        assert_eq!(judge(&days, at("2026-03-16T12:00:00Z")), Freshness::Unknown);
        let silent = history("2026-03-13", 60, 1, |_| false);
        assert_eq!(judge(&silent, at("2026-03-16T12:00:00Z")), Freshness::Unknown);
    }

    #[test]
    fn a_source_that_rarely_brings_something_is_never_late() {
        let days = history("2026-03-14", 56, 1, |day| day == Weekday::Saturday);
        assert_eq!(judge(&days, at("2026-03-19T12:00:00Z")), Freshness::Usual);
        let since = at("2026-03-21T03:00:00Z");
        assert_eq!(judge(&days, at("2026-03-21T12:00:00Z")), Freshness::Late { since });
    }

    proptest! {
        #[test]
        fn any_history_is_judged(
            tallies in prop::collection::vec((0_i64..120, 0_u64..5, 0_i64..24), 0..120),
            hours in 0_i64..4000,
        ) {
            let start: Date = "2026-01-01".parse().expect("a date");
            let day = |(offset, papers, hour): (i64, u64, i64)| {
                let date = start.saturating_add(offset.days());
                let first = start_of(date).map(|start| start + SignedDuration::from_hours(hour));
                Day { date, papers, first: first.filter(|_| papers > 0) }
            };
            let days: Vec<Day> = tallies.into_iter().map(day).collect();
            let now = at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(hours);
            if let Freshness::Late { since } = judge(&days, now) {
                prop_assert!(since < now);
            }
        }
    }
}
