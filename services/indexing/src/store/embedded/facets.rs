//! Counts the papers of a set by a value.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use jiff::tz::Offset;
use jiff::{Timestamp, civil::Date};

use super::bits::Bits;
use super::segment::Segment;
use super::snapshot::SegmentSnapshot;
use crate::store::{Facet, FacetCount, UNDATED};

/// Values of the papers that pass, most papers first, equal counts by value.
pub fn count(snapshot: &SegmentSnapshot, passing: &[Bits], facet: Facet, limit: usize) -> Vec<FacetCount> {
    let segments = || snapshot.segments.iter().map(|one| &*one.segment).zip(passing);
    let mut counts: Vec<FacetCount> = match facet {
        Facet::Year => years(segments()),
        _ => values(segments(), facet),
    };
    let order = |a: &FacetCount, b: &FacetCount| b.papers.cmp(&a.papers).then_with(|| a.value.cmp(&b.value));
    if limit < counts.len() {
        counts.select_nth_unstable_by(limit, order);
        counts.truncate(limit);
    }
    counts.sort_unstable_by(order);
    counts
}

fn values<'a>(segments: impl Iterator<Item = (&'a Segment, &'a Bits)>, facet: Facet) -> Vec<FacetCount> {
    let mut counts: HashMap<&str, u64, RandomState> = HashMap::default();
    for (segment, passing) in segments {
        let values = match facet {
            Facet::Category => &segment.categories,
            Facet::Source => &segment.sources,
            Facet::Author => &segment.authors,
            Facet::Language | Facet::Year => &segment.languages,
        };
        for (value, papers) in values.counts(passing) {
            *counts.entry(value).or_default() += papers;
        }
    }
    counts
        .into_iter()
        .map(|(value, papers)| FacetCount {
            value: value.to_owned(),
            papers,
        })
        .collect()
}

fn years<'a>(segments: impl Iterator<Item = (&'a Segment, &'a Bits)>) -> Vec<FacetCount> {
    let mut counts: HashMap<i16, u64> = HashMap::new();
    let mut latest: Option<(i64, i64, i16)> = None;
    for (segment, passing) in segments {
        for slot in passing.slots() {
            let published = segment.published_ms[slot];
            if published == UNDATED {
                continue;
            }
            let (begin, end, year) = match latest {
                Some(known) if (known.0..known.1).contains(&published) => known,
                _ => year_of(published),
            };
            latest = Some((begin, end, year));
            *counts.entry(year).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|(year, papers)| FacetCount {
            value: year.to_string(),
            papers,
        })
        .collect()
}

/// The year a moment is in, with where that year begins and ends.
fn year_of(published_ms: i64) -> (i64, i64, i16) {
    let moment = Timestamp::from_millisecond(published_ms).unwrap_or_default();
    let year = Offset::UTC.to_datetime(moment).year();
    let begin = |year| {
        let first = Date::new(year, 1, 1).ok()?;
        Some(Offset::UTC.to_timestamp(first.at(0, 0, 0, 0)).ok()?.as_millisecond())
    };
    (
        begin(year).unwrap_or(published_ms),
        begin(year + 1).unwrap_or(published_ms),
        year,
    )
}
