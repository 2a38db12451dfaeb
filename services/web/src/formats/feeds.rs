//! Lists of papers as Atom (RFC 4287) and JSON Feed 1.1.
//!
//! The id of an entry depends on its paper alone and never changes, and its time is that of the paper's text, so a feed reader
//! shows a paper once, and again only when it changes.

mod digest;
mod feed;

use std::fmt::Write as _;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use percent_encoding::utf8_percent_encode;
use proto::papers::v1::Paper;
use proto::search::v1::{ListPapersRequest, ListTrendingPapersRequest, SearchPapersRequest};
use serde::Deserialize;
use tonic::Status;

pub use digest::digest;
use feed::{FeedEntry, PaperFeed};

use super::lists;
use super::paper::{IN_VALUE, published_day};
use crate::caller::Caller;
use crate::error_response::{Audience, call_failed, refuse};
use crate::state::AppState;

/// Entries in one page of a feed.
const ENTRIES: i32 = 50;

/// The format of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedFormat {
    /// Atom.
    Atom,
    /// JSON Feed.
    Json,
}

impl FeedFormat {
    const ALL: [Self; 2] = [Self::Atom, Self::Json];

    fn suffix(self) -> &'static str {
        match self {
            Self::Atom => "atom",
            Self::Json => "json",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Atom => "application/atom+xml",
            Self::Json => "application/feed+json",
        }
    }
}

/// Parameters of a feed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FeedQuery {
    q: String,
    sort: String,
    window: String,
    category: String,
    page: String,
    token: String,
}

/// The address of a feed without its format: path and query.
#[derive(Debug, Clone, Default)]
struct FeedAddress {
    path: String,
    query: Vec<(&'static str, String)>,
}

impl FeedAddress {
    fn new(path: impl Into<String>, query: &[(&'static str, &str)]) -> Self {
        let query = query.iter().filter(|(_, value)| !value.is_empty());
        Self {
            path: path.into(),
            query: query.map(|(name, value)| (*name, (*value).to_owned())).collect(),
        }
    }

    fn with(&self, name: &'static str, value: &str) -> Self {
        let mut other = self.clone();
        other.query.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            other.query.push((name, value.to_owned()));
        }
        other
    }

    fn at(&self, base: &str, suffix: &str) -> String {
        let mut url = format!("{base}{}{suffix}", self.path);
        for (index, (name, value)) in self.query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            let _ = write!(url, "{name}={}", encoded(value));
        }
        url
    }
}

fn encoded(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, IN_VALUE)
}

/// New papers.
pub async fn today(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    Query(query): Query<FeedQuery>,
    format: FeedFormat,
) -> Response {
    let own = FeedAddress::new("/feeds/today", &[("category", &query.category)]);
    let home = FeedAddress::new("/", &[("category", &query.category)]);
    let title = match query.category.as_str() {
        "" => "Broadsheet: today".to_owned(),
        category => format!("Broadsheet: today in {category}"),
    };
    newest(&app, &caller, &query, format, title, &own, &home).await
}

/// New papers of a category; the file name holds the category and the format.
pub async fn category(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    Path(file): Path<String>,
    Query(query): Query<FeedQuery>,
) -> Response {
    let named = FeedFormat::ALL.iter().find_map(|format| {
        let name = file.strip_suffix(format.suffix())?.strip_suffix('.')?;
        (!name.is_empty()).then_some((name, *format))
    });
    let Some((category, format)) = named else {
        let text = "The feed of a category is at /feeds/categories/<category>.atom or .json.";
        return refuse(&app.pages, Audience::Feed, StatusCode::NOT_FOUND, "No such feed", text);
    };
    let own = FeedAddress::new(format!("/feeds/categories/{}", encoded(category)), &[]);
    let home = FeedAddress::new(format!("/categories/{}", encoded(category)), &[]);
    let query = FeedQuery {
        category: category.to_owned(),
        ..query
    };
    newest(
        &app,
        &caller,
        &query,
        format,
        format!("Broadsheet: new in {category}"),
        &own,
        &home,
    )
    .await
}

async fn newest(
    app: &AppState,
    caller: &Caller,
    query: &FeedQuery,
    format: FeedFormat,
    title: String,
    own: &FeedAddress,
    home: &FeedAddress,
) -> Response {
    let filter = lists::category_filter(&query.category).unwrap_or_default();
    let request = ListPapersRequest {
        filter: Some(lists::dated(filter)),
        page_size: ENTRIES,
        page_token: query.page.clone(),
    };
    let answer = match app.fetch(caller, request).await {
        Ok(answer) => answer,
        Err(error) => return call_failed(Audience::Feed, &error),
    };
    let entries = answer
        .papers
        .iter()
        .map(|paper| FeedEntry::new(paper, &newness(paper), caller.base()));
    let feed = PaperFeed {
        title,
        subtitle: "New papers, newest first.".to_owned(),
        entries: entries.collect(),
        next_page: answer.next_page_token.clone(),
    };
    feed.render(app, caller, format, own, home, &query.page)
}

/// Trending papers.
pub async fn trending(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    Query(query): Query<FeedQuery>,
    format: FeedFormat,
) -> Response {
    let window = match lists::window(&query.window) {
        Ok(window) => window,
        Err(error) => return call_failed(Audience::Feed, &error),
    };
    let request = ListTrendingPapersRequest {
        window: window.into(),
        filter: lists::category_filter(&query.category),
        page_size: ENTRIES,
        page_token: query.page.clone(),
    };
    let answer = match app.fetch(&caller, request).await {
        Ok(answer) => answer,
        Err(error) => return call_failed(Audience::Feed, &error),
    };
    let entry = |one: &proto::search::v1::TrendingPaper| {
        Some(FeedEntry::new(
            one.paper.as_ref()?,
            &lists::trending_reason(one),
            caller.base(),
        ))
    };
    let address = [("window", query.window.as_str()), ("category", query.category.as_str())];
    let (own, home) = (
        FeedAddress::new("/feeds/trending", &address),
        FeedAddress::new("/", &address),
    );
    let feed = PaperFeed {
        title: "Broadsheet: trending".to_owned(),
        subtitle: "The papers that get the most attention, compared with what is usual for their topic.".to_owned(),
        entries: answer.papers.iter().filter_map(entry).collect(),
        next_page: answer.next_page_token.clone(),
    };
    feed.render(&app, &caller, format, &own, &home, &query.page)
}

/// Results of a search, newest first unless another order is requested.
pub async fn search(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    Query(query): Query<FeedQuery>,
    format: FeedFormat,
) -> Response {
    let sort = if query.sort.is_empty() { "newest" } else { &query.sort };
    let request = match search_request(&query, sort) {
        Ok(request) => request,
        Err(error) => return call_failed(Audience::Feed, &error),
    };
    let answer = match app.fetch(&caller, request).await {
        Ok(answer) => answer,
        Err(error) => return call_failed(Audience::Feed, &error),
    };
    let entry = |one: &proto::search::v1::SearchResult| {
        let paper = one.paper.as_ref()?;
        let sentence = one
            .highlight
            .as_ref()
            .map_or("", |highlight| highlight.sentence.as_str());
        let reason = if sentence.is_empty() {
            format!("Matches “{}”", query.q.trim())
        } else {
            format!("Matches “{}”: {sentence}", query.q.trim())
        };
        Some(FeedEntry::new(paper, &reason, caller.base()))
    };
    let address = [("q", query.q.as_str()), ("sort", query.sort.as_str())];
    let feed = PaperFeed {
        title: format!("Broadsheet: {}", query.q.trim()),
        subtitle: match answer.notice.as_str() {
            "" => "Results of a search.".to_owned(),
            notice => format!("Results of a search. Note: {notice}."),
        },
        entries: answer.results.iter().filter_map(entry).collect(),
        next_page: answer.next_page_token.clone(),
    };
    let (own, home) = (
        FeedAddress::new("/feeds/search", &address),
        FeedAddress::new("/search", &address),
    );
    feed.render(&app, &caller, format, &own, &home, &query.page)
}

fn search_request(query: &FeedQuery, sort: &str) -> Result<SearchPapersRequest, Status> {
    if query.q.trim().is_empty() {
        return Err(common::status::invalid(
            "q",
            "is empty; name what to search for, such as /feeds/search.atom?q=owls",
        ));
    }
    Ok(SearchPapersRequest {
        query: query.q.trim().to_owned(),
        page_size: ENTRIES,
        page_token: query.page.clone(),
        order: lists::order(sort)?.into(),
        ..SearchPapersRequest::default()
    })
}

/// Why a paper is in a list of new papers.
fn newness(paper: &Paper) -> String {
    let day = published_day(paper).map(|day| day.strftime("%-d %B %Y").to_string());
    let day = day.map(|day| format!(" from {day}")).unwrap_or_default();
    match paper.categories.as_slice() {
        [] => format!("New paper{day}"),
        categories => format!("New paper{day} in {}", categories.join(", ")),
    }
}
