//! Pages of an author, of a category, and of all categories.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use proto::search::v1::{CountFacetsResponse, FacetField, FacetValue, PaperFilter, TrendingWindow};
use serde::{Deserialize, Serialize};

use super::asking::{self, LONGEST_CATEGORY, LONGEST_NAME};
use super::heat;
use crate::Front;
use crate::categories;
use crate::client::Client;
use crate::page::Asked;
use crate::paper::{Linked, PaperView, author_link, category_link, escaped_value};
use crate::reader::Reader;

const PAPERS: i32 = 30;
const TRENDING: i32 = 5;
const NEIGHBOURS: i32 = 12;
const ALL_CATEGORIES: i32 = 1_000;

/// What the address asks.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    page: String,
}

/// A link with how many papers are behind it.
#[derive(Debug, Serialize)]
struct Counted {
    link: Linked,
    papers: u64,
}

/// The categories of one archive.
#[derive(Debug, Serialize)]
struct Archive {
    name: &'static str,
    categories: Vec<Counted>,
}

/// The papers of an author, newest first, with fields and co-authors.
pub async fn author(
    State(front): State<Arc<Front>>,
    path: Result<Path<String>, PathRejection>,
    Asked(wanted): Asked<Wanted>,
    client: Client,
    reader: Reader,
) -> Response {
    let Ok(Path(name)) = path else {
        return unreadable(&front);
    };
    let name = match asking::within(&front, "name", &name, LONGEST_NAME) {
        Ok(name) => name.to_owned(),
        Err(page) => return *page,
    };
    let filter = PaperFilter {
        authors: vec![name.clone()],
        ..PaperFilter::default()
    };
    let fields = [FacetField::Author, FacetField::Category];
    let (papers, counts) = tokio::join!(
        asking::newest(&front, &client, filter.clone(), PAPERS, &wanted.page),
        asking::counts(&front, &client, filter, &fields, NEIGHBOURS + 1),
    );
    let papers = match papers {
        Ok(papers) => papers,
        Err(error) => return front.pages.failure(&error),
    };
    if papers.papers.is_empty() && wanted.page.is_empty() {
        let text = format!("No paper by “{name}” is known here. The search finds names that are spelled another way.");
        return front.pages.message(StatusCode::NOT_FOUND, "No such author", &text);
    }
    let here = author_link(&name).href;
    let own = domain::text::fold(&name);
    let others = |one: &Linked| domain::text::fold(&one.name) != own;
    let context = context! {
        name => name.as_str(),
        here => here.as_str(),
        query => format!("author:\"{}\"", name.replace('"', " ")),
        total => counts.as_ref().ok().map(|counts| counts.total_size),
        coauthors => Serde(counted(counts.as_deref().ok(), FacetField::Author, author_link, others)),
        categories => Serde(counted(counts.as_deref().ok(), FacetField::Category, category_link, |_| true)),
        papers => Serde(views(&papers.papers, &reader)),
        next => next(&here, &papers.next_page_token),
        is_first => wanted.page.is_empty(),
    };
    front.pages.render(StatusCode::OK, "author.html", context)
}

/// The papers of a category: what trends in it, and all of them, newest first.
pub async fn category(
    State(front): State<Arc<Front>>,
    path: Result<Path<String>, PathRejection>,
    Asked(wanted): Asked<Wanted>,
    client: Client,
    reader: Reader,
) -> Response {
    let Ok(Path(code)) = path else {
        return unreadable(&front);
    };
    let code = match asking::within(&front, "category", &code, LONGEST_CATEGORY) {
        Ok(code) => code.to_owned(),
        Err(page) => return *page,
    };
    let filter = asking::in_category(&code);
    let (papers, trending, counts) = tokio::join!(
        asking::newest(&front, &client, filter.clone(), PAPERS, &wanted.page),
        asking::trending(&front, &client, TrendingWindow::Week, filter.clone(), TRENDING),
        asking::counts(&front, &client, filter, &[FacetField::Category], NEIGHBOURS + 1),
    );
    let papers = match papers {
        Ok(papers) => papers,
        Err(error) => return front.pages.failure(&error),
    };
    let is_first = wanted.page.is_empty();
    if papers.papers.is_empty() && is_first {
        let text = format!("No paper is in a category “{code}”. All categories there are have a page.");
        return front.pages.message(StatusCode::NOT_FOUND, "No such category", &text);
    }
    let here = category_link(&code).href;
    let others = |one: &Linked| one.name != code;
    let context = context! {
        label => categories::label(&code),
        code => code.as_str(),
        here => here.as_str(),
        is_first,
        total => counts.as_ref().ok().map(|counts| counts.total_size),
        beside => Serde(counted(counts.as_deref().ok(), FacetField::Category, category_link, others)),
        trending => trending.ok().filter(|_| is_first).map(|trending| Serde(heat::trends(&trending.papers, &reader))),
        papers => Serde(views(&papers.papers, &reader)),
        next => next(&here, &papers.next_page_token),
    };
    front.pages.render(StatusCode::OK, "category.html", context)
}

/// All categories by archive, with how many papers each has.
pub async fn categories(State(front): State<Arc<Front>>, client: Client) -> Response {
    let any = PaperFilter::default();
    let counts = match asking::counts(&front, &client, any, &[FacetField::Category], ALL_CATEGORIES).await {
        Ok(counts) => counts,
        Err(error) => return front.pages.failure(&error),
    };
    let all = counted(Some(&counts), FacetField::Category, category_link, |_| true);
    let mut archives: Vec<Archive> = categories::ARCHIVES
        .iter()
        .map(|(_, name)| Archive {
            name,
            categories: Vec::new(),
        })
        .collect();
    let mut others = Archive {
        name: "Other",
        categories: Vec::new(),
    };
    for one in all {
        let archive = categories::archive(&one.link.name);
        let place = categories::ARCHIVES.iter().position(|(code, _)| *code == archive);
        place
            .map_or(&mut others, |place| &mut archives[place])
            .categories
            .push(one);
    }
    archives.push(others);
    archives.retain(|archive| !archive.categories.is_empty());
    let context = context! { section => "/categories", total => counts.total_size, archives => Serde(archives) };
    front.pages.render(StatusCode::OK, "categories.html", context)
}

fn unreadable(front: &Front) -> Response {
    let text = "The address holds letters that are none. Follow a link of a page instead.";
    front.pages.message(StatusCode::BAD_REQUEST, "That did not work", text)
}

fn views(papers: &[proto::papers::v1::Paper], reader: &Reader) -> Vec<PaperView> {
    papers.iter().map(|paper| PaperView::of(paper, reader)).collect()
}

fn next(here: &str, token: &str) -> Option<String> {
    (!token.is_empty()).then(|| format!("{here}?page={}", escaped_value(token)))
}

fn counted(
    counts: Option<&CountFacetsResponse>,
    field: FacetField,
    link: impl Fn(&str) -> Linked,
    is_wanted: impl Fn(&Linked) -> bool,
) -> Vec<Counted> {
    let facets = counts.iter().flat_map(|counts| &counts.facets);
    let values = facets
        .filter(|facet| facet.field() == field)
        .flat_map(|facet| &facet.values);
    let one = |value: &FacetValue| Counted {
        link: link(&value.value),
        papers: value.papers,
    };
    values.map(one).filter(|one| is_wanted(&one.link)).collect()
}
