//! The pages readers browse: today's papers, searches, papers and lists of them, and the buttons beside a paper.

mod lists;
mod paper;
mod period;
mod queries;
mod reactions;
mod saved;
mod search;
mod static_pages;
mod status;
mod today;
mod trend_view;
mod trending;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::state::AppState;

/// Routes whose metrics exist from the start.
pub const ROUTES: &[&str] = &[
    "/",
    "/day/{day}",
    "/week/{week}",
    "/month/{month}",
    "/search",
    "/papers/{*id}",
    "/authors/{name}",
    "/categories",
    "/categories/{name}",
    "/trending",
    "/saved",
    "/status",
    "/about",
    "/help/search",
    "/vote",
    "/save",
    "/unsave",
    "/not-interested",
];

/// The routes of these pages.
pub fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/", get(today::today))
        .route("/day/{day}", get(today::day))
        .route("/week/{week}", get(today::week))
        .route("/month/{month}", get(today::month))
        .route("/search", get(search::search))
        .route("/papers/{*id}", get(paper::paper))
        .route("/authors/{name}", get(lists::author))
        .route("/categories", get(lists::categories))
        .route("/categories/{name}", get(lists::category))
        .route("/trending", get(trending::trending))
        .route("/saved", get(saved::saved))
        .route("/status", get(status::status))
        .route("/about", get(static_pages::about))
        .route("/help/search", get(static_pages::search_help))
        .route("/vote", get(reactions::vote_page).post(reactions::vote))
        .route("/save", post(reactions::save))
        .route("/unsave", post(reactions::unsave))
        .route(
            "/not-interested",
            get(reactions::not_interested_page).post(reactions::not_interested),
        )
}

#[cfg(test)]
mod tests;
