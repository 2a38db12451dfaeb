//! The pages of a subscription: subscribing, confirming, preferences, pausing, unsubscribing, deleting. GET shows, POST acts.
//!
//! Nothing here is cached, and pages with a token are not indexed: their address opens a subscription. (The referrer policy
//! of all pages keeps it from other sites.)
//!
//! What a link allows differs (see the service's `LinkScope`): the links in mails see and change preferences, or only end the
//! subscription; exporting, deleting and webhooks take a link that [`account`] has mailed.
//!
//! The forms are the same page with and without scripts. Input is kept as typed; parsing turns it into a request and remembers
//! the field of each interest, so that violations appear beside their fields. A preview is the same form posted to another
//! address; the script only uses its `#preview`. Saving sends the groups of fields that differ from what the form had shown,
//! by marks that the form carries: two people who change different things both succeed, and a conflicting change asks.
//! Unsubscribing accepts any body, because mail programs may post `multipart/form-data` (RFC 8058).

mod account;
mod choices;
mod confirm;
mod context;
mod decline;
mod editing;
mod examples;
mod form_body;
mod form_state;
mod history;
mod links;
mod parsing;
mod pause;
mod personal_data;
mod preferences;
mod preview;
mod problems;
mod subscribe;
mod unsubscribe;
mod webhook;
mod webhook_section;
mod wording;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::state::AppState;

/// Routes whose metrics exist from the start.
pub const ROUTES: &[&str] = &[
    "/subscribe",
    "/subscribe/preview",
    "/confirm",
    "/not-me",
    "/preferences",
    "/preferences/preview",
    "/preferences/export",
    "/preferences/delete",
    "/preferences/revoke",
    "/preferences/webhook",
    "/preferences/webhook/verify",
    "/preferences/webhook/rotate",
    "/preferences/webhook/remove",
    "/account",
    "/unsubscribe",
    "/pause",
    "/resume",
    "/weekly",
];

/// The routes of these pages.
pub fn routes() -> Router<Arc<AppState>> {
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    };
    let with_token = Router::new()
        .route("/confirm", get(confirm::page).post(confirm::confirm))
        .route("/not-me", get(decline::page).post(decline::decline))
        .route("/preferences", get(preferences::page).post(preferences::save))
        .route("/preferences/preview", post(preferences::preview_page))
        .route("/preferences/export", get(personal_data::export))
        .route(
            "/preferences/delete",
            get(personal_data::delete_page).post(personal_data::delete),
        )
        .route("/preferences/revoke", post(account::revoke))
        .route("/preferences/webhook", post(webhook::set))
        .route("/preferences/webhook/verify", post(webhook::verify))
        .route("/preferences/webhook/rotate", post(webhook::rotate))
        .route("/preferences/webhook/remove", post(webhook::remove))
        .route("/account", get(account::page).post(account::request))
        .route("/unsubscribe", get(unsubscribe::page).post(unsubscribe::unsubscribe))
        .route("/pause", post(pause::pause))
        .route("/resume", post(pause::resume))
        .route("/weekly", post(unsubscribe::weekly))
        .layer(header(HeaderName::from_static("x-robots-tag"), "noindex"));
    Router::new()
        .route("/subscribe", get(subscribe::page).post(subscribe::subscribe))
        .route("/subscribe/preview", post(subscribe::preview_page))
        .merge(with_token)
        .layer(header(header::CACHE_CONTROL, "no-store"))
        // Forms have a limit of their own.
        .layer(DefaultBodyLimit::disable())
        .route("/subscribing.js", get(script))
}

/// The script of the forms, which work without it.
async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, include_str!("templates/subscribing.js"))
}

#[cfg(test)]
mod tests;
