//! The trending page: the list, and the formula with its constants.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::trending::{
    ABSOLUTE, AttentionKind, DAY_BUDGET, DOUBTFUL_SHARE, KNOWN_DAYS, MEMORY_DAYS, MIN_ATTENTION, NEW_FLOOR,
    PRIOR_ATTENTION, PROVIDER_LIMIT, SEEN_DAYS, SEEN_FLOOR, SIGNALS_FLOOR, SIGNALS_SHARE, Signal, TrendingWindow,
};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use super::period::PeriodUnit;
use super::queries::{self, LONGEST_CATEGORY};
use super::trend_view;
use crate::caller::Caller;
use crate::categories;
use crate::cookies::ReaderCookies;
use crate::page::PageQuery;
use crate::paper::escaped_value;
use crate::state::AppState;

const PAPERS: i32 = 30;

/// Parameters of the page.
#[derive(Deserialize)]
pub struct TrendingQuery {
    #[serde(default)]
    window: PeriodUnit,
    #[serde(default)]
    category: String,
}

#[derive(Debug, Serialize)]
struct WindowLink {
    label: &'static str,
    href: String,
    is_chosen: bool,
}

/// Trending papers with the parts of their scores, and the rules behind them.
pub async fn trending(
    State(app): State<Arc<AppState>>,
    PageQuery(query): PageQuery<TrendingQuery>,
    caller: Caller,
    reader: ReaderCookies,
) -> Response {
    let category = match queries::limited(&app, "category", &query.category, LONGEST_CATEGORY) {
        Ok(category) => category,
        Err(page) => return *page,
    };
    let filter = queries::category_filter(category);
    let papers = queries::trending(&app, &caller, query.window.window(), filter, PAPERS).await;
    let status = if papers.is_err() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let choices = PeriodUnit::ALL.map(|unit| WindowLink {
        label: unit.name(),
        href: path(unit, category),
        is_chosen: unit == query.window,
    });
    let context = context! {
        section => "/trending",
        here => path(query.window, category),
        unit => query.window.name(),
        category,
        category_label => categories::label(category),
        choices => Serde(choices),
        papers => papers.ok().map(|known| Serde(trend_view::trends(&known.papers, &reader))),
        ..constants()
    };
    app.pages.render(status, "trending.html", context)
}

/// The constants of the formula, as the search service uses them.
fn constants() -> Value {
    let weights = AttentionKind::ALL.map(|kind| (kind.name(), kind.weight()));
    let signals = Signal::ALL.map(|kind| (kind.name(), kind.weight()));
    let half_lives = TrendingWindow::ALL.map(|window| window.half_life().as_secs() / 3_600);
    context! {
        weights => weights.map(|(name, weight)| context! { name, weight => number(weight) }).to_vec(),
        half_lives => half_lives.to_vec(),
        absolute => number(1.0 + ABSOLUTE),
        cold => number(MIN_ATTENTION),
        day_budget => number(DAY_BUDGET),
        doubtful_share => number(DOUBTFUL_SHARE),
        known_days => KNOWN_DAYS,
        memory_days => MEMORY_DAYS,
        new_floor => number(NEW_FLOOR),
        prior_heat => number(PRIOR_ATTENTION),
        provider_room => number(PROVIDER_LIMIT),
        seen_days => SEEN_DAYS,
        seen_floor => number(SEEN_FLOOR),
        signals => signals.map(|(name, weight)| context! { name, weight => number(weight) }).to_vec(),
        signals_floor => number(SIGNALS_FLOOR),
        signals_share => number(SIGNALS_SHARE),
    }
}

/// A number without needless decimals: 6, not 6.0.
fn number(value: f64) -> String {
    value.to_string()
}

fn path(unit: PeriodUnit, category: &str) -> String {
    let path = format!("/trending?window={}", unit.name());
    if category.is_empty() {
        return path;
    }
    format!("{path}&category={}", escaped_value(category))
}
