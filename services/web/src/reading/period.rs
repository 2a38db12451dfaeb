//! A day, a week or a month of the paper, in UTC: which papers belong to it, and what lies before and behind it.

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
pub enum Unit {
    /// From midnight to midnight.
    Week,
    /// From the first to the last of a month.
    Month,
    /// From Monday to Sunday; what is meant where nothing is said, or nothing that is known.
    #[default]
    #[serde(other)]
    Day,
}

impl Unit {
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

    /// The window of attention that fits it.
    pub fn window(self) -> TrendingWindow {
        match self {
            Self::Day => TrendingWindow::Day,
            Self::Week => TrendingWindow::Week,
            Self::Month => TrendingWindow::Month,
        }
    }
}

/// A period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    unit: Unit,
    first: Date,
}

impl Period {
    /// The one that holds a day.
    pub fn holding(unit: Unit, day: Date) -> Self {
        let first = match unit {
            Unit::Day => day,
            Unit::Week => day.saturating_sub(Span::new().days(day.weekday().to_monday_zero_offset())),
            Unit::Month => day.first_of_month(),
        };
        Self { unit, first }
    }

    /// The one that holds a moment.
    pub fn at(unit: Unit, moment: Timestamp) -> Self {
        Self::holding(unit, moment.to_zoned_datetime(TimeZone::UTC).date())
    }

    /// Reads `2026-11-27`, `2026-W48` or `2026-11`, and nothing else.
    pub fn parse(unit: Unit, text: &str) -> Option<Self> {
        let (year, rest) = text.split_once('-')?;
        let number = |text: &str, digits: usize| -> Option<i16> {
            let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| fits)
        };
        let small = |text: &str| i8::try_from(number(text, 2)?).ok();
        let year = number(year, 4).filter(|year| YEARS.contains(year))?;
        let first = match unit {
            Unit::Day => {
                let (month, day) = rest.split_once('-')?;
                Date::new(year, small(month)?, small(day)?).ok()?
            }
            Unit::Week => ISOWeekDate::new(year, small(rest.strip_prefix('W')?)?, Weekday::Monday)
                .ok()?
                .date(),
            Unit::Month => Date::new(year, small(rest)?, 1).ok()?,
        };
        Some(Self { unit, first })
    }

    /// How long it is.
    pub fn unit(self) -> Unit {
        self.unit
    }

    /// The one behind it; `None` at the end of time.
    pub fn next(self) -> Option<Self> {
        let first = self.first.checked_add(self.span()).ok()?;
        YEARS.contains(&first.year()).then_some(Self { first, ..self })
    }

    /// The one before it.
    pub fn previous(self) -> Option<Self> {
        let first = self.first.checked_sub(self.span()).ok()?;
        YEARS.contains(&first.year()).then_some(Self { first, ..self })
    }

    /// Whether it begins after a moment.
    pub fn is_after(self, moment: Timestamp) -> bool {
        self.first > moment.to_zoned_datetime(TimeZone::UTC).date()
    }

    /// Its page.
    pub fn path(self) -> String {
        format!("/{}/{self}", self.unit.name())
    }

    /// Its name in words.
    pub fn words(self) -> String {
        match self.unit {
            Unit::Day => self.first.strftime("%A, %-d %B %Y").to_string(),
            Unit::Week => {
                let last = self.first.saturating_add(Span::new().days(6));
                let (from, to) = (self.first.strftime("%-d %B"), last.strftime("%-d %B %Y"));
                format!("Week {}, {from} to {to}", self.first.iso_week_date().week())
            }
            Unit::Month => self.first.strftime("%B %Y").to_string(),
        }
    }

    /// A filter for the papers that were published in it.
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
            Unit::Day => Span::new().days(1),
            Unit::Week => Span::new().weeks(1),
            Unit::Month => Span::new().months(1),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Day => write!(f, "{}", self.first),
            Unit::Week => {
                let week = self.first.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            Unit::Month => write!(f, "{}", self.first.strftime("%Y-%m")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(unit: Unit, text: &str) -> Period {
        Period::parse(unit, text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn periods_lead_to_their_neighbours() {
        for (unit, text, previous, next, words) in [
            (
                Unit::Day,
                "2026-03-01",
                "2026-02-28",
                "2026-03-02",
                "Sunday, 1 March 2026",
            ),
            (
                Unit::Week,
                "2026-W01",
                "2025-W52",
                "2026-W02",
                "Week 1, 29 December to 4 January 2026",
            ),
            (Unit::Month, "2026-01", "2025-12", "2026-02", "January 2026"),
        ] {
            let period = period(unit, text);
            assert_eq!(period.to_string(), text);
            assert_eq!(period.previous().map(|one| one.to_string()).as_deref(), Some(previous));
            assert_eq!(period.next().map(|one| one.to_string()).as_deref(), Some(next));
            assert_eq!(period.words(), words);
        }
        let holding = Period::holding(Unit::Week, Date::constant(2026, 11, 28));
        assert_eq!(holding.path(), "/week/2026-W48");
    }

    #[test]
    fn a_period_holds_its_first_moment_and_not_the_one_behind_its_last() {
        let filter = period(Unit::Month, "2026-02").filter();
        let seconds = |time: Option<prost_types::Timestamp>| time.map(|time| time.seconds);
        assert_eq!(seconds(filter.published_after), Some(1_769_904_000));
        assert_eq!(seconds(filter.published_before), Some(1_772_323_200));
    }

    #[test]
    fn what_is_no_period_is_none() {
        for (unit, text) in [
            (Unit::Day, "2026-02-30"),
            (Unit::Day, "2026-2-03"),
            (Unit::Day, "2026-11"),
            (Unit::Week, "2026-W54"),
            (Unit::Week, "2026-48"),
            (Unit::Month, "2026-13"),
            (Unit::Month, "+026-01"),
            (Unit::Month, "0000-01"),
            (Unit::Day, ""),
        ] {
            assert_eq!(Period::parse(unit, text), None, "{text}");
        }
        assert!(period(Unit::Month, "2200-12").next().is_none());
    }
}
