//! The front page, and the archive pages of days, weeks and months.

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

use super::period::{Period, PeriodUnit};
use super::queries::{self, LONGEST_CATEGORY};
use super::trend_view;
use crate::caching::SharedAnswer;
use crate::caller::Caller;
use crate::categories;
use crate::cookies::ReaderCookies;
use crate::page::PageQuery;
use crate::paper::{PaperView, escaped_value, published_time, search_path};
use crate::state::AppState;

const TRENDING: i32 = 10;
const NEWEST: i32 = 16;
const ARCHIVE_PAGE: i32 = 30;
const CATEGORIES: i32 = 12;

/// Parameters of the page.
#[derive(Deserialize)]
pub struct TodayQuery {
    #[serde(default)]
    window: PeriodUnit,
    #[serde(default)]
    category: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    q: Option<String>,
}

/// The part of an address that names a period, if it is valid text.
type PeriodPath = Result<Path<String>, PathRejection>;

/// A link in a row of choices.
#[derive(Debug, Serialize)]
struct ChoiceLink {
    label: String,
    href: String,
    papers: Option<u64>,
    is_chosen: bool,
}

/// The front page: today, this week or this month. Links from when the search was here redirect to its page.
pub async fn today(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    reader: ReaderCookies,
    PageQuery(query): PageQuery<TodayQuery>,
) -> Response {
    if let Some(query) = query.q.as_deref().filter(|query| !query.trim().is_empty()) {
        return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, search_path(query))]).into_response();
    }
    let category = match queries::limited(&app, "category", &query.category, LONGEST_CATEGORY) {
        Ok(category) => category,
        Err(page) => return *page,
    };
    let page = PeriodPage {
        period: Period::at(query.window, app.clock.now()),
        today: app.clock.now(),
        category,
        here: front_path(query.window, category),
        reader: &reader,
    };
    front_page(&app, &caller, &page).await
}

async fn front_page(app: &AppState, caller: &Caller, page: &PeriodPage<'_>) -> Response {
    let (period, category) = (page.period, page.category);
    let filter = in_category(period.filter(), category);
    let (trending, newest, counts) = tokio::join!(
        queries::trending(
            app,
            caller,
            period.unit().window(),
            queries::category_filter(category),
            TRENDING
        ),
        queries::newest(app, caller, filter, NEWEST, ""),
        queries::facet_counts(app, caller, period.filter(), &[FacetField::Category], CATEGORIES),
    );
    // If nothing has appeared yet in this period, the newest papers from before are shown.
    let earlier = match &newest {
        Ok(newest) if newest.papers.is_empty() => {
            let any = queries::category_filter(category);
            queries::newest(app, caller, any, NEWEST, "").await.ok()
        }
        _ => None,
    };
    let earlier = earlier.as_ref().map_or(&[][..], |newest| &newest.papers);
    let context = context! {
        trending => trending.as_ref().ok().map(|trending| Serde(trend_view::trends(&trending.papers, page.reader))),
        newest => newest.as_ref().ok().map(|newest| Serde(page.views(&newest.papers))),
        ..page.front_page_context(earlier, &counts)
    };
    let status = match (newest, trending) {
        (Err(_), Err(_)) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    app.pages.render(status, "today.html", context)
}

/// The archive page of a day.
pub async fn day(
    app: State<Arc<AppState>>,
    path: PeriodPath,
    caller: Caller,
    reader: ReaderCookies,
    query: PageQuery<TodayQuery>,
) -> Response {
    Box::pin(archive(PeriodUnit::Day, app, path, caller, reader, query)).await
}

/// The archive page of a week.
pub async fn week(
    app: State<Arc<AppState>>,
    path: PeriodPath,
    caller: Caller,
    reader: ReaderCookies,
    query: PageQuery<TodayQuery>,
) -> Response {
    Box::pin(archive(PeriodUnit::Week, app, path, caller, reader, query)).await
}

/// The archive page of a month.
pub async fn month(
    app: State<Arc<AppState>>,
    path: PeriodPath,
    caller: Caller,
    reader: ReaderCookies,
    query: PageQuery<TodayQuery>,
) -> Response {
    Box::pin(archive(PeriodUnit::Month, app, path, caller, reader, query)).await
}

fn no_period(app: &AppState, unit: PeriodUnit) -> Response {
    let example = match unit {
        PeriodUnit::Day => "/day/2026-11-27",
        PeriodUnit::Week => "/week/2026-W48",
        PeriodUnit::Month => "/month/2026-11",
    };
    let unit = unit.name();
    let text = format!("There is no such {unit}. Addresses look like {example}.");
    app.pages.message(StatusCode::NOT_FOUND, "Page not found", &text)
}

async fn archive(
    unit: PeriodUnit,
    State(app): State<Arc<AppState>>,
    path: PeriodPath,
    caller: Caller,
    reader: ReaderCookies,
    PageQuery(query): PageQuery<TodayQuery>,
) -> Response {
    let text = path.map(|Path(text)| text).unwrap_or_default();
    let Some(period) = Period::parse(unit, &text) else {
        return no_period(&app, unit);
    };
    let category = match queries::limited(&app, "category", &query.category, LONGEST_CATEGORY) {
        Ok(category) => category,
        Err(page) => return *page,
    };
    let filter = in_category(period.filter(), category);
    let (trending, newest, counts) = tokio::join!(
        queries::trending(&app, &caller, TrendingWindow::Month, filter.clone(), TRENDING),
        queries::newest(&app, &caller, filter, ARCHIVE_PAGE, &query.page),
        queries::facet_counts(&app, &caller, period.filter(), &[FacetField::Category], CATEGORIES),
    );
    let newest = match newest {
        Ok(newest) => newest,
        Err(error) => return app.pages.failure(&error),
    };
    let is_first = query.page.is_empty();
    let page = PeriodPage {
        period,
        today: app.clock.now(),
        category,
        here: with_category(&period.path(), category),
        reader: &reader,
    };
    let next_page = Some(&newest.next_page_token).filter(|token| !token.is_empty());
    let trending = trending.ok().filter(|trending| is_first && !trending.papers.is_empty());
    let context = context! {
        is_front => false,
        is_first,
        categories => Serde(page.categories(&counts, &|category| with_category(&period.path(), category))),
        trending => trending.map(|trending| Serde(trend_view::trends(&trending.papers, &reader))),
        newest => Serde(page.views(&newest.papers)),
        next_page => next_page.map(|token| page_path(&page.here, token)),
        ..page.context(&counts)
    };
    app.pages.render(StatusCode::OK, "today.html", context)
}

/// What the front page and archive pages have in common.
struct PeriodPage<'a> {
    period: Period,
    today: Timestamp,
    category: &'a str,
    here: String,
    reader: &'a ReaderCookies,
}

impl PeriodPage<'_> {
    fn views(&self, papers: &[Paper]) -> Vec<PaperView> {
        papers.iter().map(|paper| PaperView::new(paper, self.reader)).collect()
    }

    /// What only the front page has; `earlier` are older papers for a period that has none yet.
    fn front_page_context(
        &self,
        earlier: &[Paper],
        counts: &Result<SharedAnswer<CountFacetsResponse>, Status>,
    ) -> Value {
        let unit = self.period.unit();
        let earlier_day = earlier.iter().find_map(published_time);
        let earlier_day = earlier_day.map(|time| Period::at(PeriodUnit::Day, time));
        let windows = PeriodUnit::ALL.map(|one| ChoiceLink {
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

    fn context(&self, counts: &Result<SharedAnswer<CountFacetsResponse>, Status>) -> Value {
        let neighbour = |period: Option<Period>| {
            period.map(|period| context! { words => period.words(), path => self.with_category(period) })
        };
        let next = self.period.next().filter(|next| !next.is_after(self.today));
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

    /// Papers in the period, and in the category if one is chosen.
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
        counts: &Result<SharedAnswer<CountFacetsResponse>, Status>,
        path: &dyn Fn(&str) -> String,
    ) -> Vec<ChoiceLink> {
        let choice = |code: &str, papers| ChoiceLink {
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

fn in_category(period: PaperFilter, category: &str) -> PaperFilter {
    PaperFilter {
        categories: queries::category_filter(category).categories,
        ..period
    }
}

fn front_path(unit: PeriodUnit, category: &str) -> String {
    match unit {
        PeriodUnit::Day => with_category("/", category),
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
