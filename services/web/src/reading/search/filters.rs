//! Filters of a search: facets that narrow it, and the filters it has already, each with a link that removes it.

use proto::search::v1::{CountFacetsRequest, FacetField};
use serde::Serialize;

use super::ResultOrder;
use crate::caller::Caller;
use crate::categories;
use crate::state::AppState;

/// Values shown per facet.
const FACET_VALUES: i32 = 10;

/// A link that narrows a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FacetLink {
    label: String,
    papers: u64,
    /// The narrowed search.
    href: String,
}

/// The values of one facet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FacetGroup {
    title: &'static str,
    values: Vec<FacetLink>,
}

/// A filter in the query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppliedFilter {
    /// As written.
    text: String,
    /// The search without it.
    href: String,
}

/// All filters of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SearchFilters {
    groups: Vec<FacetGroup>,
    applied: Vec<AppliedFilter>,
}

/// The categories, years and sources of matching papers, and the filters of the query. If the papers cannot be counted, the
/// page does without the facets.
pub async fn search_filters(app: &AppState, caller: &Caller, query: &str, sort: ResultOrder) -> SearchFilters {
    let mut filters = SearchFilters {
        groups: Vec::new(),
        applied: applied(query, sort),
    };
    let request = CountFacetsRequest {
        fields: vec![
            FacetField::Category.into(),
            FacetField::Year.into(),
            FacetField::Source.into(),
        ],
        limit: FACET_VALUES,
        query: query.to_owned(),
        ..CountFacetsRequest::default()
    };
    let Ok(answer) = app.fetch(caller, request).await else {
        return filters;
    };
    let words = words(query);
    for facet in &answer.facets {
        let (field, title) = match facet.field() {
            FacetField::Category => ("cat", "Category"),
            FacetField::Year => ("year", "Year"),
            _ => ("source", "Source"),
        };
        // A second category would widen the search, and a second year would find nothing.
        if words.iter().any(|word| word.starts_with(&format!("{field}:"))) || facet.values.len() < 2 {
            continue;
        }
        let narrow = |value: &str| sort.path(&format!("{query} {field}:{}", quoted(value)));
        let values = facet.values.iter().map(|one| FacetLink {
            label: categories::label(&one.value).to_owned(),
            papers: one.papers,
            href: narrow(&one.value),
        });
        filters.groups.push(FacetGroup {
            title,
            values: values.collect(),
        });
    }
    filters
}

/// The filters of a query, each with the query without it.
fn applied(query: &str, sort: ResultOrder) -> Vec<AppliedFilter> {
    const FIELDS: [&str; 7] = ["cat:", "author:", "source:", "lang:", "has:", "year:", "date:"];
    let words = words(query);
    let is_field = |word: &str| {
        let bare = word.strip_prefix('-').unwrap_or(word);
        FIELDS.iter().any(|field| bare.starts_with(field))
    };
    let places = (0..words.len()).filter(|place| is_field(words[*place]));
    let without = |place: usize| {
        let rest = words.iter().enumerate().filter(|(other, _)| *other != place);
        rest.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
    };
    places
        .map(|place| AppliedFilter {
            text: words[place].to_owned(),
            href: sort.path(&without(place)),
        })
        .collect()
}

/// Splits a query at white space outside quotes.
fn words(query: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let parts = query.split(|c: char| {
        is_quoted ^= c == '"';
        c.is_whitespace() && !is_quoted
    });
    parts.filter(|word| !word.is_empty()).collect()
}

/// A value in the syntax of the query language.
fn quoted(value: &str) -> String {
    let is_plain = value
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if is_plain {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('"', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_can_be_removed() {
        let query = "owls -cat:cs.CL author:\"Ada Lovelace\" at night";
        let found = applied(query, ResultOrder::Newest);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].text, "author:\"Ada Lovelace\"");
        assert_eq!(found[1].href, "/search?q=owls%20-cat%3Acs.CL%20at%20night&sort=newest");
        assert!(applied("like:arxiv:1 \"cat:cs.CL\"", ResultOrder::Relevance).is_empty());
    }

    #[test]
    fn values_are_quoted_if_necessary() {
        assert_eq!(quoted("q-bio.PE"), "q-bio.PE");
        assert_eq!(quoted("a \"b\""), "\"a  b \"");
    }
}
