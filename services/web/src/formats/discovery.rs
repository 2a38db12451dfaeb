//! What browsers and search engines look for: the description of the search, the map of all papers, and what robots may read.

use std::fmt::Write as _;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use minijinja::context;
use minijinja::value::Serde;
use proto::search::v1::{CountFacetsRequest, FacetField, ListPapersRequest, PaperFilter};
use serde::Serialize;
use tonic::Status;

use super::lists;
use super::paper::{changed, page_of};
use crate::Front;
use crate::client::Client;
use crate::refusal::{Reader, failed, refuse};

/// Papers that are read at once for a part of the map.
const AT_ONCE: i32 = 1_000;
/// Papers of a part at most; a search engine takes fifty thousand.
const IN_PART: usize = 10_000;
/// A year with more papers than this is mapped by days, else by months.
const IN_MONTHS: u64 = 60_000;

/// Pages that are nobody's in particular.
const FIXED_PAGES: [&str; 4] = ["/", "/categories", "/trending", "/about"];

/// How to search here, for a browser's search field.
pub async fn opensearch(State(front): State<Arc<Front>>, client: Client) -> Response {
    let context = context! { base => client.base() };
    document(
        &front,
        "opensearch.xml",
        "application/opensearchdescription+xml",
        context,
    )
}

/// What robots may read: everything but forms, searches without end and what belongs to one reader.
pub async fn robots(client: Client) -> Response {
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
    let _ = writeln!(text, "\nSitemap: {}/sitemap.xml", client.base());
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// The list of the parts of the map: pages that are always there, then each month or day of years that have papers.
pub async fn sitemap(State(front): State<Arc<Front>>, client: Client) -> Response {
    let request = CountFacetsRequest {
        fields: vec![FacetField::Year.into()],
        limit: 1_000,
        ..CountFacetsRequest::default()
    };
    let answer = match front.ask(&client, request).await {
        Ok(answer) => answer,
        Err(error) => return failed(Reader::Feed, &error),
    };
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
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
        .map(|name| format!("{}/sitemap/{name}.xml", client.base()))
        .collect();
    document(&front, "sitemap.xml", "application/xml", context! { parts })
}

/// The parts of a year up to a day, newest first.
fn parts_of(year: i16, papers: u64, today: Date) -> Vec<String> {
    let Some(first) = Date::new(year, 1, 1).ok() else {
        return Vec::new();
    };
    let form = if papers > IN_MONTHS { "%Y-%m-%d" } else { "%Y-%m" };
    let days = std::iter::successors(Some(first), |day| day.tomorrow().ok());
    let days = days.take_while(|day| day.year() == year && *day <= today);
    let mut parts: Vec<String> = days.map(|day| day.strftime(form).to_string()).collect();
    parts.dedup();
    parts.reverse();
    parts
}

#[derive(Debug, Serialize)]
struct Page {
    url: String,
    changed: Option<String>,
}

/// One part of the map.
pub async fn sitemap_part(State(front): State<Arc<Front>>, client: Client, Path(part): Path<String>) -> Response {
    let name = part.strip_suffix(".xml").unwrap_or_default();
    if name == "pages" {
        let page = |path: &&str| Page {
            url: format!("{}{path}", client.base()),
            changed: None,
        };
        let pages: Vec<Page> = FIXED_PAGES.iter().map(page).collect();
        return document(
            &front,
            "sitemap.xml",
            "application/xml",
            context! { pages => Serde(pages) },
        );
    }
    let Some((start, end)) = period(name) else {
        let text = "The parts of the map are listed in /sitemap.xml.";
        return refuse(&front, Reader::Feed, StatusCode::NOT_FOUND, "No such part", text);
    };
    match papers(&front, &client, start, end).await {
        Ok(pages) => document(
            &front,
            "sitemap.xml",
            "application/xml",
            context! { pages => Serde(pages) },
        ),
        Err(error) => failed(Reader::Feed, &error),
    }
}

/// The first day of a month or day that a part is named by, and the first one behind it.
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

async fn papers(front: &Front, client: &Client, start: Date, end: Date) -> Result<Vec<Page>, Status> {
    let mut pages = Vec::new();
    let mut token = String::new();
    loop {
        let request = ListPapersRequest {
            filter: Some(PaperFilter {
                published_after: lists::start_of(start),
                published_before: lists::start_of(end),
                ..PaperFilter::default()
            }),
            page_size: AT_ONCE,
            page_token: token,
        };
        // Not kept: a part is read once in a long while, and whole.
        let answer = front
            .search
            .clone()
            .list_papers(client.request(request))
            .await?
            .into_inner();
        pages.extend(answer.papers.iter().map(|paper| Page {
            url: page_of(paper, client.base()),
            changed: changed(paper).map(|time| time.to_string()),
        }));
        token = answer.next_page_token;
        if token.is_empty() || pages.len() >= IN_PART {
            return Ok(pages);
        }
    }
}

fn document(front: &Front, template: &str, kind: &'static str, context: minijinja::Value) -> Response {
    match front.pages.fill(template, context) {
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
    fn a_year_is_mapped_by_months_or_days_up_to_today() {
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
