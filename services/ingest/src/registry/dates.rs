//! The dates of a paper that its revisions keep: when the platform learned of it, when it was published, and who says so.
//!
//! It makes no date up. A known date of publication stays, unless source records, which agree on one by trust, or a call with
//! the source that gave it say another.

use domain::Paper;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Where the content of a paper comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaperOrigin {
    /// A call. The same text under two ids is one paper: the second id becomes an alias.
    Call,
    /// Source records that were merged. The same text under two ids is perhaps two papers: their identifiers have been
    /// compared already.
    SourceRecords {
        /// The source that says when it was published; empty if none does.
        dated_by: String,
    },
}

/// The dates of a paper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperDates {
    /// When the platform first learned of it.
    pub accepted: Timestamp,
    /// When it was published; `None` if unknown.
    pub published: Option<Timestamp>,
    /// The source that says when it was published; empty if unknown.
    dated_by: String,
}

impl PaperDates {
    /// What a paper says by itself.
    pub fn of(paper: &Paper, origin: &PaperOrigin) -> Self {
        let dated_by = match origin {
            PaperOrigin::Call => &paper.source,
            PaperOrigin::SourceRecords { dated_by } => dated_by,
        };
        Self {
            accepted: paper.accepted,
            published: paper.published,
            dated_by: paper.published.map(|_| dated_by.clone()).unwrap_or_default(),
        }
    }

    /// Those that can be told of a paper of an earlier release, by its last event.
    pub fn of_earlier_release(accepted: Timestamp, paper: Option<&Paper>) -> Self {
        // Those releases dated a paper by its acceptance where nobody said when it was published.
        let dated = paper.filter(|paper| paper.published != Some(paper.accepted));
        Self {
            accepted,
            published: dated.and_then(|paper| paper.published),
            dated_by: dated.map(|paper| paper.source.clone()).unwrap_or_default(),
        }
    }

    /// The dates after a revision that says these.
    pub fn revised(&self, said: &Self, origin: &PaperOrigin) -> Self {
        let may_move = match origin {
            PaperOrigin::Call => self.published.is_none() || self.dated_by == said.dated_by,
            PaperOrigin::SourceRecords { .. } => true,
        };
        let dates = if may_move && said.published.is_some() {
            said
        } else {
            self
        };
        Self {
            accepted: self.accepted,
            ..dates.clone()
        }
    }

    /// Whether both name the same day of publication, or none. Sources give one day with and without a time; that alone is no
    /// revision.
    pub fn same_day(&self, other: &Self) -> bool {
        let day = |dates: &Self| dates.published.map(|time| TimeZone::UTC.to_datetime(time).date());
        day(self) == day(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(published: Option<&str>, dated_by: &str) -> PaperDates {
        PaperDates {
            accepted: Timestamp::UNIX_EPOCH,
            published: published.map(|text| text.parse().expect("a time")),
            dated_by: dated_by.to_owned(),
        }
    }

    #[test]
    fn a_known_date_is_moved_by_its_source_alone() {
        let (early, late) = (Some("2026-05-05T00:00:00Z"), Some("2026-11-29T00:00:00Z"));
        let records = PaperOrigin::SourceRecords {
            dated_by: "mine".to_owned(),
        };
        for (known, said, origin, expected) in [
            (dates(None, ""), dates(None, ""), &PaperOrigin::Call, None),
            (dates(None, ""), dates(late, "other"), &PaperOrigin::Call, late),
            (dates(early, "mine"), dates(None, ""), &PaperOrigin::Call, early),
            (dates(early, "mine"), dates(late, "other"), &PaperOrigin::Call, early),
            (dates(early, "mine"), dates(late, "mine"), &PaperOrigin::Call, late),
            (dates(early, "mine"), dates(late, "other"), &records, late),
            (dates(early, "mine"), dates(None, ""), &records, early),
        ] {
            let revised = known.revised(&said, origin);
            assert_eq!(revised.published, dates(expected, "").published, "{known:?}, {said:?}");
        }
    }

    #[test]
    fn a_revision_keeps_the_first_acceptance() {
        let later = PaperDates {
            accepted: "2026-11-29T00:00:00Z".parse().expect("a time"),
            ..dates(Some("2026-11-29T00:00:00Z"), "mine")
        };
        let revised = dates(None, "").revised(&later, &PaperOrigin::Call);
        assert_eq!(
            (revised.accepted, revised.published),
            (Timestamp::UNIX_EPOCH, later.published)
        );
    }

    #[test]
    fn a_time_on_the_same_day_is_no_other_date() {
        let day = dates(Some("2026-05-05T00:00:00Z"), "mine");
        assert!(day.same_day(&dates(Some("2026-05-05T17:30:00Z"), "mine")));
        assert!(!day.same_day(&dates(Some("2026-05-06T00:00:00Z"), "mine")) && !day.same_day(&dates(None, "")));
    }
}
