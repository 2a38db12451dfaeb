//! What subscribers do with their subscription.

pub mod links;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::Front;
use crate::page::Template;

/// Templates of these pages.
pub const TEMPLATES: &[Template] = &[
    ("confirm.html", include_str!("templates/confirm.html")),
    ("unsubscribe.html", include_str!("templates/unsubscribe.html")),
    ("preferences.html", include_str!("templates/preferences.html")),
];

/// Routes whose series exist from the start.
pub const ROUTES: &[&str] = &["/confirm", "/unsubscribe", "/preferences"];

/// The routes of these pages.
pub fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/confirm", get(links::confirm_page).post(links::confirm))
        .route("/unsubscribe", get(links::unsubscribe_page).post(links::unsubscribe))
        .route("/preferences", get(links::preferences_page))
        .route("/pause", post(links::pause))
        .route("/resume", post(links::resume))
}
