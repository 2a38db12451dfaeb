//! A day, week or month in UTC: the papers published in it, and the periods before and after.

use std::fmt;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use proto::convert::to_wire_time;
use proto::search::v1::{PaperFilter, TrendingWindow};
use serde::Deserialize;

/// Years for which there are pages.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=2200;

/// How long a period is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeriodUnit {
    /// From Monday to Sunday.
    Week,
    /// From the first to the last day of a month.
    Month,
    /// From midnight to midnight. The default, also for an unknown name in an address.
    #[default]
    #[serde(other)]
    Day,
}

impl PeriodUnit {
    /// Every length.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The trending window of this length.
    pub fn window(self) -> TrendingWindow {
        match self {
            Self::Day => TrendingWindow::Day,
            Self::Week => TrendingWindow::Week,
            Self::Month => TrendingWindow::Month,
        }
    }
}

/// A day, week or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    unit: PeriodUnit,
    first: Date,
}

impl Period {
    /// The period that contains a day.
    pub fn containing(unit: PeriodUnit, day: Date) -> Self {
        let first = match unit {
            PeriodUnit::Day => day,
            PeriodUnit::Week => day.saturating_sub(Span::new().days(day.weekday().to_monday_zero_offset())),
            PeriodUnit::Month => day.first_of_month(),
        };
        Self { unit, first }
    }

    /// The period that contains a moment.
    pub fn at(unit: PeriodUnit, moment: Timestamp) -> Self {
        Self::containing(unit, moment.to_zoned_datetime(TimeZone::UTC).date())
    }

    /// Parses `2026-11-27`, `2026-W48` or `2026-11`, by the unit.
    pub fn parse(unit: PeriodUnit, text: &str) -> Option<Self> {
        let (year, rest) = text.split_once('-')?;
        let number = |text: &str, digits: usize| -> Option<i16> {
            let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| fits)
        };
        let small = |text: &str| i8::try_from(number(text, 2)?).ok();
        let year = number(year, 4).filter(|year| YEARS.contains(year))?;
        let first = match unit {
            PeriodUnit::Day => {
                let (month, day) = rest.split_once('-')?;
                Date::new(year, small(month)?, small(day)?).ok()?
            }
            PeriodUnit::Week => ISOWeekDate::new(year, small(rest.strip_prefix('W')?)?, Weekday::Monday)
                .ok()?
                .date(),
            PeriodUnit::Month => Date::new(year, small(rest)?, 1).ok()?,
        };
        Some(Self { unit, first })
    }

    /// How long it is.
    pub fn unit(self) -> PeriodUnit {
        self.unit
    }

    /// The period after it, if there are pages for it.
    pub fn next(self) -> Option<Self> {
        let first = self.first.checked_add(self.span()).ok()?;
        YEARS.contains(&first.year()).then_some(Self { first, ..self })
    }

    /// The period before it, if there are pages for it.
    pub fn previous(self) -> Option<Self> {
        let first = self.first.checked_sub(self.span()).ok()?;
        YEARS.contains(&first.year()).then_some(Self { first, ..self })
    }

    /// Whether it starts after the day of a moment.
    pub fn is_after(self, moment: Timestamp) -> bool {
        self.first > moment.to_zoned_datetime(TimeZone::UTC).date()
    }

    /// The path of its page.
    pub fn path(self) -> String {
        format!("/{}/{self}", self.unit.name())
    }

    /// Its name in words.
    pub fn words(self) -> String {
        match self.unit {
            PeriodUnit::Day => self.first.strftime("%A, %-d %B %Y").to_string(),
            PeriodUnit::Week => {
                let last = self.first.saturating_add(Span::new().days(6));
                let (from, to) = (self.first.strftime("%-d %B"), last.strftime("%-d %B %Y"));
                format!("Week {}, {from} to {to}", self.first.iso_week_date().week())
            }
            PeriodUnit::Month => self.first.strftime("%B %Y").to_string(),
        }
    }

    /// A filter for papers published in it.
    pub fn filter(self) -> PaperFilter {
        let wire = |date: Date| {
            date.to_zoned_datetime(TimeZone::UTC)
                .ok()
                .map(|zoned| to_wire_time(zoned.timestamp()))
        };
        let end = self.first.saturating_add(self.span());
        PaperFilter {
            published_after: wire(self.first),
            published_before: wire(end),
            ..PaperFilter::default()
        }
    }

    fn span(self) -> Span {
        match self.unit {
            PeriodUnit::Day => Span::new().days(1),
            PeriodUnit::Week => Span::new().weeks(1),
            PeriodUnit::Month => Span::new().months(1),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            PeriodUnit::Day => write!(f, "{}", self.first),
            PeriodUnit::Week => {
                let week = self.first.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            PeriodUnit::Month => write!(f, "{}", self.first.strftime("%Y-%m")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(unit: PeriodUnit, text: &str) -> Period {
        Period::parse(unit, text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn periods_know_their_neighbours() {
        for (unit, text, previous, next, words) in [
            (
                PeriodUnit::Day,
                "2026-03-01",
                "2026-02-28",
                "2026-03-02",
                "Sunday, 1 March 2026",
            ),
            (
                PeriodUnit::Week,
                "2026-W01",
                "2025-W52",
                "2026-W02",
                "Week 1, 29 December to 4 January 2026",
            ),
            (PeriodUnit::Month, "2026-01", "2025-12", "2026-02", "January 2026"),
        ] {
            let period = period(unit, text);
            assert_eq!(period.to_string(), text);
            assert_eq!(period.previous().map(|one| one.to_string()).as_deref(), Some(previous));
            assert_eq!(period.next().map(|one| one.to_string()).as_deref(), Some(next));
            assert_eq!(period.words(), words);
        }
        let containing = Period::containing(PeriodUnit::Week, Date::constant(2026, 11, 28));
        assert_eq!(containing.path(), "/week/2026-W48");
    }

    #[test]
    fn a_period_ends_before_the_next_begins() {
        let filter = period(PeriodUnit::Month, "2026-02").filter();
        let seconds = |time: Option<prost_types::Timestamp>| time.map(|time| time.seconds);
        assert_eq!(seconds(filter.published_after), Some(1_769_904_000));
        assert_eq!(seconds(filter.published_before), Some(1_772_323_200));
    }

    #[test]
    fn other_text_is_no_period() {
        for (unit, text) in [
            (PeriodUnit::Day, "2026-02-30"),
            (PeriodUnit::Day, "2026-2-03"),
            (PeriodUnit::Day, "2026-11"),
            (PeriodUnit::Week, "2026-W54"),
            (PeriodUnit::Week, "2026-48"),
            (PeriodUnit::Month, "2026-13"),
            (PeriodUnit::Month, "+026-01"),
            (PeriodUnit::Month, "0000-01"),
            (PeriodUnit::Day, ""),
        ] {
            assert_eq!(Period::parse(unit, text), None, "{text}");
        }
        assert!(period(PeriodUnit::Month, "2200-12").next().is_none());
    }
}
