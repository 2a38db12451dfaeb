//! Ranges of years, months and days, as `year:` and `date:` have them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::error::QueryErrorKind;

/// Start (inclusive) and end (exclusive).
pub(super) type DateRange = (Option<Timestamp>, Option<Timestamp>);

const YEARS: &str = "write a year from 1000 to 9999 or a range such as 2023..2025, 2023.. or ..2020";
const DATES: &str = "write a date that exists as 2024, 2024-05 or 2024-05-31, or a range such as 2024-05..2024-06";
/// The last day that begins before the end of representable time.
const LAST_DAY: Date = jiff::civil::date(9999, 12, 30);

/// Parses the value of `year:`.
pub(super) fn years(value: &str) -> Result<DateRange, QueryErrorKind> {
    range("year", YEARS, value, |part| {
        PartialDate::read(part).filter(|parts| parts.month.is_none())
    })
}

/// Parses the value of `date:`.
pub(super) fn dates(value: &str) -> Result<DateRange, QueryErrorKind> {
    range("date", DATES, value, PartialDate::read)
}

fn range(
    field: &'static str,
    allowed: &'static str,
    value: &str,
    read: impl Fn(&str) -> Option<PartialDate>,
) -> Result<DateRange, QueryErrorKind> {
    let bad = || QueryErrorKind::BadValue {
        field,
        value: crate::text::shorten(value),
        allowed,
    };
    let (first, last) = value.split_once("..").unwrap_or((value, value));
    if first.is_empty() && last.is_empty() {
        return Err(bad());
    }
    let part = |text: &str| match text {
        "" => Ok(None),
        text => read(text).map(Some).ok_or_else(bad),
    };
    let (first, last) = (part(first)?, part(last)?);
    let first = first.map(|parts| parts.first_day().min(LAST_DAY));
    let end = last.and_then(|parts| parts.end().filter(|end| *end <= LAST_DAY));
    if let (Some(first), Some(end)) = (first, end)
        && first >= end
    {
        return Err(QueryErrorKind::EmptyRange);
    }
    // Both lie between the year 1000 and the last day, where every midnight is a timestamp.
    Ok((first.and_then(midnight), end.and_then(midnight)))
}

/// A year, a month or a day.
#[derive(Clone, Copy)]
struct PartialDate {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
}

impl PartialDate {
    /// Reads `2024`, `2024-05` or `2024-05-31`, if there is such a day.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let year = number(parts.next()?, 4)?;
        let month = parts.next().map(|month| number(month, 2).ok_or(())).transpose().ok()?;
        let day = parts.next().map(|day| number(day, 2).ok_or(())).transpose().ok()?;
        let parts = match parts.next() {
            None => Self {
                year,
                month: month.map(i8::try_from).transpose().ok()?,
                day: day.map(i8::try_from).transpose().ok()?,
            },
            Some(_) => return None,
        };
        Date::new(year, parts.month.unwrap_or(1), parts.day.unwrap_or(1)).ok()?;
        (year >= 1000).then_some(parts)
    }

    fn first_day(self) -> Date {
        // The day was found to exist when it was read.
        Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).unwrap_or(Date::MIN)
    }

    /// The day after the last one; `None` at the end of representable time.
    fn end(self) -> Option<Date> {
        let span = match (self.month, self.day) {
            (None, _) => 1.year(),
            (_, None) => 1.month(),
            _ => 1.day(),
        };
        self.first_day().checked_add(span).ok()
    }
}

fn number(text: &str, digits: usize) -> Option<i16> {
    let sound = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| text.parse().ok())?
}

fn midnight(day: Date) -> Option<Timestamp> {
    TimeZone::UTC
        .to_timestamp(day.to_datetime(jiff::civil::Time::midnight()))
        .ok()
}
