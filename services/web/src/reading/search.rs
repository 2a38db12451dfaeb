//! The search page: results with their matching words and the reasons for them, filters, and what is wrong with a query.

mod filters;
mod query_problem;
mod reasons;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use domain::query::NamedPaper;
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::search::v1::{SearchOrder, SearchPapersRequest, SearchPapersResponse, SearchResult};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

use self::filters::SearchFilters;
use self::query_problem::QueryProblem;
use self::reasons::ScoreReason;
use crate::caller::Caller;
use crate::cookies::ReaderCookies;
use crate::page::{PageQuery, UNAVAILABLE};
use crate::paper::{PaperView, escaped_value, path_of, search_path};
use crate::reading::queries::papers_by_id;
use crate::state::AppState;

const RESULTS_PER_PAGE: i32 = 20;
const TEMPLATE: &str = "search.html";

/// Parameters of the page.
#[derive(Deserialize)]
pub struct SearchPageQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    sort: ResultOrder,
}

/// The order of results; an unknown name means the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ResultOrder {
    Newest,
    Trending,
    #[default]
    #[serde(other)]
    Relevance,
}

impl ResultOrder {
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

/// A link to another order.
#[derive(Debug, Serialize)]
struct OrderLink {
    label: &'static str,
    href: String,
    is_chosen: bool,
}

/// A search result.
#[derive(Debug, Serialize)]
struct ResultView {
    paper: PaperView,
    score: String,
    reasons: Vec<ScoreReason>,
    /// The reasons in one line.
    summary: String,
}

/// The search page, with results when there is a query.
pub async fn search(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    reader: ReaderCookies,
    PageQuery(params): PageQuery<SearchPageQuery>,
) -> Response {
    let query = params.q.trim().to_owned();
    let sort = params.sort;
    if query.is_empty() {
        return app.pages.render(StatusCode::OK, TEMPLATE, context! { query => "" });
    }
    let parsed = match domain::query::parse(&query) {
        Ok(parsed) => parsed,
        Err(error) => {
            let problem = QueryProblem::located(&query, &error);
            let context = context! { query, sort => sort.name(), problem => Serde(problem) };
            return app.pages.render(StatusCode::BAD_REQUEST, TEMPLATE, context);
        }
    };
    let named = parsed.named().filter(|_| params.page.is_empty());
    if let Some(named) = named
        && let Some(path) = page_of(&app, &caller, &named).await
    {
        return Redirect::to(&path).into_response();
    }
    let request = SearchPapersRequest {
        query: query.clone(),
        page_size: RESULTS_PER_PAGE,
        page_token: params.page.clone(),
        order: sort.order().into(),
        ..SearchPapersRequest::default()
    };
    let (answer, filters) = tokio::join!(
        app.fetch(&caller, request),
        filters::search_filters(&app, &caller, &query, sort)
    );
    match answer {
        Ok(answer) => {
            let results = results_context(&params, &query, &reader, &answer, filters);
            let context = context! { has_words => parsed.expression.is_some(), ..results };
            app.pages.render(StatusCode::OK, TEMPLATE, context)
        }
        Err(error) => failed(&app, &query, sort, filters, &error),
    }
}

/// The page of the paper that a query names, if it is here.
async fn page_of(app: &AppState, caller: &Caller, named: &NamedPaper) -> Option<String> {
    let ids = named.ids.iter().map(ToString::to_string).collect();
    let found = papers_by_id(app, caller, ids).await.ok()?;
    found.papers.first().map(|paper| path_of(&paper.id))
}

/// Says what is wrong with the query, or that the search is unavailable.
fn failed(app: &AppState, query: &str, sort: ResultOrder, filters: SearchFilters, error: &Status) -> Response {
    let (status, text) = if matches!(error.code(), Code::InvalidArgument | Code::NotFound) {
        (StatusCode::BAD_REQUEST, error.message())
    } else {
        tracing::warn!(code = ?error.code(), message = error.message(), "cannot answer a search");
        (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE)
    };
    let problem = Serde(QueryProblem::new(text));
    let context = context! { query, sort => sort.name(), problem, filters => Serde(filters) };
    app.pages.render(status, TEMPLATE, context)
}

fn results_context(
    params: &SearchPageQuery,
    query: &str,
    reader: &ReaderCookies,
    answer: &SearchPapersResponse,
    filters: SearchFilters,
) -> Value {
    let sort = params.sort;
    let papers: Vec<ResultView> = answer
        .results
        .iter()
        .filter_map(|one| result_view(one, reader))
        .collect();
    let sorts = ResultOrder::ALL.map(|one| OrderLink {
        label: one.label(),
        href: one.path(query),
        is_chosen: one == sort,
    });
    let page_of = |token: &str| format!("{}&page={}", sort.path(query), escaped_value(token));
    let here = if params.page.is_empty() {
        sort.path(query)
    } else {
        page_of(&params.page)
    };
    let next = Some(&answer.next_page_token).filter(|token| !token.is_empty());
    context! {
        query,
        here,
        sort => sort.name(),
        searched => true,
        papers => Serde(papers),
        filters => Serde(filters),
        sorts => Serde(sorts),
        total => answer.total_size,
        total_is_estimate => answer.total_is_estimate,
        notice => answer.notice.as_str(),
        first => (!params.page.is_empty()).then(|| sort.path(query)),
        next => next.map(|token| page_of(token)),
    }
}

fn result_view(result: &SearchResult, reader: &ReaderCookies) -> Option<ResultView> {
    let paper = result.paper.as_ref()?;
    let reasons = reasons::score_reasons(&result.parts);
    Some(ResultView {
        paper: PaperView::highlighted(paper, reader, &result.highlight.clone().unwrap_or_default()),
        score: format!("{:.4}", result.score),
        summary: reasons::summary(&reasons),
        reasons,
    })
}

#[cfg(test)]
mod tests;
