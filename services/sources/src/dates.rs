//! Dates in every form found in feeds and files: ISO 8601 padded or not, with less than a day, as a range, uncertain or a
//! season, RFC 2822 and what passes for it, American, or just a year. And which of several dates of a work is the best.
//!
//! It never guesses: what cannot be read is `None`.

mod publication;

pub use publication::{DateOrigin, PublicationDates, month_of, month_of_arxiv};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// Longest text that is looked at.
const MAX_BYTES: usize = 100;
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
/// Reads a date; what it leaves out is the first month, the first day, midnight and UTC. Of a range it is the beginning, of a
/// season its first month.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_BYTES {
        return None;
    }
    // Ranges in prose have a dash of their own.
    let text = text.replace(['–', '—'], "--");
    let text = text.as_str();
    if !text.is_ascii() {
        return None;
    }
    if let Some(season) = season_of_year(text) {
        return midnight(season);
    }
    let text = beginning(text);
    let (date, rest) = iso_date(text).or_else(|| word_date(text))?;
    let (time, offset) = time_and_zone(rest).unwrap_or((Time::midnight(), Offset::UTC));
    offset.to_timestamp(DateTime::from_parts(date, time)).ok()
}

/// The moment a day begins in UTC. `None` for a day that does not exist.
pub fn day(year: i64, month: i64, day: i64) -> Option<Timestamp> {
    midnight(date(year, month, day)?)
}

/// The day of a moment, in UTC.
pub fn day_of(moment: Timestamp) -> Date {
    Offset::UTC.to_datetime(moment).date()
}

/// The moment a day begins in UTC.
pub fn midnight(day: Date) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(day.to_datetime(Time::midnight())).ok()
}

fn date(year: i64, month: i64, day: i64) -> Option<Date> {
    let year = i16::try_from(year).ok().filter(|year| (1_000..=9_999).contains(year))?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// A year, a month that may hold a day or a season, and a day, as BibTeX has them: `2020a`, `jul~28`, `Jul.-Aug.`, `07`.
pub fn of_parts(year: &str, month: &str, day: &str) -> Option<Timestamp> {
    let year = four_digits(year)?;
    let month = first_of_range(&month.trim().replace('~', " "));
    let number = month.parse::<u8>().is_ok();
    let dates = if number {
        [format!("{year}-{month}-{}", day.trim()), format!("{year}-{month}")]
    } else {
        [format!("{} {month} {year}", day.trim()), format!("{month} {year}")]
    };
    dates.iter().find_map(|date| parse(date)).or_else(|| parse(year))
}

/// `Jul` of `Jul.--Aug.` and `28 jul` of `28--30 jul`.
fn first_of_range(month: &str) -> String {
    let has_letters = |part: &&str| part.contains(|c: char| c.is_ascii_alphabetic());
    let unified = month.replace("--", "–").replace('/', "–");
    let mut parts = unified.split('–').map(str::trim);
    let first = parts.next().unwrap_or_default();
    match parts.find(has_letters) {
        Some(last) if !has_letters(&first) => {
            let name = last.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
            format!("{first} {name}")
        }
        _ => first.to_owned(),
    }
}

/// The first number of four digits: the year of `2020a`, `c. 1999` and `[2001]`.
fn four_digits(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_digit())
        .find(|digits| digits.len() == 4)
}

/// The beginning of a range, without the marks of what is uncertain or unknown: `2017-03?`, `2016-07-21/2016-08`, `2019-07-XX`,
/// `../2016`. A slash within a date is none.
fn beginning(text: &str) -> &str {
    let dashed = |side: &str| side.len() >= 7 && side.as_bytes().get(4) == Some(&b'-');
    let text = match text.split_once('/') {
        Some((from, to))
            if dashed(from) || (from.len() == 4 && (to.len() == 4 || dashed(to) || matches!(to, "" | ".."))) =>
        {
            from
        }
        Some(("" | "..", to)) => to,
        _ => text,
    };
    let text = text.trim_end_matches(['?', '~', '%']);
    ["-XX", "-xx", "-uu"]
        .iter()
        .fold(text, |text, unknown| text.strip_suffix(unknown).unwrap_or(text))
}

/// The first month of a season: `2019-21` to `2019-24`, `Spring 2019`, `2019 Winter`.
fn season_of_year(text: &str) -> Option<Date> {
    const FIRST_MONTHS: [i64; 4] = [3, 6, 9, 12];
    if let Some((year, number)) = text.split_once('-')
        && let Some(season) = ["21", "22", "23", "24"].iter().position(|name| *name == number)
        && year.len() == 4
    {
        return date(year.parse().ok()?, FIRST_MONTHS[season], 1);
    }
    let lower = text.to_ascii_lowercase();
    let mut words = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let season = words.find_map(|word| match word {
        "spring" => Some(0),
        "summer" => Some(1),
        "autumn" | "fall" => Some(2),
        "winter" => Some(3),
        _ => None,
    })?;
    date(four_digits(text)?.parse().ok()?, FIRST_MONTHS[season], 1)
}

/// `2026-03-01`, `2026-3-1`, `2026/03/01`, `2026.03`, `20260301`, `2026`; and what follows.
fn iso_date(text: &str) -> Option<(Date, &str)> {
    let (year, rest) = digits(text)?;
    if year.len() == 8 {
        let part = |range: std::ops::Range<usize>| year.get(range)?.parse().ok();
        return Some((date(part(0..4)?, part(4..6)?, part(6..8)?)?, rest));
    }
    if year.len() != 4 {
        return None;
    }
    let year = year.parse().ok()?;
    let mut numbers = [1_i64, 1];
    let mut rest = rest;
    for number in &mut numbers {
        let Some((found, behind)) = rest.strip_prefix(['-', '/', '.']).and_then(digits) else {
            break;
        };
        *number = found.parse().ok().filter(|_| found.len() <= 2)?;
        rest = behind;
    }
    let whole = rest.is_empty() || rest.starts_with(['T', 't', ' ']);
    if !whole
        || rest
            .trim_start()
            .starts_with(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'T' | 't' | 'Z' | 'U' | 'G'))
    {
        return None;
    }
    Some((date(year, numbers[0], numbers[1])?, rest))
}

/// `Tue, 12 May 2026`, `12 May 26`, `May 12, 2026`, `May 2026`, `2026 May 12`; and what follows.
fn word_date(text: &str) -> Option<(Date, &str)> {
    let mut rest = text;
    let (mut day, mut month, mut year) = (None, None, None);
    while (day.is_none() || month.is_none() || year.is_none()) && !rest.is_empty() {
        rest = rest.trim_start_matches([' ', ',', '.', '-', '/', '\t', '\n', '\r']);
        if let Some((number, behind)) = digits(rest) {
            if behind.starts_with(':') {
                break;
            }
            let value: i64 = number.parse().ok()?;
            match number.len() {
                4 if year.is_none() => year = Some(value),
                1 | 2 if day.is_none() => day = Some(value),
                2 if year.is_none() => year = Some(value + if value < 70 { 2_000 } else { 1_900 }),
                _ => return None,
            }
            rest = ["st", "nd", "rd", "th"]
                .iter()
                .find_map(|end| behind.strip_prefix(end))
                .unwrap_or(behind);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        if end == 0 {
            break;
        }
        let word = rest[..end].to_ascii_lowercase();
        if month.is_none() && word.len() >= 3 {
            month = MONTHS
                .iter()
                .position(|name| word.starts_with(name))
                .map(|index| index + 1);
        }
        rest = &rest[end..];
    }
    let month = i64::try_from(month?).ok()?;
    Some((date(year?, month, day.unwrap_or(1))?, rest))
}

fn time_and_zone(text: &str) -> Option<(Time, Offset)> {
    let text = text.trim_start_matches(['T', 't', ' ', ',']);
    let (hour, rest) = digits(text)?;
    let (minute, rest) = rest.strip_prefix(':').and_then(digits)?;
    let (second, rest) = rest.strip_prefix(':').and_then(digits).unwrap_or(("0", rest));
    let rest = rest
        .strip_prefix(['.', ','])
        .and_then(digits)
        .map_or(rest, |(_, behind)| behind);
    let number = |text: &str| text.parse::<i8>().ok();
    let time = Time::new(number(hour)?, number(minute)?, number(second)?.min(59), 0).ok()?;
    Some((time, zone(rest.trim())))
}

/// What cannot be read as a zone is UTC: an hour more or less is better than no date.
fn zone(text: &str) -> Offset {
    if let Some(sign) = text.chars().next().filter(|c| matches!(c, '+' | '-')) {
        let numbers: String = text[1..]
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == ':')
            .collect();
        let numbers = numbers.replace(':', "");
        let hours = numbers.get(..2).and_then(|hours| hours.parse::<i32>().ok());
        let minutes = numbers
            .get(2..4)
            .and_then(|minutes| minutes.parse::<i32>().ok())
            .unwrap_or(0);
        let seconds = hours.map_or(0, |hours| hours * 3_600 + minutes * 60);
        let seconds = if sign == '-' { -seconds } else { seconds };
        return Offset::from_seconds(seconds).unwrap_or(Offset::UTC);
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let hours = match text[..end].to_ascii_uppercase().as_str() {
        "EST" | "CDT" => -5,
        "EDT" => -4,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "CET" => 1,
        "CEST" => 2,
        _ => 0,
    };
    Offset::from_hours(hours).unwrap_or(Offset::UTC)
}

fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        parse(text).map_or_else(|| "none".to_owned(), |moment| moment.to_string())
    }

    #[test]
    fn dates_of_the_wild() {
        for (text, expected) in [
            ("2026-03-01", "2026-03-01T00:00:00Z"),
            ("2026-3-1", "2026-03-01T00:00:00Z"),
            ("2026", "2026-01-01T00:00:00Z"),
            ("2026-07", "2026-07-01T00:00:00Z"),
            ("2026/07/09", "2026-07-09T00:00:00Z"),
            ("20260709", "2026-07-09T00:00:00Z"),
            ("2026-03-01T10:20:30Z", "2026-03-01T10:20:30Z"),
            ("2026-03-01T10:20:30.123456+02:00", "2026-03-01T08:20:30Z"),
            ("2026-03-01 10:20", "2026-03-01T10:20:00Z"),
            ("2025-08-20T00:00:00-04:00", "2025-08-20T04:00:00Z"),
            ("Tue, 12 May 2026 00:00:00 -0400", "2026-05-12T04:00:00Z"),
            ("Tue, 2 Jun 2026 7:05:09 GMT", "2026-06-02T07:05:09Z"),
            ("Tue, 02 Jun 26 07:05 EST", "2026-06-02T12:05:00Z"),
            ("12 May 2026", "2026-05-12T00:00:00Z"),
            ("May 12, 2026", "2026-05-12T00:00:00Z"),
            ("September 3rd, 2026", "2026-09-03T00:00:00Z"),
            ("May 2026", "2026-05-01T00:00:00Z"),
            ("2026 May 12", "2026-05-12T00:00:00Z"),
            ("12-May-2026", "2026-05-12T00:00:00Z"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn ranges_seasons_and_uncertain_dates() {
        for (text, expected) in [
            ("2017-03?", "2017-03-01T00:00:00Z"),
            ("2017~", "2017-01-01T00:00:00Z"),
            ("2016-07-21/2016-08", "2016-07-21T00:00:00Z"),
            ("2019-07-28/..", "2019-07-28T00:00:00Z"),
            ("2004/2006", "2004-01-01T00:00:00Z"),
            ("../2016", "2016-01-01T00:00:00Z"),
            ("2004-07-XX", "2004-07-01T00:00:00Z"),
            ("2019-21", "2019-03-01T00:00:00Z"),
            ("2019-24", "2019-12-01T00:00:00Z"),
            ("Spring 2019", "2019-03-01T00:00:00Z"),
            ("2019 Fall", "2019-09-01T00:00:00Z"),
            ("Jul.–Aug. 2018", "2018-07-01T00:00:00Z"),
            ("2018 Jul-Aug", "2018-07-01T00:00:00Z"),
            ("2026/07", "2026-07-01T00:00:00Z"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn parts_are_put_together() {
        for (year, month, day, expected) in [
            ("1955", "may~3", "", "1955-05-03T00:00:00Z"),
            ("2012", "9~dec", "", "2012-12-09T00:00:00Z"),
            ("2012", "10~jan", "", "2012-01-10T00:00:00Z"),
            ("2018", "Jul.–Aug.", "", "2018-07-01T00:00:00Z"),
            ("2019", "28--30 jul", "", "2019-07-28T00:00:00Z"),
            ("2019", "jul 28--30", "", "2019-07-28T00:00:00Z"),
            ("2016", "07", "21", "2016-07-21T00:00:00Z"),
            ("2019", "jul", "28", "2019-07-28T00:00:00Z"),
            ("2020b", "", "", "2020-01-01T00:00:00Z"),
            ("2020", "July-August", "", "2020-07-01T00:00:00Z"),
            ("2020", "29 July", "", "2020-07-29T00:00:00Z"),
            ("2020", "Michaelmas", "", "2020-01-01T00:00:00Z"),
            ("2020", "13", "", "2020-01-01T00:00:00Z"),
        ] {
            let read = of_parts(year, month, day).map(|moment| moment.to_string());
            assert_eq!(read.as_deref(), Some(expected), "{year} {month} {day}");
        }
        assert_eq!(of_parts("in press", "jan", ""), None);
        assert_eq!(of_parts("", "jan", "3"), None);
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "soon",
            "2026-02-30",
            "31 Feb 2026",
            "0001-01-01",
            "99999-01-01",
            "12:30",
            "n.d.",
            "2026-13-01",
        ] {
            assert_eq!(read(text), "none", "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,40}|[0-9TZ:+ .,/A-Za-z-]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_printed_is_read(seconds in 0_i64..4_000_000_000) {
            let moment = Timestamp::from_second(seconds).expect("a timestamp");
            prop_assert_eq!(parse(&moment.to_string()), Some(moment));
            let rfc = moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            prop_assert_eq!(parse(&rfc), Some(moment));
        }
    }
}
