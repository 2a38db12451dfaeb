//! What browsers and search engines look for: the OpenSearch description, the sitemap, and robots.txt.

use std::fmt::Write as _;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use minijinja::context;
use minijinja::value::Serde;
use proto::search::v1::{CountFacetsRequest, FacetField, ListPapersRequest, PaperFilter};
use serde::Serialize;
use tonic::Status;

use super::lists;
use super::paper::{changed, page_of};
use crate::caller::Caller;
use crate::error_response::{Audience, call_failed, refuse};
use crate::state::AppState;

/// Papers read per call.
const PAGE_SIZE: i32 = 1_000;
/// Most papers in one part of the sitemap; search engines accept fifty thousand.
const MAX_PER_PART: usize = 10_000;
/// A year with more papers than this is split by day, others by month.
const MAX_BY_MONTH: u64 = 60_000;

/// Pages listed beside the papers.
const FIXED_PAGES: [&str; 4] = ["/", "/categories", "/trending", "/about"];

/// Lets browsers add this site as a search engine.
pub async fn opensearch(State(app): State<Arc<AppState>>, caller: Caller) -> Response {
    let context = context! { base => caller.base() };
    document(&app, "opensearch.xml", "application/opensearchdescription+xml", context)
}

/// Robots may read everything but forms, endless searches and personal pages.
pub async fn robots(caller: Caller) -> Response {
    let forbidden = [
        "/search",
        "/api/",
        "/mcp",
        "/vote",
        "/not-interested",
        "/save",
        "/unsave",
        "/saved",
        "/confirm",
        "/not-me",
        "/preferences",
        "/unsubscribe",
        "/pause",
        "/resume",
        "/feeds/digest",
        "/feeds/search",
    ];
    let mut text = String::from("User-agent: *\n");
    for path in forbidden {
        let _ = writeln!(text, "Disallow: {path}");
    }
    let _ = writeln!(text, "\nSitemap: {}/sitemap.xml", caller.base());
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// The index of the sitemap: fixed pages, then each month or day of years with papers.
pub async fn sitemap(State(app): State<Arc<AppState>>, caller: Caller) -> Response {
    let request = CountFacetsRequest {
        fields: vec![FacetField::Year.into()],
        limit: 1_000,
        ..CountFacetsRequest::default()
    };
    let answer = match app.fetch(&caller, request).await {
        Ok(answer) => answer,
        Err(error) => return call_failed(Audience::Feed, &error),
    };
    let today = TimeZone::UTC.to_datetime(app.clock.now()).date();
    let years = answer.facets.iter().flat_map(|facet| &facet.values);
    let mut years: Vec<(i16, u64)> = years
        .filter_map(|one| Some((one.value.parse().ok()?, one.papers)))
        .collect();
    years.sort_unstable();
    let named = years
        .iter()
        .rev()
        .flat_map(|&(year, papers)| parts_of(year, papers, today));
    let parts: Vec<String> = std::iter::once("pages".to_owned())
        .chain(named)
        .map(|name| format!("{}/sitemap/{name}.xml", caller.base()))
        .collect();
    document(&app, "sitemap.xml", "application/xml", context! { parts })
}

/// The parts of a year up to today, newest first.
fn parts_of(year: i16, papers: u64, today: Date) -> Vec<String> {
    let Some(first) = Date::new(year, 1, 1).ok() else {
        return Vec::new();
    };
    let form = if papers > MAX_BY_MONTH { "%Y-%m-%d" } else { "%Y-%m" };
    let days = std::iter::successors(Some(first), |day| day.tomorrow().ok());
    let days = days.take_while(|day| day.year() == year && *day <= today);
    let mut parts: Vec<String> = days.map(|day| day.strftime(form).to_string()).collect();
    parts.dedup();
    parts.reverse();
    parts
}

#[derive(Debug, Serialize)]
struct SitemapPage {
    url: String,
    changed: Option<String>,
}

/// One part of the sitemap.
pub async fn sitemap_part(State(app): State<Arc<AppState>>, caller: Caller, Path(part): Path<String>) -> Response {
    let name = part.strip_suffix(".xml").unwrap_or_default();
    if name == "pages" {
        let page = |path: &&str| SitemapPage {
            url: format!("{}{path}", caller.base()),
            changed: None,
        };
        let pages: Vec<SitemapPage> = FIXED_PAGES.iter().map(page).collect();
        return document(
            &app,
            "sitemap.xml",
            "application/xml",
            context! { pages => Serde(pages) },
        );
    }
    let Some((start, end)) = period(name) else {
        let text = "The parts of the sitemap are listed in /sitemap.xml.";
        return refuse(
            &app.pages,
            Audience::Feed,
            StatusCode::NOT_FOUND,
            "No such sitemap",
            text,
        );
    };
    match papers(&app, &caller, start, end).await {
        Ok(pages) => document(
            &app,
            "sitemap.xml",
            "application/xml",
            context! { pages => Serde(pages) },
        ),
        Err(error) => call_failed(Audience::Feed, &error),
    }
}

/// The first day of the month or day that names a part, and the first one after it.
fn period(name: &str) -> Option<(Date, Date)> {
    let numbers: Vec<i16> = name.split('-').map(str::parse).collect::<Result<_, _>>().ok()?;
    let small = |number: i16| i8::try_from(number).ok();
    match *numbers {
        [year, month] if name.len() == 7 => {
            let first = Date::new(year, small(month)?, 1).ok()?;
            Some((first, first.last_of_month().tomorrow().ok()?))
        }
        [year, month, day] if name.len() == 10 => {
            let first = Date::new(year, small(month)?, small(day)?).ok()?;
            Some((first, first.tomorrow().ok()?))
        }
        _ => None,
    }
}

async fn papers(app: &AppState, caller: &Caller, start: Date, end: Date) -> Result<Vec<SitemapPage>, Status> {
    let mut pages = Vec::new();
    let mut token = String::new();
    loop {
        let request = ListPapersRequest {
            filter: Some(PaperFilter {
                published_after: lists::start_of(start),
                published_before: lists::start_of(end),
                ..PaperFilter::default()
            }),
            page_size: PAGE_SIZE,
            page_token: token,
        };
        // Not cached: a part is rarely read, and then completely.
        let answer = app
            .search
            .clone()
            .list_papers(caller.request(request))
            .await?
            .into_inner();
        pages.extend(answer.papers.iter().map(|paper| SitemapPage {
            url: page_of(paper, caller.base()),
            changed: changed(paper).map(|time| time.to_string()),
        }));
        token = answer.next_page_token;
        if token.is_empty() || pages.len() >= MAX_PER_PART {
            return Ok(pages);
        }
    }
}

fn document(app: &AppState, template: &str, kind: &'static str, context: minijinja::Value) -> Response {
    match app.pages.fill(template, context) {
        Ok(text) => ([(header::CONTENT_TYPE, format!("{kind}; charset=utf-8"))], text).into_response(),
        Err(answer) => *answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    #[test]
    fn a_year_is_split_by_month_or_day_up_to_today() {
        assert_eq!(parts_of(2026, 10, day("2026-03-02")), ["2026-03", "2026-02", "2026-01"]);
        assert_eq!(parts_of(2025, 10, day("2026-03-02")).len(), 12);
        assert_eq!(parts_of(2024, 1 << 20, day("2026-03-02")).len(), 366);
        assert_eq!(parts_of(2027, 10, day("2026-03-02")), [""; 0]);
    }

    #[test]
    fn parts_are_periods() {
        assert_eq!(period("2026-12"), Some((day("2026-12-01"), day("2027-01-01"))));
        assert_eq!(period("2024-02-29"), Some((day("2024-02-29"), day("2024-03-01"))));
        for wrong in [
            "",
            "2026",
            "2026-13",
            "2026-02-30",
            "2026-1",
            "x-y",
            "2026-01-01-01",
            "999999-1",
        ] {
            assert_eq!(period(wrong), None, "{wrong}");
        }
    }
}
