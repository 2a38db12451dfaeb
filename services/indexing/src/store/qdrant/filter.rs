//! Filters as the server takes them.
//!
//! Every field used here has a payload index; see [`super::collection`]. Times compare by the millisecond.

use jiff::Timestamp;
use qdrant_client::qdrant::{Condition, Filter as Conditions, PointId, Range};

use super::payload;
use super::points::point_id;
use crate::store::{Filter, UNDATED};

/// Papers that pass a filter and are not withdrawn. `None` when no paper can.
pub fn conditions(filter: &Filter) -> Option<Conditions> {
    let mut conditions = withdrawn(false);
    let lists = [
        (payload::CATEGORIES, &filter.categories, &filter.without_categories),
        (payload::SOURCE, &filter.sources, &filter.without_sources),
        (payload::AUTHOR_KEYS, &filter.authors, &filter.without_authors),
        (payload::LANGUAGE, &filter.languages, &Vec::new()),
    ];
    for (field, with, without) in lists {
        // A list matches whole values; a single text with a blank in it would match words.
        if !with.is_empty() {
            conditions.must.push(Condition::matches(field, with.clone()));
        }
        if !without.is_empty() {
            conditions.must_not.push(Condition::matches(field, without.clone()));
        }
    }
    published(filter, &mut conditions);
    terms(filter, &mut conditions);
    if let Some(within) = &filter.within {
        if within.is_empty() {
            return None;
        }
        let points: Vec<PointId> = within.iter().map(point_id).collect();
        conditions.must.push(Condition::has_id(points));
    }
    if !filter.without.is_empty() {
        let points: Vec<PointId> = filter.without.iter().map(point_id).collect();
        conditions.must_not.push(Condition::has_id(points));
    }
    Some(conditions)
}

/// A range holds no point without a time.
fn published(filter: &Filter, conditions: &mut Conditions) {
    if filter.published_after.is_some() || filter.published_before.is_some() {
        let edge = |time: Option<Timestamp>| time.map(|time| time.as_millisecond() as f64);
        let range = Range {
            gte: edge(filter.published_after),
            lt: edge(filter.published_before),
            ..Range::default()
        };
        conditions.must.push(Condition::range(payload::PUBLISHED_MS, range));
    }
    let with_code = Condition::matches(payload::HAS_CODE, true);
    match filter.has_code {
        Some(true) => conditions.must.push(with_code),
        Some(false) => conditions.must_not.push(with_code),
        None => {}
    }
}

fn terms(filter: &Filter, conditions: &mut Conditions) {
    for term in &filter.terms {
        conditions
            .must
            .push(Condition::matches(payload::TERMS, i64::from(*term)));
    }
    let any = |terms: &[u32]| {
        let terms: Vec<i64> = terms.iter().map(|term| i64::from(*term)).collect();
        Condition::matches(payload::TERMS, terms)
    };
    if !filter.any_terms.is_empty() {
        conditions.must.push(any(&filter.any_terms));
    }
    if !filter.without_terms.is_empty() {
        conditions.must_not.push(any(&filter.without_terms));
    }
}

/// Papers that are, or are not, withdrawn.
pub fn withdrawn(is: bool) -> Conditions {
    Conditions::must([Condition::matches(payload::WITHDRAWN, is)])
}

/// Also published exactly then, or at a time that nobody knows.
pub fn at(mut conditions: Conditions, published_ms: i64) -> Conditions {
    conditions.must.push(match published_ms {
        UNDATED => Condition::is_empty(payload::PUBLISHED_MS),
        known => Condition::matches(payload::PUBLISHED_MS, known),
    });
    conditions
}

/// Also published before.
pub fn before(mut conditions: Conditions, published_ms: i64) -> Conditions {
    let range = Range {
        lt: Some(published_ms as f64),
        ..Range::default()
    };
    conditions.must.push(Condition::range(payload::PUBLISHED_MS, range));
    conditions
}
