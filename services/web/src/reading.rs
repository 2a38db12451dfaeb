//! What readers look at: searches, papers, and the votes for them.

mod reactions;
mod search;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::Front;
use crate::page::Template;

/// Templates of these pages.
pub const TEMPLATES: &[Template] = &[
    ("search.html", include_str!("templates/search.html")),
    ("reaction.html", include_str!("templates/reaction.html")),
];

/// Routes whose series exist from the start.
pub const ROUTES: &[&str] = &["/", "/vote", "/not-interested"];

/// The routes of these pages.
pub fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/", get(search::search))
        .route("/search", get(search::search))
        .route("/vote", get(reactions::vote_page).post(reactions::vote))
        .route(
            "/not-interested",
            get(reactions::not_interested_page).post(reactions::not_interested),
        )
}
