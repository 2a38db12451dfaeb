//! The search page.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use common::grpc::ServiceChannel;
use minijinja::context;
use minijinja::value::Serde;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{
    CountFacetsRequest, FacetField, SearchOrder, SearchPapersRequest, SearchPapersResponse, SearchResult,
};
use serde::{Deserialize, Serialize};
use tonic::Code;

use crate::Front;
use crate::page::Pages;
use crate::paper::{Stretch, authors, published, stretches, url_of};

/// Values of a facet that are shown.
const FACET_VALUES: i32 = 10;
/// A sort that is asked for in the address.
const NEWEST: &str = "newest";
const RESULTS_PER_PAGE: i32 = 20;

#[derive(Deserialize)]
pub struct SearchQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    sort: String,
}

#[derive(Debug, Clone, Serialize)]
struct ShownPaper {
    title: Vec<Stretch>,
    sentence: Vec<Stretch>,
    /// A query for papers like this one.
    similar: String,
    url: Option<String>,
    authors: String,
    published: String,
    categories: String,
    abstract_text: String,
    why: String,
}

/// A way to narrow a search.
#[derive(Debug, Clone, Serialize)]
struct Narrowing {
    value: String,
    papers: u64,
    /// The query that is narrowed so.
    query: String,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Narrowings {
    categories: Vec<Narrowing>,
    years: Vec<Narrowing>,
}

/// The search page, with results when there is a query.
pub async fn search(State(front): State<Arc<Front>>, Query(asked): Query<SearchQuery>) -> Response {
    let query = asked.q.trim().to_owned();
    if query.is_empty() {
        let context = context! { query => "" };
        return front.pages.render(StatusCode::OK, "search.html", context);
    }
    let newest = asked.sort == NEWEST;
    let order = if newest {
        SearchOrder::Newest
    } else {
        SearchOrder::Relevance
    };
    let request = SearchPapersRequest {
        query: query.clone(),
        page_size: RESULTS_PER_PAGE,
        page_token: asked.page,
        order: order.into(),
        ..SearchPapersRequest::default()
    };
    let (mut client, counting) = (front.search.clone(), front.search.clone());
    // Where papers cannot be counted, the page does without.
    let (answer, narrowings) = tokio::join!(client.search_papers(request), narrowings(counting, &query));
    match answer {
        Ok(answer) => found(&front.pages, &query, newest, answer.into_inner(), narrowings),
        Err(error) if error.code() == Code::InvalidArgument => {
            let context = context! { query, problem => error.message() };
            front.pages.render(StatusCode::BAD_REQUEST, "search.html", context)
        }
        Err(error) => front.pages.failure(&error),
    }
}

fn found(pages: &Pages, query: &str, newest: bool, answer: SearchPapersResponse, narrowings: Narrowings) -> Response {
    let papers: Vec<ShownPaper> = answer.results.into_iter().filter_map(shown).collect();
    let context = context! {
        query, newest, papers => Serde(papers), narrowings => Serde(narrowings),
        searched => true,
        total => answer.total_size,
        total_is_estimate => answer.total_is_estimate,
        notice => answer.notice,
        next => answer.next_page_token,
    };
    pages.render(StatusCode::OK, "search.html", context)
}

/// The categories and years of the papers that pass the query's restrictions.
async fn narrowings(mut client: SearchServiceClient<ServiceChannel>, query: &str) -> Narrowings {
    let mut narrowings = Narrowings::default();
    let request = CountFacetsRequest {
        fields: vec![FacetField::Category.into(), FacetField::Year.into()],
        limit: FACET_VALUES,
        query: query.to_owned(),
        ..CountFacetsRequest::default()
    };
    let Ok(answer) = client.count_facets(request).await else {
        return narrowings;
    };
    for facet in answer.into_inner().facets {
        let (field, list) = match facet.field() {
            FacetField::Category => ("cat", &mut narrowings.categories),
            _ => ("year", &mut narrowings.years),
        };
        // Beside a category a second one would widen the search, and beside a year it would find nothing.
        if query
            .split_whitespace()
            .any(|word| word.starts_with(&format!("{field}:")))
        {
            continue;
        }
        list.extend(facet.values.into_iter().map(|one| Narrowing {
            query: format!("{query} {field}:{}", quoted(&one.value)),
            value: one.value,
            papers: one.papers,
        }));
    }
    narrowings
}

/// An id as `like:` takes it: colons and slashes end no word, white space, quotes and parentheses may.
fn quoted_id(id: &str) -> String {
    if id.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '(' | ')')) {
        return format!("\"{}\"", id.replace('"', " "));
    }
    id.to_owned()
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

fn shown(result: SearchResult) -> Option<ShownPaper> {
    let paper = result.paper?;
    let legs: Vec<String> = result
        .parts
        .iter()
        .map(|part| format!("{} rank {}", part.name, part.rank))
        .collect();
    let highlight = result.highlight.unwrap_or_default();
    Some(ShownPaper {
        title: stretches(&paper.title, &highlight.title_spans),
        sentence: stretches(&highlight.sentence, &highlight.sentence_spans),
        similar: format!("like:{}", quoted_id(&paper.id)),
        url: url_of(&paper),
        authors: authors(&paper),
        published: published(&paper),
        categories: paper.categories.join(", "),
        why: format!("score {:.4}: {}", result.score, legs.join(", ")),
        abstract_text: paper.r#abstract,
    })
}

#[cfg(test)]
mod tests {
    use proto::search::v1::TextSpan;

    use super::*;

    async fn html(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        String::from_utf8(body.expect("a body").to_vec()).expect("text")
    }

    #[tokio::test]
    async fn every_part_of_the_search_page_renders_and_is_escaped() {
        let span = |start, end| TextSpan { start, end };
        let paper = ShownPaper {
            title: stretches("<b>Owls</b>", &[span(3, 7)]),
            sentence: stretches("Owls & mice.", &[span(0, 4)]),
            similar: "like:x:\"<i>\"".to_owned(),
            url: Some("https://example.org/".to_owned()),
            authors: "A".to_owned(),
            published: "1 May 2026".to_owned(),
            categories: "cs.CL".to_owned(),
            abstract_text: "Text.".to_owned(),
            why: "score 1".to_owned(),
        };
        let narrowings = Narrowings {
            categories: vec![Narrowing {
                value: "<u>".to_owned(),
                papers: 2,
                query: "a & b cat:\"<u>\"".to_owned(),
            }],
            years: Vec::new(),
        };
        let context = context! {
            query => "a & b", searched => true, papers => Serde(vec![paper]), next => "x=1", problem => "<s>",
            narrowings => Serde(narrowings), total => 3, notice => "<em>", newest => true
        };
        let html = html(Pages::new().render(StatusCode::OK, "search.html", context)).await;
        for expected in [
            "/?q=a%20%26%20b&amp;sort=newest&amp;page=x%3D1",
            "&lt;b&gt;<mark>Owls</mark>",
            "<mark>Owls</mark> &amp; mice.",
            "/?q=like%3Ax%3A%22%3Ci%3E%22",
            "cat%3A%22%3Cu%3E%22",
            "3 papers",
        ] {
            assert!(html.contains(expected), "{expected}: {html}");
        }
        for hostile in ["<b>", "<i>", "<u>", "<s>", "<em>"] {
            assert!(!html.contains(hostile), "{hostile}: {html}");
        }
    }
}
