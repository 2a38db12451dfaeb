//! Which papers pass a filter, decided for a whole segment at a time from its lists and columns, before scoring.

use domain::PaperId;
use jiff::Timestamp;

use super::bits::Bits;
use super::segment::Segment;
use super::snapshot::{LiveSegment, SegmentSnapshot};
use super::value_index::ValueIndex;
use crate::store::{Filter, UNDATED};

/// The papers that pass, for each segment of a snapshot.
pub fn passing(filter: &Filter, snapshot: &SegmentSnapshot) -> Vec<Bits> {
    snapshot.segments.iter().map(|one| passing_of(filter, one)).collect()
}

fn passing_of(filter: &Filter, live: &LiveSegment) -> Bits {
    let segment = &*live.segment;
    let mut bits = Bits::clone(&live.live);
    by_values(
        &mut bits,
        &segment.categories,
        &filter.categories,
        &filter.without_categories,
    );
    by_values(&mut bits, &segment.sources, &filter.sources, &filter.without_sources);
    by_values(
        &mut bits,
        &segment.author_keys,
        &filter.authors,
        &filter.without_authors,
    );
    by_values(&mut bits, &segment.languages, &filter.languages, &[]);
    by_time(&mut bits, segment, filter);
    match filter.has_code {
        Some(true) => bits.keep(&segment.has_code),
        Some(false) => bits.drop_all(&segment.has_code),
        None => {}
    }
    for term in &filter.terms {
        bits.keep(&holding(segment, &[*term]));
    }
    if !filter.any_terms.is_empty() {
        bits.keep(&holding(segment, &filter.any_terms));
    }
    if !filter.without_terms.is_empty() {
        bits.drop_all(&holding(segment, &filter.without_terms));
    }
    if let Some(within) = &filter.within {
        bits.keep(&named(segment, within));
    }
    if !filter.without.is_empty() {
        bits.drop_all(&named(segment, &filter.without));
    }
    bits
}

fn by_values(bits: &mut Bits, values: &ValueIndex, wanted: &[String], unwanted: &[String]) {
    let slots = bits.words().len() * super::bits::WORD;
    if !wanted.is_empty() {
        bits.keep(&values.any_of(wanted, slots));
    }
    if !unwanted.is_empty() {
        bits.drop_all(&values.any_of(unwanted, slots));
    }
}

fn by_time(bits: &mut Bits, segment: &Segment, filter: &Filter) {
    if filter.published_after.is_none() && filter.published_before.is_none() {
        return;
    }
    let after = filter.published_after.map_or(i64::MIN, Timestamp::as_millisecond);
    let before = filter.published_before.map(Timestamp::as_millisecond);
    let published = &segment.published_ms;
    bits.keep(&Bits::where_true(segment.len(), |slot| {
        published[slot] != UNDATED && published[slot] >= after && before.is_none_or(|before| published[slot] < before)
    }));
}

/// The papers that have at least one of some terms.
fn holding(segment: &Segment, terms: &[u32]) -> Bits {
    let mut bits = Bits::none(segment.len());
    for slot in terms.iter().flat_map(|term| segment.terms.postings(*term).slots) {
        bits.insert(usize::from(*slot));
    }
    bits
}

fn named(segment: &Segment, ids: &[PaperId]) -> Bits {
    let mut bits = Bits::none(segment.len());
    for slot in ids.iter().filter_map(|id| segment.ids.find(id.as_str())) {
        bits.insert(slot);
    }
    bits
}
