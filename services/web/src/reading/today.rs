//! The front page, and the same for every day, week and month that has passed.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::papers::v1::Paper;
use proto::search::v1::{CountFacetsResponse, FacetField, PaperFilter, TrendingWindow};
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::asking::{self, LONGEST_CATEGORY};
use super::heat;
use super::period::{Period, Unit};
use crate::Front;
use crate::caching::Known;
use crate::categories;
use crate::client::Client;
use crate::page::Asked;
use crate::paper::{PaperView, escaped_value, published_time, search_path};
use crate::reader::Reader;

const TRENDING: i32 = 10;
const NEWEST: i32 = 16;
const ARCHIVE_PAGE: i32 = 30;
const CATEGORIES: i32 = 12;

/// What the address asks.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    window: Unit,
    #[serde(default)]
    category: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    q: Option<String>,
}

/// The part of an address that names a period, where it is text.
type Written = Result<Path<String>, PathRejection>;

/// A link of a row of choices.
#[derive(Debug, Serialize)]
struct Choice {
    label: String,
    href: String,
    papers: Option<u64>,
    is_chosen: bool,
}

/// Today, this week or this month. Links from when the search was here lead to where it is now.
pub async fn today(
    State(front): State<Arc<Front>>,
    client: Client,
    reader: Reader,
    Asked(asked): Asked<Wanted>,
) -> Response {
    if let Some(query) = asked.q.as_deref().filter(|query| !query.trim().is_empty()) {
        return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, search_path(query))]).into_response();
    }
    let category = match asking::within(&front, "category", &asked.category, LONGEST_CATEGORY) {
        Ok(category) => category,
        Err(page) => return *page,
    };
    let unit = asked.window;
    let period = Period::at(unit, Timestamp::now());
    let filter = narrowed(period.filter(), category);
    let (trending, newest, counts) = tokio::join!(
        asking::trending(&front, &client, unit.window(), asking::in_category(category), TRENDING),
        asking::newest(&front, &client, filter, NEWEST, ""),
        asking::counts(&front, &client, period.filter(), &[FacetField::Category], CATEGORIES),
    );
    // Where nothing has appeared yet, the newest there are lead on.
    let earlier = match &newest {
        Ok(newest) if newest.papers.is_empty() => {
            let any = asking::in_category(category);
            asking::newest(&front, &client, any, NEWEST, "").await.ok()
        }
        _ => None,
    };
    let earlier = earlier.as_ref().map_or(&[][..], |newest| &newest.papers);
    let sheet = Sheet {
        period,
        category,
        here: front_path(unit, category),
        reader: &reader,
    };
    let context = context! {
        trending => trending.as_ref().ok().map(|trending| Serde(heat::trends(&trending.papers, &reader))),
        newest => newest.as_ref().ok().map(|newest| Serde(sheet.views(&newest.papers))),
        ..sheet.front(earlier, &counts)
    };
    let status = match (newest, trending) {
        (Err(_), Err(_)) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    front.pages.render(status, "today.html", context)
}

/// A day that has passed.
pub async fn day(
    front: State<Arc<Front>>,
    path: Written,
    client: Client,
    reader: Reader,
    asked: Asked<Wanted>,
) -> Response {
    Box::pin(archive(Unit::Day, front, path, client, reader, asked)).await
}

/// A week that has passed.
pub async fn week(
    front: State<Arc<Front>>,
    path: Written,
    client: Client,
    reader: Reader,
    asked: Asked<Wanted>,
) -> Response {
    Box::pin(archive(Unit::Week, front, path, client, reader, asked)).await
}

/// A month that has passed.
pub async fn month(
    front: State<Arc<Front>>,
    path: Written,
    client: Client,
    reader: Reader,
    asked: Asked<Wanted>,
) -> Response {
    Box::pin(archive(Unit::Month, front, path, client, reader, asked)).await
}

fn no_period(front: &Front, unit: Unit) -> Response {
    let like = match unit {
        Unit::Day => "/day/2026-11-27",
        Unit::Week => "/week/2026-W48",
        Unit::Month => "/month/2026-11",
    };
    let unit = unit.name();
    let text = format!("That is no {unit} of the calendar. An address looks like {like}.");
    front.pages.message(StatusCode::NOT_FOUND, "No such page", &text)
}

async fn archive(
    unit: Unit,
    State(front): State<Arc<Front>>,
    path: Written,
    client: Client,
    reader: Reader,
    Asked(asked): Asked<Wanted>,
) -> Response {
    let text = path.map(|Path(text)| text).unwrap_or_default();
    let Some(period) = Period::parse(unit, &text) else {
        return no_period(&front, unit);
    };
    let category = match asking::within(&front, "category", &asked.category, LONGEST_CATEGORY) {
        Ok(category) => category,
        Err(page) => return *page,
    };
    let filter = narrowed(period.filter(), category);
    let (trending, newest, counts) = tokio::join!(
        asking::trending(&front, &client, TrendingWindow::Month, filter.clone(), TRENDING),
        asking::newest(&front, &client, filter, ARCHIVE_PAGE, &asked.page),
        asking::counts(&front, &client, period.filter(), &[FacetField::Category], CATEGORIES),
    );
    let newest = match newest {
        Ok(newest) => newest,
        Err(error) => return front.pages.failure(&error),
    };
    let is_first = asked.page.is_empty();
    let sheet = Sheet {
        period,
        category,
        here: with_category(&period.path(), category),
        reader: &reader,
    };
    let next_page = Some(&newest.next_page_token).filter(|token| !token.is_empty());
    let trending = trending.ok().filter(|trending| is_first && !trending.papers.is_empty());
    let context = context! {
        is_front => false,
        is_first,
        categories => Serde(sheet.categories(&counts, &|category| with_category(&period.path(), category))),
        trending => trending.map(|trending| Serde(heat::trends(&trending.papers, &reader))),
        newest => Serde(sheet.views(&newest.papers)),
        next_page => next_page.map(|token| page_path(&sheet.here, token)),
        ..sheet.context(&counts)
    };
    front.pages.render(StatusCode::OK, "today.html", context)
}

/// What both kinds of page show.
struct Sheet<'a> {
    period: Period,
    category: &'a str,
    here: String,
    reader: &'a Reader,
}

impl Sheet<'_> {
    fn views(&self, papers: &[Paper]) -> Vec<PaperView> {
        papers.iter().map(|paper| PaperView::of(paper, self.reader)).collect()
    }

    /// What only the front page has; `earlier` leads on where the period has nothing yet.
    fn front(&self, earlier: &[Paper], counts: &Result<Known<CountFacetsResponse>, Status>) -> Value {
        let unit = self.period.unit();
        let earlier_day = earlier.iter().find_map(published_time);
        let earlier_day = earlier_day.map(|time| Period::at(Unit::Day, time));
        let windows = Unit::ALL.map(|one| Choice {
            label: one.name().to_owned(),
            href: front_path(one, self.category),
            papers: None,
            is_chosen: one == unit,
        });
        context! {
            section => "/",
            is_front => true,
            windows => Serde(windows),
            categories => Serde(self.categories(counts, &|category| front_path(unit, category))),
            earlier => Serde(self.views(earlier)),
            earlier_day => earlier_day.map(|day| context! { words => day.words(), path => self.with_category(day) }),
            ..self.context(counts)
        }
    }

    fn with_category(&self, period: Period) -> String {
        with_category(&period.path(), self.category)
    }

    fn context(&self, counts: &Result<Known<CountFacetsResponse>, Status>) -> Value {
        let neighbour = |period: Option<Period>| {
            period.map(|period| context! { words => period.words(), path => self.with_category(period) })
        };
        let next = self.period.next().filter(|next| !next.is_after(Timestamp::now()));
        context! {
            unit => self.period.unit().name(),
            period => self.period.words(),
            path => self.with_category(self.period),
            previous => neighbour(self.period.previous()),
            next => neighbour(next),
            here => self.here.as_str(),
            category => self.category,
            category_label => categories::label(self.category),
            total => counts.as_ref().ok().map(|counts| self.count(counts)),
        }
    }

    /// Papers of the period, in the category where one is chosen.
    fn count(&self, counts: &CountFacetsResponse) -> Option<u64> {
        if self.category.is_empty() {
            return Some(counts.total_size);
        }
        let values = counts.facets.iter().flat_map(|facet| &facet.values);
        values
            .filter(|value| value.value == self.category)
            .map(|value| value.papers)
            .next()
    }

    fn categories(
        &self,
        counts: &Result<Known<CountFacetsResponse>, Status>,
        path: &dyn Fn(&str) -> String,
    ) -> Vec<Choice> {
        let choice = |code: &str, papers| Choice {
            label: if code.is_empty() {
                "All".to_owned()
            } else {
                categories::label(code).to_owned()
            },
            href: path(code),
            papers,
            is_chosen: code == self.category,
        };
        let mut choices = vec![choice("", counts.as_ref().ok().map(|counts| counts.total_size))];
        let values = counts
            .iter()
            .flat_map(|counts| &counts.facets)
            .flat_map(|facet| &facet.values);
        choices.extend(values.map(|one| choice(&one.value, Some(one.papers))));
        if !choices.iter().any(|choice| choice.is_chosen) {
            choices.insert(1, choice(self.category, None));
        }
        choices
    }
}

fn narrowed(period: PaperFilter, category: &str) -> PaperFilter {
    PaperFilter {
        categories: asking::in_category(category).categories,
        ..period
    }
}

fn front_path(unit: Unit, category: &str) -> String {
    match unit {
        Unit::Day => with_category("/", category),
        unit if category.is_empty() => format!("/?window={}", unit.name()),
        unit => format!("/?window={}&category={}", unit.name(), escaped_value(category)),
    }
}

fn with_category(path: &str, category: &str) -> String {
    if category.is_empty() {
        return path.to_owned();
    }
    format!("{path}?category={}", escaped_value(category))
}

fn page_path(path: &str, token: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}page={}", escaped_value(token))
}
