//! What readers look at: today's papers, searches, papers, lists of them, and the buttons beside them.

mod asking;
mod heat;
mod lists;
mod paper;
mod period;
mod reactions;
mod saved;
mod search;
pub mod state;
mod texts;
mod today;
mod trending;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::Front;
use crate::page::Template;

/// Templates of these pages.
pub const TEMPLATES: &[Template] = &[
    ("about.html", include_str!("templates/about.html")),
    ("author.html", include_str!("templates/author.html")),
    ("categories.html", include_str!("templates/categories.html")),
    ("category.html", include_str!("templates/category.html")),
    ("help.html", include_str!("templates/help.html")),
    ("paper.html", include_str!("templates/paper.html")),
    ("reaction.html", include_str!("templates/reaction.html")),
    ("saved.html", include_str!("templates/saved.html")),
    ("search.html", include_str!("templates/search.html")),
    ("status.html", include_str!("templates/status.html")),
    ("today.html", include_str!("templates/today.html")),
    ("trending.html", include_str!("templates/trending.html")),
];

/// Routes whose series exist from the start.
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
pub fn routes() -> Router<Arc<Front>> {
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
        .route("/status", get(state::state))
        .route("/about", get(texts::about))
        .route("/help/search", get(texts::help))
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
