//! The search page: results with what of them fits and why they are there, ways to narrow, and what is wrong with a query.

mod narrowing;
mod problem;
mod reasons;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::search::v1::{SearchOrder, SearchPapersRequest, SearchPapersResponse, SearchResult};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

use self::narrowing::Narrowings;
use self::reasons::Reason;
use crate::Front;
use crate::client::Client;
use crate::page::{Asked, NOT_NOW};
use crate::paper::{PaperView, escaped_value, search_path};
use crate::reader::Reader;

const RESULTS_PER_PAGE: i32 = 20;
const TEMPLATE: &str = "search.html";

/// What the address asks.
#[derive(Deserialize)]
pub struct SearchQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    sort: Sort,
}

/// The order of results; a name that is not known is the usual one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Newest,
    Trending,
    #[default]
    #[serde(other)]
    Relevance,
}

impl Sort {
    const ALL: [Self; 3] = [Self::Relevance, Self::Newest, Self::Trending];

    fn name(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Newest => "newest",
            Self::Trending => "trending",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Relevance => "best first",
            Self::Newest => "newest first",
            Self::Trending => "trending first",
        }
    }

    fn order(self) -> SearchOrder {
        match self {
            Self::Relevance => SearchOrder::Relevance,
            Self::Newest => SearchOrder::Newest,
            Self::Trending => SearchOrder::Trending,
        }
    }

    fn path(self, query: &str) -> String {
        let path = search_path(query);
        match self {
            Self::Relevance => path,
            other => format!("{path}&sort={}", other.name()),
        }
    }
}

/// An order that can be chosen.
#[derive(Debug, Serialize)]
struct Choice {
    label: &'static str,
    href: String,
    is_chosen: bool,
}

/// A result.
#[derive(Debug, Serialize)]
struct Found {
    paper: PaperView,
    score: String,
    reasons: Vec<Reason>,
    /// The reasons in one line.
    summary: String,
}

/// The search page, with results when there is a query.
pub async fn search(
    State(front): State<Arc<Front>>,
    client: Client,
    reader: Reader,
    Asked(asked): Asked<SearchQuery>,
) -> Response {
    let query = asked.q.trim().to_owned();
    let sort = asked.sort;
    if query.is_empty() {
        return front.pages.render(StatusCode::OK, TEMPLATE, context! { query => "" });
    }
    let parsed = match domain::query::parse(&query) {
        Ok(parsed) => parsed,
        Err(problem) => {
            let problem = problem::of(&query, &problem);
            let context = context! { query, sort => sort.name(), problem => Serde(problem) };
            return front.pages.render(StatusCode::BAD_REQUEST, TEMPLATE, context);
        }
    };
    let request = SearchPapersRequest {
        query: query.clone(),
        page_size: RESULTS_PER_PAGE,
        page_token: asked.page.clone(),
        order: sort.order().into(),
        ..SearchPapersRequest::default()
    };
    let (found, narrowings) = tokio::join!(
        front.ask(&client, request),
        narrowing::of(&front, &client, &query, sort)
    );
    match found {
        Ok(answer) => {
            let found = found_context(&asked, &query, &reader, &answer, narrowings);
            let context = context! { has_words => parsed.meaning.is_some(), ..found };
            front.pages.render(StatusCode::OK, TEMPLATE, context)
        }
        Err(error) => failed(&front, &query, sort, narrowings, &error),
    }
}

/// What is wrong with the query, or that nobody answers it now.
fn failed(front: &Front, query: &str, sort: Sort, narrowings: Narrowings, error: &Status) -> Response {
    let (status, said) = if matches!(error.code(), Code::InvalidArgument | Code::NotFound) {
        (StatusCode::BAD_REQUEST, error.message())
    } else {
        tracing::warn!(code = ?error.code(), message = error.message(), "a search could not be answered");
        (StatusCode::SERVICE_UNAVAILABLE, NOT_NOW)
    };
    let problem = Serde(problem::said(said));
    let context = context! { query, sort => sort.name(), problem, narrowings => Serde(narrowings) };
    front.pages.render(status, TEMPLATE, context)
}

fn found_context(
    asked: &SearchQuery,
    query: &str,
    reader: &Reader,
    answer: &SearchPapersResponse,
    narrowings: Narrowings,
) -> Value {
    let sort = asked.sort;
    let papers: Vec<Found> = answer.results.iter().filter_map(|one| found(one, reader)).collect();
    let sorts = Sort::ALL.map(|one| Choice {
        label: one.label(),
        href: one.path(query),
        is_chosen: one == sort,
    });
    let page_of = |token: &str| format!("{}&page={}", sort.path(query), escaped_value(token));
    let here = if asked.page.is_empty() {
        sort.path(query)
    } else {
        page_of(&asked.page)
    };
    let next = Some(&answer.next_page_token).filter(|token| !token.is_empty());
    context! {
        query,
        here,
        sort => sort.name(),
        searched => true,
        papers => Serde(papers),
        narrowings => Serde(narrowings),
        sorts => Serde(sorts),
        total => answer.total_size,
        total_is_estimate => answer.total_is_estimate,
        notice => answer.notice.as_str(),
        first => (!asked.page.is_empty()).then(|| sort.path(query)),
        next => next.map(|token| page_of(token)),
    }
}

fn found(result: &SearchResult, reader: &Reader) -> Option<Found> {
    let paper = result.paper.as_ref()?;
    let reasons = reasons::of(&result.parts);
    Some(Found {
        paper: PaperView::found(paper, reader, &result.highlight.clone().unwrap_or_default()),
        score: format!("{:.4}", result.score),
        summary: reasons::summary(&reasons),
        reasons,
    })
}

#[cfg(test)]
mod tests;
