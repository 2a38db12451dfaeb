//! Ways to narrow a search, and the restrictions it has already, each with the query without it.

use proto::search::v1::{CountFacetsRequest, FacetField};
use serde::Serialize;

use super::Sort;
use crate::Front;
use crate::categories;
use crate::client::Client;

/// Values of a facet that are shown.
const FACET_VALUES: i32 = 10;

/// A way to narrow a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Narrowing {
    label: String,
    papers: u64,
    /// The search that is narrowed so.
    href: String,
}

/// Ways of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    title: &'static str,
    values: Vec<Narrowing>,
}

/// A restriction that the query has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restriction {
    /// As it was written.
    text: String,
    /// The search without it.
    href: String,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Narrowings {
    groups: Vec<Group>,
    restrictions: Vec<Restriction>,
}

/// The categories, years and sources of the papers that pass the query's restrictions. Where they cannot be counted, the page
/// does without.
pub async fn of(front: &Front, client: &Client, query: &str, sort: Sort) -> Narrowings {
    let mut narrowings = Narrowings {
        groups: Vec::new(),
        restrictions: restrictions(query, sort),
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
    let Ok(answer) = front.ask(client, request).await else {
        return narrowings;
    };
    let words = words(query);
    for facet in &answer.facets {
        let (field, title) = match facet.field() {
            FacetField::Category => ("cat", "Category"),
            FacetField::Year => ("year", "Year"),
            _ => ("source", "Source"),
        };
        // Beside a category a second one would widen the search, and beside a year it would find nothing.
        if words.iter().any(|word| word.starts_with(&format!("{field}:"))) || facet.values.len() < 2 {
            continue;
        }
        let narrow = |value: &str| sort.path(&format!("{query} {field}:{}", quoted(value)));
        let values = facet.values.iter().map(|one| Narrowing {
            label: categories::label(&one.value).to_owned(),
            papers: one.papers,
            href: narrow(&one.value),
        });
        narrowings.groups.push(Group {
            title,
            values: values.collect(),
        });
    }
    narrowings
}

/// What of a query restricts, with the query without it. Words stay.
fn restrictions(query: &str, sort: Sort) -> Vec<Restriction> {
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
        .map(|place| Restriction {
            text: words[place].to_owned(),
            href: sort.path(&without(place)),
        })
        .collect()
}

/// A query at its white space outside of quotes.
fn words(query: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let parts = query.split(|c: char| {
        is_quoted ^= c == '"';
        c.is_whitespace() && !is_quoted
    });
    parts.filter(|word| !word.is_empty()).collect()
}

/// A value as the query language takes it.
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
    fn each_restriction_can_be_taken_away() {
        let query = "owls -cat:cs.CL author:\"Ada Lovelace\" at night";
        let found = restrictions(query, Sort::Newest);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].text, "author:\"Ada Lovelace\"");
        assert_eq!(found[1].href, "/search?q=owls%20-cat%3Acs.CL%20at%20night&sort=newest");
        assert!(restrictions("like:arxiv:1 \"cat:cs.CL\"", Sort::Relevance).is_empty());
    }

    #[test]
    fn values_are_quoted_where_they_must_be() {
        assert_eq!(quoted("q-bio.PE"), "q-bio.PE");
        assert_eq!(quoted("a \"b\""), "\"a  b \"");
    }
}
