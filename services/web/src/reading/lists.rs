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

use super::queries::{self, LONGEST_CATEGORY, LONGEST_NAME};
use super::trend_view;
use crate::caller::Caller;
use crate::categories;
use crate::cookies::ReaderCookies;
use crate::page::PageQuery;
use crate::paper::{NamedLink, PaperView, author_link, category_link, escaped_value};
use crate::state::AppState;

const PAPERS: i32 = 30;
const TRENDING: i32 = 5;
const RELATED: i32 = 12;
const ALL_CATEGORIES: i32 = 1_000;

/// Parameters of a list.
#[derive(Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    page: String,
}

/// A link, and how many papers it leads to.
#[derive(Debug, Serialize)]
struct CountedLink {
    link: NamedLink,
    papers: u64,
}

/// The categories of one archive.
#[derive(Debug, Serialize)]
struct ArchiveSection {
    name: &'static str,
    categories: Vec<CountedLink>,
}

/// The page of an author: papers, newest first, with categories and co-authors.
pub async fn author(
    State(app): State<Arc<AppState>>,
    path: Result<Path<String>, PathRejection>,
    PageQuery(query): PageQuery<ListQuery>,
    caller: Caller,
    reader: ReaderCookies,
) -> Response {
    let Ok(Path(name)) = path else {
        return bad_address(&app);
    };
    let name = match queries::limited(&app, "name", &name, LONGEST_NAME) {
        Ok(name) => name.to_owned(),
        Err(page) => return *page,
    };
    let filter = PaperFilter {
        authors: vec![name.clone()],
        ..PaperFilter::default()
    };
    let fields = [FacetField::Author, FacetField::Category];
    let (papers, counts) = tokio::join!(
        queries::newest(&app, &caller, filter.clone(), PAPERS, &query.page),
        queries::facet_counts(&app, &caller, filter, &fields, RELATED + 1),
    );
    let papers = match papers {
        Ok(papers) => papers,
        Err(error) => return app.pages.failure(&error),
    };
    if papers.papers.is_empty() && query.page.is_empty() {
        let text = format!(
            "There are no papers by “{name}” here. Try the search, which also finds other spellings of a name."
        );
        return app.pages.message(StatusCode::NOT_FOUND, "Author not found", &text);
    }
    let here = author_link(&name).href;
    let own = domain::names::fold(&name);
    let others = |link: &NamedLink| domain::names::fold(&link.name) != own;
    let context = context! {
        name => name.as_str(),
        here => here.as_str(),
        query => format!("author:\"{}\"", name.replace('"', " ")),
        total => counts.as_ref().ok().map(|counts| counts.total_size),
        coauthors => Serde(counted(counts.as_deref().ok(), FacetField::Author, author_link, others)),
        categories => Serde(counted(counts.as_deref().ok(), FacetField::Category, category_link, |_| true)),
        papers => Serde(views(&papers.papers, &reader)),
        next => next(&here, &papers.next_page_token),
        is_first => query.page.is_empty(),
    };
    app.pages.render(StatusCode::OK, "author.html", context)
}

/// The page of a category: its trending papers, and all papers, newest first.
pub async fn category(
    State(app): State<Arc<AppState>>,
    path: Result<Path<String>, PathRejection>,
    PageQuery(query): PageQuery<ListQuery>,
    caller: Caller,
    reader: ReaderCookies,
) -> Response {
    let Ok(Path(code)) = path else {
        return bad_address(&app);
    };
    let code = match queries::limited(&app, "category", &code, LONGEST_CATEGORY) {
        Ok(code) => code.to_owned(),
        Err(page) => return *page,
    };
    let filter = queries::category_filter(&code);
    let (papers, trending, counts) = tokio::join!(
        queries::newest(&app, &caller, filter.clone(), PAPERS, &query.page),
        queries::trending(&app, &caller, TrendingWindow::Week, filter.clone(), TRENDING),
        queries::facet_counts(&app, &caller, filter, &[FacetField::Category], RELATED + 1),
    );
    let papers = match papers {
        Ok(papers) => papers,
        Err(error) => return app.pages.failure(&error),
    };
    let is_first = query.page.is_empty();
    if papers.papers.is_empty() && is_first {
        let text = format!("There are no papers in the category “{code}”. See the list of all categories.");
        return app.pages.message(StatusCode::NOT_FOUND, "Category not found", &text);
    }
    let here = category_link(&code).href;
    let others = |one: &NamedLink| one.name != code;
    let context = context! {
        label => categories::label(&code),
        code => code.as_str(),
        here => here.as_str(),
        is_first,
        total => counts.as_ref().ok().map(|counts| counts.total_size),
        related => Serde(counted(counts.as_deref().ok(), FacetField::Category, category_link, others)),
        trending => trending.ok().filter(|_| is_first).map(|trending| Serde(trend_view::trends(&trending.papers, &reader))),
        papers => Serde(views(&papers.papers, &reader)),
        next => next(&here, &papers.next_page_token),
    };
    app.pages.render(StatusCode::OK, "category.html", context)
}

/// The page of all categories, by archive, with the number of papers in each.
pub async fn categories(State(app): State<Arc<AppState>>, caller: Caller) -> Response {
    let any = PaperFilter::default();
    let counts = match queries::facet_counts(&app, &caller, any, &[FacetField::Category], ALL_CATEGORIES).await {
        Ok(counts) => counts,
        Err(error) => return app.pages.failure(&error),
    };
    let all = counted(Some(&counts), FacetField::Category, category_link, |_| true);
    let mut archives: Vec<ArchiveSection> = categories::ARCHIVES
        .iter()
        .map(|(_, name)| ArchiveSection {
            name,
            categories: Vec::new(),
        })
        .collect();
    let mut others = ArchiveSection {
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
    app.pages.render(StatusCode::OK, "categories.html", context)
}

fn bad_address(app: &AppState) -> Response {
    let text = "The address contains invalid characters. Follow a link on a page instead.";
    app.pages.message(StatusCode::BAD_REQUEST, "That did not work", text)
}

fn views(papers: &[proto::papers::v1::Paper], reader: &ReaderCookies) -> Vec<PaperView> {
    papers.iter().map(|paper| PaperView::new(paper, reader)).collect()
}

fn next(here: &str, token: &str) -> Option<String> {
    (!token.is_empty()).then(|| format!("{here}?page={}", escaped_value(token)))
}

fn counted(
    counts: Option<&CountFacetsResponse>,
    field: FacetField,
    link: impl Fn(&str) -> NamedLink,
    is_wanted: impl Fn(&NamedLink) -> bool,
) -> Vec<CountedLink> {
    let facets = counts.iter().flat_map(|counts| &counts.facets);
    let values = facets
        .filter(|facet| facet.field() == field)
        .flat_map(|facet| &facet.values);
    let one = |value: &FacetValue| CountedLink {
        link: link(&value.value),
        papers: value.papers,
    };
    values.map(one).filter(|one| is_wanted(&one.link)).collect()
}
