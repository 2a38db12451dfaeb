//! Which of several dates of a work says best when it was published first.

use domain::merging::{Identifiers, Scheme};
use jiff::Timestamp;

use super::day;

/// What a date of a work is the date of, the best for when it was published first. When it was changed is not among them: a
/// revision is no publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DateOrigin {
    /// It was posted as a preprint: the day it could be read first.
    Posted,
    /// It was put online, usually before its issue.
    Online,
    /// The earliest that its registrar knows of.
    Published,
    /// Its issue or its print; often in the future.
    Issue,
    /// Whatever its source calls its date.
    Issued,
    /// Its identifier was registered, which happens about when it is put online.
    Created,
}

/// The dates of one work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicationDates(Vec<(DateOrigin, Timestamp)>);

impl PublicationDates {
    /// Adds a date that is known.
    pub fn add(&mut self, origin: DateOrigin, date: Option<Timestamp>) {
        self.0.extend(date.map(|date| (origin, date)));
    }

    /// The date of the best origin that is not later than `latest`.
    pub fn best(&self, latest: Timestamp) -> Option<Timestamp> {
        let past = self.0.iter().filter(|(_, date)| *date <= latest);
        past.min_by_key(|(origin, _)| *origin).map(|(_, date)| *date)
    }
}

/// The month in which arXiv gave the identifier, where there is one: the last resort.
pub fn month_of_arxiv(identifiers: &Identifiers) -> Option<Timestamp> {
    identifiers.of(Scheme::Arxiv).next().and_then(month_of)
}

/// The month that an id of arXiv names: `2402.14776` and `hep-th/9901001` say year and month.
pub fn month_of(id: &str) -> Option<Timestamp> {
    let (is_old, digits) = id.rsplit_once('/').map_or((false, id), |(_, number)| (true, number));
    let year: i64 = digits.get(..2)?.parse().ok()?;
    let month: i64 = digits.get(2..4)?.parse().ok()?;
    let century = if is_old && year >= 91 { 1_900 } else { 2_000 };
    day(century + year, month, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::parse;

    #[test]
    fn the_best_date_is_the_first_in_the_past() {
        let at = |text: &str| parse(text);
        let mut dates = PublicationDates::default();
        dates.add(DateOrigin::Created, at("2026-02-13"));
        dates.add(DateOrigin::Issue, at("2027-12"));
        let latest = at("2026-11-30").expect("a date");
        assert_eq!(dates.best(latest), at("2026-02-13"));
        dates.add(DateOrigin::Online, at("2026-01-05"));
        assert_eq!(dates.best(latest), at("2026-01-05"));
        assert_eq!(PublicationDates::default().best(latest), None);
    }

    #[test]
    fn ids_of_arxiv_name_a_month() {
        let month = |id: &str| month_of(id).map(|moment| moment.to_string());
        assert_eq!(month("2402.14776").as_deref(), Some("2024-02-01T00:00:00Z"));
        assert_eq!(month("hep-th/9901001").as_deref(), Some("1999-01-01T00:00:00Z"));
        assert_eq!(month("math/0309136").as_deref(), Some("2003-09-01T00:00:00Z"));
        assert_eq!(month("2413.00001"), None);
    }
}
