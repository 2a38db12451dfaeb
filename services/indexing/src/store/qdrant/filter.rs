//! Restrictions in the server's words.
//!
//! Every field used here has a payload index; see [`super::collection`].

use jiff::Timestamp;
use qdrant_client::qdrant::{Condition, Filter as Conditions, Range};

use super::payload;
use crate::store::Filter;

/// Papers that pass a filter and are not withdrawn.
pub fn conditions(filter: &Filter) -> Conditions {
    let mut conditions = withdrawn(false);
    let lists = [
        (payload::CATEGORIES, &filter.categories),
        (payload::SOURCE, &filter.sources),
        (payload::AUTHORS_FOLDED, &filter.authors),
    ];
    for (field, values) in lists {
        if !values.is_empty() {
            // A list matches whole values; a single text with a blank in it would match words.
            conditions.must.push(Condition::matches(field, values.clone()));
        }
    }
    if filter.published_after.is_some() || filter.published_before.is_some() {
        let edge = |time: Option<Timestamp>| time.map(|time| time.as_millisecond() as f64);
        let range = Range {
            gte: edge(filter.published_after),
            lt: edge(filter.published_before),
            ..Range::default()
        };
        conditions.must.push(Condition::range(payload::PUBLISHED_MS, range));
    }
    conditions
}

/// Papers that are, or are not, withdrawn.
pub fn withdrawn(is: bool) -> Conditions {
    Conditions::must([Condition::matches(payload::WITHDRAWN, is)])
}

/// Also published exactly then.
pub fn at(mut conditions: Conditions, published_ms: i64) -> Conditions {
    conditions
        .must
        .push(Condition::matches(payload::PUBLISHED_MS, published_ms));
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
