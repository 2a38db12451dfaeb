//! The days of a date, a week or a month given as parameters.

use jiff::civil::{Date, ISOWeekDate, Weekday};
use tonic::Status;

/// The first day, and the first one after the period. `None` if no period is given.
///
/// # Errors
/// INVALID_ARGUMENT for what is not a day, week or month, and for more than one of them.
pub fn days(date: &str, week: &str, month: &str) -> Result<Option<(Date, Date)>, Status> {
    let given: Vec<(&str, &str)> = [("date", date), ("week", week), ("month", month)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let (field, value) = match given.as_slice() {
        [] => return Ok(None),
        [one] => *one,
        [_, (field, _), ..] => {
            let text = "is given together with another period; give only one of date, week and month";
            return Err(common::status::invalid(*field, text));
        }
    };
    let (period, example) = match field {
        "date" => (day(value), "a day such as 2026-11-27"),
        "week" => (iso_week(value), "a week such as 2026-W48"),
        _ => (whole_month(value), "a month such as 2026-11"),
    };
    period.map(Some).ok_or_else(|| {
        let value = domain::text::shorten(value);
        common::status::invalid(field, format!("is {value:?}; it must be {example}"))
    })
}

fn day(text: &str) -> Option<(Date, Date)> {
    let day: Date = text.parse().ok().filter(|_| text.len() == 10)?;
    Some((day, day.tomorrow().ok()?))
}

fn iso_week(text: &str) -> Option<(Date, Date)> {
    let (year, week) = text
        .split_once("-W")
        .filter(|(year, week)| year.len() == 4 && week.len() == 2)?;
    let monday = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday)
        .ok()?
        .date();
    Some((monday, monday.checked_add(jiff::Span::new().days(7)).ok()?))
}

fn whole_month(text: &str) -> Option<(Date, Date)> {
    let (year, month) = text
        .split_once('-')
        .filter(|(year, month)| year.len() == 4 && month.len() == 2)?;
    let first = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
    Some((first, first.last_of_month().tomorrow().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_parsed_or_refused_with_an_example() {
        let day = |text: &str| text.parse::<Date>().expect("a day");
        let read = |date, week, month| days(date, week, month).expect("a period");
        assert_eq!(read("", "", ""), None);
        assert_eq!(read("2024-02-29", "", ""), Some((day("2024-02-29"), day("2024-03-01"))));
        assert_eq!(read("", "2026-W48", ""), Some((day("2026-11-23"), day("2026-11-30"))));
        assert_eq!(read("", "2020-W53", ""), Some((day("2020-12-28"), day("2021-01-04"))));
        assert_eq!(read("", "", "2026-12"), Some((day("2026-12-01"), day("2027-01-01"))));
        for (date, week, month, said) in [
            ("2026-02-30", "", "", "2026-11-27"),
            ("today", "", "", "2026-11-27"),
            ("", "2026-W54", "", "2026-W48"),
            ("", "", "2026-13", "2026-11"),
            ("2026-01-01", "", "2026-01", "one of date, week and month"),
        ] {
            let refusal = days(date, week, month).expect_err("no period");
            assert!(refusal.message().contains(said), "{refusal:?}");
        }
    }
}
