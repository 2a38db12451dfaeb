//! What subscribers do with their subscription. GET shows, POST acts.
//!
//! Nothing of it is cached, and no page of a link is indexed: an address of one opens a subscription. (It is named to no
//! other site either, by the policy of all pages.)

mod choices;
mod confirm;
mod desk;
mod editing;
mod examples;
mod history;
mod leaving;
pub mod links;
mod posted;
mod preferences;
mod preview;
mod problems;
mod reading;
mod standing;
mod subscribe;
mod webhook;
mod wishes;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::Front;
use crate::page::Template;

/// Templates of these pages.
pub const TEMPLATES: &[Template] = &[
    ("wishes.html", include_str!("templates/wishes.html")),
    ("picked.html", include_str!("templates/picked.html")),
    ("preview.html", include_str!("templates/preview.html")),
    ("subscribe.html", include_str!("templates/subscribe.html")),
    ("subscribed.html", include_str!("templates/subscribed.html")),
    ("summary.html", include_str!("templates/summary.html")),
    ("confirm.html", include_str!("templates/confirm.html")),
    ("confirmed.html", include_str!("templates/confirmed.html")),
    ("link.html", include_str!("templates/link.html")),
    ("unsubscribe.html", include_str!("templates/unsubscribe.html")),
    ("unsubscribed.html", include_str!("templates/unsubscribed.html")),
    ("preferences.html", include_str!("templates/preferences.html")),
    ("hook.html", include_str!("templates/hook.html")),
    ("webhook.html", include_str!("templates/webhook.html")),
    ("delete.html", include_str!("templates/delete.html")),
    ("deleted.html", include_str!("templates/deleted.html")),
];

/// Routes whose series exist from the start.
pub const ROUTES: &[&str] = &[
    "/subscribe",
    "/subscribe/preview",
    "/confirm",
    "/preferences",
    "/preferences/preview",
    "/preferences/export",
    "/preferences/delete",
    "/preferences/webhook",
    "/preferences/webhook/verify",
    "/preferences/webhook/rotate",
    "/preferences/webhook/remove",
    "/unsubscribe",
    "/pause",
    "/resume",
    "/weekly",
];

/// The routes of these pages.
pub fn routes() -> Router<Arc<Front>> {
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    };
    let of_links = Router::new()
        .route("/confirm", get(confirm::page).post(confirm::confirm))
        .route("/preferences", get(preferences::page).post(preferences::save))
        .route("/preferences/preview", post(preferences::preview_page))
        .route("/preferences/export", get(leaving::export))
        .route("/preferences/delete", get(leaving::delete_page).post(leaving::delete))
        .route("/preferences/webhook", post(webhook::set))
        .route("/preferences/webhook/verify", post(webhook::verify))
        .route("/preferences/webhook/rotate", post(webhook::rotate))
        .route("/preferences/webhook/remove", post(webhook::remove))
        .route(
            "/unsubscribe",
            get(leaving::unsubscribe_page).post(leaving::unsubscribe),
        )
        .route("/pause", post(leaving::pause))
        .route("/resume", post(leaving::resume))
        .route("/weekly", post(leaving::weekly))
        .layer(header(HeaderName::from_static("x-robots-tag"), "noindex"));
    Router::new()
        .route("/subscribe", get(subscribe::page).post(subscribe::subscribe))
        .route("/subscribe/preview", post(subscribe::preview_page))
        .merge(of_links)
        .layer(header(header::CACHE_CONTROL, "no-store"))
        // The forms have a limit of their own.
        .layer(DefaultBodyLimit::disable())
        .route("/subscribing.js", get(script))
}

/// The script of the forms; they work without it.
async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, include_str!("templates/subscribing.js"))
}

#[cfg(test)]
mod tests;
