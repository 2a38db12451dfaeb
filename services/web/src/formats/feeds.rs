//! Lists of papers as Atom (RFC 4287) and JSON Feed 1.1.
//!
//! An entry is named by its paper alone, the same in every feed and for ever, and its time is that of the paper's text, so a
//! feed reader shows a paper once and again only where it changed.

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
use feed::{Entry, Feed};

use super::lists;
use super::paper::{IN_VALUE, published_day};
use crate::Front;
use crate::client::Client;
use crate::refusal::{Reader, failed, refuse};

/// Entries of a feed.
const ENTRIES: i32 = 50;

/// The form of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Atom.
    Atom,
    /// JSON Feed.
    Json,
}

impl Form {
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

/// What a feed's address may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    q: String,
    sort: String,
    window: String,
    category: String,
    page: String,
    token: String,
}

/// A feed's address, without its form: path and query.
#[derive(Debug, Clone, Default)]
struct Address {
    path: String,
    query: Vec<(&'static str, String)>,
}

impl Address {
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

/// What is new.
pub async fn today(
    State(front): State<Arc<Front>>,
    client: Client,
    Query(asked): Query<Asked>,
    form: Form,
) -> Response {
    let own = Address::new("/feeds/today", &[("category", &asked.category)]);
    let home = Address::new("/", &[("category", &asked.category)]);
    let title = match asked.category.as_str() {
        "" => "Broadsheet: today".to_owned(),
        category => format!("Broadsheet: today in {category}"),
    };
    newest(&front, &client, &asked, form, title, &own, &home).await
}

/// What is new in a category; the name of the file is the category and the form.
pub async fn category(
    State(front): State<Arc<Front>>,
    client: Client,
    Path(file): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let named = Form::ALL.iter().find_map(|form| {
        let name = file.strip_suffix(form.suffix())?.strip_suffix('.')?;
        (!name.is_empty()).then_some((name, *form))
    });
    let Some((category, form)) = named else {
        let text = "A feed of a category is at /feeds/categories/<category>.atom or .json.";
        return refuse(&front, Reader::Feed, StatusCode::NOT_FOUND, "No such feed", text);
    };
    let own = Address::new(format!("/feeds/categories/{}", encoded(category)), &[]);
    let home = Address::new(format!("/categories/{}", encoded(category)), &[]);
    let asked = Asked {
        category: category.to_owned(),
        ..asked
    };
    newest(
        &front,
        &client,
        &asked,
        form,
        format!("Broadsheet: new in {category}"),
        &own,
        &home,
    )
    .await
}

async fn newest(
    front: &Front,
    client: &Client,
    asked: &Asked,
    form: Form,
    title: String,
    own: &Address,
    home: &Address,
) -> Response {
    let request = ListPapersRequest {
        filter: lists::in_category(&asked.category),
        page_size: ENTRIES,
        page_token: asked.page.clone(),
    };
    let answer = match front.ask(client, request).await {
        Ok(answer) => answer,
        Err(error) => return failed(Reader::Feed, &error),
    };
    let entries = answer
        .papers
        .iter()
        .map(|paper| Entry::of(paper, &new(paper), client.base()));
    let feed = Feed {
        title,
        subtitle: "New papers, the newest first.".to_owned(),
        entries: entries.collect(),
        next_page: answer.next_page_token.clone(),
    };
    feed.render(front, client, form, own, home, &asked.page)
}

/// What readers pay attention to.
pub async fn trending(
    State(front): State<Arc<Front>>,
    client: Client,
    Query(asked): Query<Asked>,
    form: Form,
) -> Response {
    let window = match lists::window(&asked.window) {
        Ok(window) => window,
        Err(error) => return failed(Reader::Feed, &error),
    };
    let request = ListTrendingPapersRequest {
        window: window.into(),
        filter: lists::in_category(&asked.category),
        page_size: ENTRIES,
        page_token: asked.page.clone(),
    };
    let answer = match front.ask(&client, request).await {
        Ok(answer) => answer,
        Err(error) => return failed(Reader::Feed, &error),
    };
    let entry = |one: &proto::search::v1::TrendingPaper| {
        Some(Entry::of(one.paper.as_ref()?, &lists::attention(one), client.base()))
    };
    let query = [("window", asked.window.as_str()), ("category", asked.category.as_str())];
    let (own, home) = (Address::new("/feeds/trending", &query), Address::new("/", &query));
    let feed = Feed {
        title: "Broadsheet: trending".to_owned(),
        subtitle: "What readers pay the most attention to, compared with what is usual for its topic.".to_owned(),
        entries: answer.papers.iter().filter_map(entry).collect(),
        next_page: answer.next_page_token.clone(),
    };
    feed.render(&front, &client, form, &own, &home, &asked.page)
}

/// What a search finds, the newest first unless another order is asked for.
pub async fn search(
    State(front): State<Arc<Front>>,
    client: Client,
    Query(asked): Query<Asked>,
    form: Form,
) -> Response {
    let sort = if asked.sort.is_empty() { "newest" } else { &asked.sort };
    let request = match searched(&asked, sort) {
        Ok(request) => request,
        Err(error) => return failed(Reader::Feed, &error),
    };
    let answer = match front.ask(&client, request).await {
        Ok(answer) => answer,
        Err(error) => return failed(Reader::Feed, &error),
    };
    let entry = |one: &proto::search::v1::SearchResult| {
        let paper = one.paper.as_ref()?;
        let sentence = one
            .highlight
            .as_ref()
            .map_or("", |highlight| highlight.sentence.as_str());
        let reason = if sentence.is_empty() {
            format!("Fits “{}”", asked.q.trim())
        } else {
            format!("Fits “{}”: {sentence}", asked.q.trim())
        };
        Some(Entry::of(paper, &reason, client.base()))
    };
    let query = [("q", asked.q.as_str()), ("sort", asked.sort.as_str())];
    let feed = Feed {
        title: format!("Broadsheet: {}", asked.q.trim()),
        subtitle: "Papers that a search finds.".to_owned(),
        entries: answer.results.iter().filter_map(entry).collect(),
        next_page: answer.next_page_token.clone(),
    };
    let (own, home) = (Address::new("/feeds/search", &query), Address::new("/search", &query));
    feed.render(&front, &client, form, &own, &home, &asked.page)
}

fn searched(asked: &Asked, sort: &str) -> Result<SearchPapersRequest, Status> {
    if asked.q.trim().is_empty() {
        return Err(common::status::invalid(
            "q",
            "is empty; say what to look for, such as /feeds/search.atom?q=owls",
        ));
    }
    Ok(SearchPapersRequest {
        query: asked.q.trim().to_owned(),
        page_size: ENTRIES,
        page_token: asked.page.clone(),
        order: lists::order(sort)?.into(),
        ..SearchPapersRequest::default()
    })
}

/// Why a paper is in a list of what is new.
fn new(paper: &Paper) -> String {
    let day = published_day(paper).map(|day| day.strftime("%-d %B %Y").to_string());
    let day = day.map(|day| format!(" of {day}")).unwrap_or_default();
    match paper.categories.as_slice() {
        [] => format!("New paper{day}"),
        categories => format!("New paper{day} in {}", categories.join(", ")),
    }
}
