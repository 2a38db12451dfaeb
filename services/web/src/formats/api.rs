//! The HTTP API for reading. Its shapes are those of the Hugging Face papers API, so that clients of that one work here;
//! what such clients do not know is added beside.
//!
//! Ids may be canonical, or the bare arXiv id or DOI that those clients use.

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
use super::paper::{IN_VALUE, PaperFormat, canonical_id, changed, http_date, render};
use crate::Front;
use crate::client::Client;
use crate::refusal::{Reader, failed, json_error};

/// How far into a list `p` may lead.
const DEEPEST: i32 = 1_000;
/// Most papers of one answer.
const MOST: i32 = 100;

/// What a search says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Searched {
    q: String,
    limit: String,
    sort: String,
    page: String,
}

/// `/api/papers/search?q=…&limit=…`: a list of papers, best first.
pub async fn search(State(front): State<Arc<Front>>, client: Client, Query(asked): Query<Searched>) -> Response {
    match found(&front, &client, &asked).await {
        Ok(response) => response,
        Err(error) => failed(Reader::Program, &error),
    }
}

async fn found(front: &Front, client: &Client, asked: &Searched) -> Result<Response, Status> {
    if asked.q.trim().is_empty() {
        return Err(status::invalid("q", "is empty; say what to look for, such as ?q=owls"));
    }
    let request = SearchPapersRequest {
        query: asked.q.trim().to_owned(),
        page_size: number("limit", &asked.limit, 20, 1..=MOST)?,
        page_token: asked.page.clone(),
        order: lists::order(&asked.sort)?.into(),
        ..SearchPapersRequest::default()
    };
    let answer = front.ask(client, request).await?;
    let votes = votes(front, client).await;
    let papers = answer.results.iter().filter_map(|result| result.paper.as_ref());
    let list = papers
        .map(|paper| shape::listed(paper, &votes, client.base()))
        .collect();
    let mut response = json(&Value::Array(list));
    link_next(
        &mut response,
        client,
        "/api/papers/search",
        &asked.q,
        &asked.limit,
        &asked.sort,
        &answer.next_page_token,
    );
    Ok(response)
}

/// Says where the list goes on (RFC 8288).
fn link_next(response: &mut Response, client: &Client, path: &str, q: &str, limit: &str, sort: &str, token: &str) {
    if token.is_empty() {
        return;
    }
    let pairs = [("q", q), ("limit", limit), ("sort", sort), ("page", token)];
    let query: Vec<String> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            let value = percent_encoding::utf8_percent_encode(value, IN_VALUE);
            format!("{name}={value}")
        })
        .collect();
    let link = format!("<{}{path}?{}>; rel=\"next\"", client.base(), query.join("&"));
    if let Ok(link) = link.parse() {
        response.headers_mut().insert(header::LINK, link);
    }
}

/// The format of one paper.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    format: String,
}

/// `/api/papers/{id}`: one paper, in the shape of this API or in another format that is asked for.
pub async fn paper(
    State(front): State<Arc<Front>>,
    client: Client,
    Path(id): Path<String>,
    Query(asked): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let format = match PaperFormat::wanted(Some(&asked.format), &headers) {
        Ok(format) => format,
        Err(error) => return json_error(StatusCode::BAD_REQUEST, &error.to_string(), Some("format")),
    };
    let paper_id = match canonical_id(&id) {
        Ok(id) => id,
        Err(error) => return json_error(StatusCode::BAD_REQUEST, &format!("id {error}"), Some("id")),
    };
    let answer = match front.ask(&client, GetPaperRequest { paper_id }).await {
        Ok(answer) => answer,
        Err(error) => return failed(Reader::Program, &error),
    };
    let Some(paper) = &answer.paper else {
        return json_error(StatusCode::NOT_FOUND, "this paper is not known", Some("id"));
    };
    if is_other(format, &asked.format) {
        return render(paper, format, client.base());
    }
    let votes = votes(&front, &client).await;
    let mut response = json(&shape::paper(paper, &votes, client.base()));
    if let Some(date) = changed(paper).and_then(|time| http_date(time).parse().ok()) {
        response.headers_mut().insert(header::LAST_MODIFIED, date);
    }
    response
}

/// Whether a format is meant that is not the usual one here; browsers and programs that take anything get the usual one.
fn is_other(format: PaperFormat, named: &str) -> bool {
    !named.is_empty() || !matches!(format, PaperFormat::Html | PaperFormat::Json)
}

/// What a list of a day, a week or a month says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Daily {
    date: String,
    week: String,
    month: String,
    submitter: String,
    sort: String,
    limit: String,
    p: String,
}

/// `/api/daily_papers`: papers of a day, a week or a month, or the newest.
pub async fn daily_papers(State(front): State<Arc<Front>>, client: Client, Query(asked): Query<Daily>) -> Response {
    match listed(&front, &client, &asked).await {
        Ok(papers) => {
            let votes = votes(&front, &client).await;
            let list = papers
                .iter()
                .map(|paper| shape::listed(paper, &votes, client.base()))
                .collect();
            json(&Value::Array(list))
        }
        Err(error) => failed(Reader::Program, &error),
    }
}

async fn listed(front: &Front, client: &Client, asked: &Daily) -> Result<Vec<Paper>, Status> {
    let limit = number("limit", &asked.limit, 50, 1..=MOST)?;
    let page = number("p", &asked.p, 0, 0..=DEEPEST)?;
    let end = page.saturating_add(1).saturating_mul(limit);
    if end > DEEPEST {
        let text =
            format!("is {page}, which with a limit of {limit} leads beyond the first {DEEPEST} papers; name a date");
        return Err(status::invalid("p", text));
    }
    let filter = filter(asked)?;
    let papers = match asked.sort.as_str() {
        "" | "publishedAt" => newest(front, client, filter, end).await?,
        "trending" => trending(front, client, asked, filter, end).await?,
        other => return Err(lists::not_one_of("sort", other, "publishedAt and trending")),
    };
    let skipped = usize::try_from(page.saturating_mul(limit)).unwrap_or(usize::MAX);
    Ok(papers
        .into_iter()
        .skip(skipped)
        .take(usize::try_from(limit).unwrap_or(0))
        .collect())
}

async fn newest(front: &Front, client: &Client, filter: PaperFilter, count: i32) -> Result<Vec<Paper>, Status> {
    let request = ListPapersRequest {
        filter: Some(filter),
        page_size: count,
        page_token: String::new(),
    };
    Ok(front.ask(client, request).await?.papers.clone())
}

/// What trends, then what is new: a day without votes has its papers all the same.
async fn trending(
    front: &Front,
    client: &Client,
    asked: &Daily,
    filter: PaperFilter,
    count: i32,
) -> Result<Vec<Paper>, Status> {
    let is_of_now = asked.date.is_empty() && asked.week.is_empty() && asked.month.is_empty();
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
    let answer = front.ask(client, request).await?;
    let mut papers: Vec<Paper> = answer.papers.iter().filter_map(|one| one.paper.clone()).collect();
    if papers.len() < usize::try_from(count).unwrap_or(0) {
        let known: Vec<String> = papers.iter().map(|paper| paper.id.clone()).collect();
        // What trends may be among what is new, so as many more are read.
        let wanted = count
            .saturating_add(i32::try_from(known.len()).unwrap_or(0))
            .min(DEEPEST);
        let others = newest(front, client, filter, wanted).await?;
        papers.extend(others.into_iter().filter(|paper| !known.contains(&paper.id)));
    }
    Ok(papers)
}

fn filter(asked: &Daily) -> Result<PaperFilter, Status> {
    let mut filter = PaperFilter::default();
    if let Some((start, end)) = period::of(&asked.date, &asked.week, &asked.month)? {
        filter.published_after = lists::start_of(start);
        filter.published_before = lists::start_of(end);
    }
    // Nobody submits papers to this platform by name: they come from feeds.
    if !asked.submitter.is_empty() {
        filter.sources = vec![asked.submitter.clone()];
    }
    Ok(filter)
}

/// Readers who voted in the last 30 days, by paper. `None` where that cannot be said now.
async fn votes(front: &Front, client: &Client) -> Option<HashMap<String, u32>> {
    let request = ListTrendingPapersRequest {
        window: TrendingWindow::Month.into(),
        filter: None,
        page_size: DEEPEST,
        page_token: String::new(),
    };
    let answer = front.ask(client, request).await.ok()?;
    let votes = answer
        .papers
        .iter()
        .filter_map(|one| Some((one.paper.as_ref()?.id.clone(), lists::votes(one))));
    Some(votes.collect())
}

/// A number in an address; nothing is `default`.
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

/// What lies at no address of the API.
pub async fn nothing(Path(path): Path<String>) -> Response {
    let path = domain::text::shorten(&path);
    let text = format!(
        "there is nothing at /api/{path}; there are /api/papers/search?q=, /api/papers/<id> and /api/daily_papers"
    );
    json_error(StatusCode::NOT_FOUND, &text, None)
}

/// The API is for reading.
pub async fn only_reading(method: Method) -> Response {
    super::not_allowed(&method, "GET, HEAD, OPTIONS")
}

fn json(value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (headers, format!("{value}\n")).into_response()
}
