//! What is trending, with the formula and the page's own numbers in it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::trending::{
    ABSOLUTE, Attention, COLD, DAY_BUDGET, DOUBTFUL_SHARE, KNOWN_DAYS, MEMORY_DAYS, NEW_FLOOR, PRIOR_HEAT,
    PROVIDER_ROOM, SEEN_DAYS, SEEN_FLOOR, SIGNALS_FLOOR, SIGNALS_SHARE, Signal, Window,
};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use super::asking::{self, LONGEST_CATEGORY};
use super::heat;
use super::period::Unit;
use crate::Front;
use crate::categories;
use crate::client::Client;
use crate::page::Asked;
use crate::paper::escaped_value;
use crate::reader::Reader;

const PAPERS: i32 = 30;

/// What the address asks.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    window: Unit,
    #[serde(default)]
    category: String,
}

#[derive(Debug, Serialize)]
struct Choice {
    label: &'static str,
    href: String,
    is_chosen: bool,
}

/// The list, each paper with its parts, and how they come about.
pub async fn trending(
    State(front): State<Arc<Front>>,
    Asked(wanted): Asked<Wanted>,
    client: Client,
    reader: Reader,
) -> Response {
    let category = match asking::within(&front, "category", &wanted.category, LONGEST_CATEGORY) {
        Ok(category) => category,
        Err(page) => return *page,
    };
    let filter = asking::in_category(category);
    let papers = asking::trending(&front, &client, wanted.window.window(), filter, PAPERS).await;
    let status = if papers.is_err() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let choices = Unit::ALL.map(|unit| Choice {
        label: unit.name(),
        href: path(unit, category),
        is_chosen: unit == wanted.window,
    });
    let context = context! {
        section => "/trending",
        here => path(wanted.window, category),
        unit => wanted.window.name(),
        category,
        category_label => categories::label(category),
        choices => Serde(choices),
        papers => papers.ok().map(|known| Serde(heat::trends(&known.papers, &reader))),
        ..constants()
    };
    front.pages.render(status, "trending.html", context)
}

/// The constants of the formula, from where they are applied.
fn constants() -> Value {
    let weights = Attention::ALL.map(|kind| (kind.name(), kind.weight()));
    let signals = Signal::ALL.map(|kind| (kind.name(), kind.weight()));
    let half_lives = Window::ALL.map(|window| window.half_life().as_secs() / 3_600);
    context! {
        weights => weights.map(|(name, weight)| context! { name, weight => number(weight) }).to_vec(),
        half_lives => half_lives.to_vec(),
        absolute => number(1.0 + ABSOLUTE),
        cold => number(COLD),
        day_budget => number(DAY_BUDGET),
        doubtful_share => number(DOUBTFUL_SHARE),
        known_days => KNOWN_DAYS,
        memory_days => MEMORY_DAYS,
        new_floor => number(NEW_FLOOR),
        prior_heat => number(PRIOR_HEAT),
        provider_room => number(PROVIDER_ROOM),
        seen_days => SEEN_DAYS,
        seen_floor => number(SEEN_FLOOR),
        signals => signals.map(|(name, weight)| context! { name, weight => number(weight) }).to_vec(),
        signals_floor => number(SIGNALS_FLOOR),
        signals_share => number(SIGNALS_SHARE),
    }
}

/// A number as it is written by hand: 6, not 6.0.
fn number(value: f64) -> String {
    value.to_string()
}

fn path(unit: Unit, category: &str) -> String {
    let path = format!("/trending?window={}", unit.name());
    if category.is_empty() {
        return path;
    }
    format!("{path}&category={}", escaped_value(category))
}
