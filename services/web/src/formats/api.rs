//! The read-only HTTP API. Its JSON has the shape of the Hugging Face papers API, so that clients of that one work here;
//! fields of our own are added.
//!
//! Ids may be canonical, or the bare arXiv ids or DOIs that those clients use.

mod period;
mod shape;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use common::status;
use proto::papers::v1::Paper;
use proto::search::v1::{
    GetPaperRequest, ListPapersRequest, ListTrendingPapersRequest, PaperFilter, SearchPapersRequest, TrendingWindow,
};
use serde::Deserialize;
use serde_json::Value;
use tonic::Status;

use super::lists;
use super::paper::{IN_VALUE, PaperFormat, changed, http_date, render};
use crate::caller::Caller;
use crate::error_response::{Audience, call_failed, json_error};
use crate::state::AppState;

/// Last paper of a list that `p` may reach.
const DEEPEST: i32 = 1_000;
/// Most papers in one response.
const MAX_LIMIT: i32 = 100;

/// Parameters of a search.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApiSearchQuery {
    q: String,
    limit: String,
    sort: String,
    page: String,
}

/// `/api/papers/search?q=…&limit=…`: a list of papers, best first.
pub async fn search(State(app): State<Arc<AppState>>, caller: Caller, Query(query): Query<ApiSearchQuery>) -> Response {
    match search_response(&app, &caller, &query).await {
        Ok(response) => response,
        Err(error) => call_failed(Audience::Program, &error),
    }
}

async fn search_response(app: &AppState, caller: &Caller, query: &ApiSearchQuery) -> Result<Response, Status> {
    if query.q.trim().is_empty() {
        return Err(status::invalid(
            "q",
            "is empty; name what to search for, such as ?q=owls",
        ));
    }
    let request = SearchPapersRequest {
        query: query.q.trim().to_owned(),
        page_size: number("limit", &query.limit, 20, 1..=MAX_LIMIT)?,
        page_token: query.page.clone(),
        order: lists::order(&query.sort)?.into(),
        ..SearchPapersRequest::default()
    };
    let answer = app.fetch(caller, request).await?;
    let votes = votes(app, caller).await;
    let papers = answer.results.iter().filter_map(|result| result.paper.as_ref());
    let list = papers
        .map(|paper| shape::listed(paper, &votes, caller.base()))
        .collect();
    let mut response = json(&Value::Array(list));
    link_next(&mut response, caller, query, &answer.next_page_token);
    Ok(response)
}

/// Adds the link to the next page (RFC 8288).
fn link_next(response: &mut Response, caller: &Caller, query: &ApiSearchQuery, token: &str) {
    if token.is_empty() {
        return;
    }
    let pairs = [
        ("q", query.q.as_str()),
        ("limit", &query.limit),
        ("sort", &query.sort),
        ("page", token),
    ];
    let parameters: Vec<String> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            let value = percent_encoding::utf8_percent_encode(value, IN_VALUE);
            format!("{name}={value}")
        })
        .collect();
    let link = format!(
        "<{}/api/papers/search?{}>; rel=\"next\"",
        caller.base(),
        parameters.join("&")
    );
    if let Ok(link) = link.parse() {
        response.headers_mut().insert(header::LINK, link);
    }
}

/// Parameters of one paper.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PaperFormatQuery {
    format: String,
}

/// `/api/papers/{id}`: one paper, in the shape of this API or in another requested format.
pub async fn paper(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<PaperFormatQuery>,
    headers: HeaderMap,
) -> Response {
    let format = match PaperFormat::requested(Some(&query.format), &headers) {
        Ok(format) => format,
        Err(error) => return json_error(StatusCode::BAD_REQUEST, &error.to_string(), Some("format")),
    };
    let paper_id = match domain::PaperId::parse(&id) {
        Ok(id) => id.to_string(),
        Err(error) => return json_error(StatusCode::BAD_REQUEST, &format!("id {error}"), Some("id")),
    };
    let answer = match app.fetch(&caller, GetPaperRequest { paper_id }).await {
        Ok(answer) => answer,
        Err(error) => return call_failed(Audience::Program, &error),
    };
    let Some(paper) = &answer.paper else {
        return json_error(StatusCode::NOT_FOUND, "no such paper", Some("id"));
    };
    if is_other(format, &query.format) {
        return render(paper, format, caller.base());
    }
    let votes = votes(&app, &caller).await;
    let mut response = json(&shape::paper(paper, &votes, caller.base()));
    if let Some(date) = changed(paper).and_then(|time| http_date(time).parse().ok()) {
        response.headers_mut().insert(header::LAST_MODIFIED, date);
    }
    response
}

/// Whether another format than that of this API is meant; browsers and programs that accept anything get that of this API.
fn is_other(format: PaperFormat, named: &str) -> bool {
    !named.is_empty() || !matches!(format, PaperFormat::Html | PaperFormat::Json)
}

/// Parameters of a list of papers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DailyPapersQuery {
    date: String,
    week: String,
    month: String,
    submitter: String,
    sort: String,
    limit: String,
    p: String,
}

/// `/api/daily_papers`: papers of a day, a week or a month, or the newest. Papers of unknown date are in none of them.
pub async fn daily_papers(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    Query(query): Query<DailyPapersQuery>,
) -> Response {
    match list(&app, &caller, &query).await {
        Ok(papers) => {
            let votes = votes(&app, &caller).await;
            let list = papers
                .iter()
                .map(|paper| shape::listed(paper, &votes, caller.base()))
                .collect();
            json(&Value::Array(list))
        }
        Err(error) => call_failed(Audience::Program, &error),
    }
}

async fn list(app: &AppState, caller: &Caller, query: &DailyPapersQuery) -> Result<Vec<Paper>, Status> {
    let limit = number("limit", &query.limit, 50, 1..=MAX_LIMIT)?;
    let page = number("p", &query.p, 0, 0..=DEEPEST)?;
    let end = page.saturating_add(1).saturating_mul(limit);
    if end > DEEPEST {
        let text = format!(
            "is {page}, which with limit {limit} goes past the first {DEEPEST} papers; narrow the list with date, week or month"
        );
        return Err(status::invalid("p", text));
    }
    let filter = daily_filter(query)?;
    let papers = match query.sort.as_str() {
        "" | "publishedAt" => newest(app, caller, filter, end).await?,
        "trending" => trending(app, caller, query, filter, end).await?,
        other => return Err(lists::not_allowed("sort", other, "publishedAt and trending")),
    };
    let skipped = usize::try_from(page.saturating_mul(limit)).unwrap_or(usize::MAX);
    Ok(papers
        .into_iter()
        .skip(skipped)
        .take(usize::try_from(limit).unwrap_or(0))
        .collect())
}

async fn newest(app: &AppState, caller: &Caller, filter: PaperFilter, count: i32) -> Result<Vec<Paper>, Status> {
    let request = ListPapersRequest {
        filter: Some(filter),
        page_size: count,
        page_token: String::new(),
    };
    Ok(app.fetch(caller, request).await?.papers.clone())
}

/// Trending papers first, then new ones, so that a day without votes still has its papers.
async fn trending(
    app: &AppState,
    caller: &Caller,
    query: &DailyPapersQuery,
    filter: PaperFilter,
    count: i32,
) -> Result<Vec<Paper>, Status> {
    let is_of_now = query.date.is_empty() && query.week.is_empty() && query.month.is_empty();
    let window = if is_of_now {
        TrendingWindow::Day
    } else {
        TrendingWindow::Month
    };
    let request = ListTrendingPapersRequest {
        window: window.into(),
        filter: Some(filter.clone()),
        page_size: count,
        page_token: String::new(),
    };
    let answer = app.fetch(caller, request).await?;
    let mut papers: Vec<Paper> = answer.papers.iter().filter_map(|one| one.paper.clone()).collect();
    if papers.len() < usize::try_from(count).unwrap_or(0) {
        let known: Vec<String> = papers.iter().map(|paper| paper.id.clone()).collect();
        // Trending papers may be among the new ones, so as many more are read.
        let wanted = count
            .saturating_add(i32::try_from(known.len()).unwrap_or(0))
            .min(DEEPEST);
        let others = newest(app, caller, filter, wanted).await?;
        papers.extend(others.into_iter().filter(|paper| !known.contains(&paper.id)));
    }
    Ok(papers)
}

fn daily_filter(query: &DailyPapersQuery) -> Result<PaperFilter, Status> {
    let mut filter = PaperFilter::default();
    if let Some((start, end)) = period::days(&query.date, &query.week, &query.month)? {
        filter.published_after = lists::start_of(start);
        filter.published_before = lists::start_of(end);
    }
    // Papers come from feeds; nobody submits them by name.
    if !query.submitter.is_empty() {
        filter.sources = vec![query.submitter.clone()];
    }
    Ok(lists::dated(filter))
}

/// Readers who voted in the last 30 days, by paper. `None` if the search service cannot say.
async fn votes(app: &AppState, caller: &Caller) -> Option<HashMap<String, u32>> {
    let request = ListTrendingPapersRequest {
        window: TrendingWindow::Month.into(),
        filter: None,
        page_size: DEEPEST,
        page_token: String::new(),
    };
    let answer = app.fetch(caller, request).await.ok()?;
    let votes = answer
        .papers
        .iter()
        .filter_map(|one| Some((one.paper.as_ref()?.id.clone(), lists::votes(one))));
    Some(votes.collect())
}

/// A number in an address, or `default` if it is absent.
fn number(field: &str, text: &str, default: i32, allowed: std::ops::RangeInclusive<i32>) -> Result<i32, Status> {
    if text.is_empty() {
        return Ok(default);
    }
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| {
        let (text, low, high) = (domain::text::shorten(text), allowed.start(), allowed.end());
        status::invalid(
            field,
            format!("is {text:?}; allowed are whole numbers from {low} to {high}"),
        )
    })
}

/// Any other address under `/api/`.
pub async fn not_found(Path(path): Path<String>) -> Response {
    let path = domain::text::shorten(&path);
    let text =
        format!("there is nothing at /api/{path}; try /api/papers/search?q=, /api/papers/<id> or /api/daily_papers");
    json_error(StatusCode::NOT_FOUND, &text, None)
}

/// The API is read-only.
pub async fn method_not_allowed(method: Method) -> Response {
    super::not_allowed(&method, "GET, HEAD, OPTIONS")
}

fn json(value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (headers, format!("{value}\n")).into_response()
}
