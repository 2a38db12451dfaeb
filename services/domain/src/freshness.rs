//! Whether it is unusual that a source delivered nothing.
//!
//! Sources pause on some days: arXiv announces nothing on Fridays and Saturdays, a small journal nothing for weeks. So a day
//! is compared with the same weekday of the preceding weeks, and silence is late only where it is unusual. It never reads a
//! clock.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Preceding weeks that are compared.
pub const WEEKS: i64 = 8;
/// Same weekdays that must have been observed before anything is unusual.
pub const MIN_OBSERVED_DAYS: usize = 3;
/// Share of these days with papers from which papers are expected.
pub const USUAL_SHARE: f64 = 0.75;
/// Grace period after the latest time of day at which the first paper arrived on such days.
pub const GRACE: SignedDuration = SignedDuration::from_hours(2);

/// What a source delivered on one day (UTC) on which it was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyArrivals {
    /// The day.
    pub date: Date,
    /// New papers that arrived on that day.
    pub papers: u64,
    /// When the first of them arrived; `None` without any.
    pub first: Option<Timestamp>,
}

/// How fresh a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFreshness {
    /// Not observed for long enough to tell.
    Unknown,
    /// It has delivered what it usually has by now.
    Usual,
    /// It has usually delivered something by this moment, and has not.
    Late {
        /// The moment.
        since: Timestamp,
    },
}

/// Judges a source by the days on which it was observed, in any order, each at most once.
pub fn judge(days: &[DailyArrivals], now: Timestamp) -> SourceFreshness {
    let today = date_of(now);
    let newest = days.iter().filter(|day| day.papers > 0).map(|day| day.date).max();
    let Some(newest) = newest.filter(|newest| *newest < today) else {
        return if days.iter().any(|day| day.papers > 0) {
            SourceFreshness::Usual
        } else {
            SourceFreshness::Unknown
        };
    };
    let silent = (1..=WEEKS * 7).map(|after| newest.saturating_add(after.days()));
    let mut known = false;
    for date in silent.take_while(|date| *date <= today) {
        let Some(usual) = expectation(days, date) else { continue };
        known = true;
        if let Some(since) = usual.expected
            && since < now
        {
            return SourceFreshness::Late { since };
        }
    }
    if known {
        SourceFreshness::Usual
    } else {
        SourceFreshness::Unknown
    }
}

struct Expectation {
    /// By when papers have arrived, where papers are expected.
    expected: Option<Timestamp>,
}

/// What to expect on a date, by the same weekdays before it; `None` where too few were observed.
fn expectation(days: &[DailyArrivals], date: Date) -> Option<Expectation> {
    let same = (1..=WEEKS).map(|weeks| date.saturating_sub((weeks * 7).days()));
    let observed: Vec<&DailyArrivals> = same
        .filter_map(|before| days.iter().find(|day| day.date == before))
        .collect();
    if observed.len() < MIN_OBSERVED_DAYS {
        return None;
    }
    let full: Vec<&&DailyArrivals> = observed.iter().filter(|day| day.papers > 0).collect();
    if (full.len() as f64) < USUAL_SHARE * observed.len() as f64 {
        return Some(Expectation { expected: None });
    }
    let latest = full
        .iter()
        .filter_map(|day| Some(day.first?.duration_since(start_of(day.date)?)))
        .max();
    let expected = start_of(date).map(|start| start + latest.unwrap_or(SignedDuration::from_hours(24)) + GRACE);
    Some(Expectation { expected })
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
    fn history(last: &str, days: i64, hour: i64, has: impl Fn(Weekday) -> bool) -> Vec<DailyArrivals> {
        let last: Date = last.parse().expect("a date");
        let dates = (0..days).map(|before| last.saturating_sub(before.days()));
        let day = |date: Date| {
            let full = has(date.weekday());
            let first = start_of(date).map(|start| start + SignedDuration::from_hours(hour));
            DailyArrivals {
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
        assert_eq!(judge(&days, at("2026-03-13T09:00:00Z")), SourceFreshness::Usual);
        assert_eq!(
            judge(&days, at("2026-03-15T22:00:00Z")),
            SourceFreshness::Usual,
            "a weekend"
        );
        assert_eq!(
            judge(&days, at("2026-03-16T02:59:00Z")),
            SourceFreshness::Usual,
            "within the grace"
        );
        let since = at("2026-03-16T03:00:00Z");
        assert_eq!(
            judge(&days, at("2026-03-16T03:01:00Z")),
            SourceFreshness::Late { since }
        );
        assert_eq!(
            judge(&days, at("2026-03-18T23:00:00Z")),
            SourceFreshness::Late { since },
            "and it stays late"
        );
    }

    #[test]
    fn papers_of_today_end_the_silence() {
        let mut days = history("2026-03-13", 40, 1, is_workday);
        let first = Some(at("2026-03-18T12:00:00Z"));
        days.push(DailyArrivals {
            date: "2026-03-18".parse().expect("a date"),
            papers: 1,
            first,
        });
        assert_eq!(judge(&days, at("2026-03-18T23:00:00Z")), SourceFreshness::Usual);
    }

    #[test]
    fn nothing_is_unusual_before_it_was_observed() {
        assert_eq!(judge(&[], at("2026-03-16T12:00:00Z")), SourceFreshness::Unknown);
        let days = history("2026-03-13", 14, 1, is_workday);
        assert_eq!(judge(&days, at("2026-03-16T12:00:00Z")), SourceFreshness::Unknown);
        let silent = history("2026-03-13", 60, 1, |_| false);
        assert_eq!(judge(&silent, at("2026-03-16T12:00:00Z")), SourceFreshness::Unknown);
    }

    #[test]
    fn a_source_that_rarely_delivers_is_never_late() {
        let days = history("2026-03-14", 56, 1, |day| day == Weekday::Saturday);
        assert_eq!(judge(&days, at("2026-03-19T12:00:00Z")), SourceFreshness::Usual);
        let since = at("2026-03-21T03:00:00Z");
        assert_eq!(
            judge(&days, at("2026-03-21T12:00:00Z")),
            SourceFreshness::Late { since }
        );
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
                DailyArrivals { date, papers, first: first.filter(|_| papers > 0) }
            };
            let days: Vec<DailyArrivals> = tallies.into_iter().map(day).collect();
            let now = at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(hours);
            if let SourceFreshness::Late { since } = judge(&days, now) {
                prop_assert!(since < now);
            }
        }
    }
}
