//! The same content for programs: feeds, an HTTP API, tools for assistants, and what search engines and browsers look for.
//!
//! Nothing here changes anything, and nothing here is a page.

mod api;
mod discovery;
mod feeds;
mod lists;
mod mcp;
pub mod paper;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::Front;
use crate::page::Template;
use feeds::Form;

/// Templates of these answers.
pub const TEMPLATES: &[Template] = &[
    ("feed.atom.xml", include_str!("templates/feed.atom.xml")),
    ("opensearch.xml", include_str!("templates/opensearch.xml")),
    ("sitemap.xml", include_str!("templates/sitemap.xml")),
];

/// Routes whose series exist from the start.
pub const ROUTES: &[&str] = &[
    "/feeds/today.atom",
    "/feeds/today.json",
    "/feeds/trending.atom",
    "/feeds/trending.json",
    "/feeds/search.atom",
    "/feeds/search.json",
    "/feeds/digest.atom",
    "/feeds/digest.json",
    "/feeds/categories/{file}",
    "/api/papers/search",
    "/api/papers/{*id}",
    "/api/daily_papers",
    "/mcp",
    "/opensearch.xml",
    "/robots.txt",
    "/sitemap.xml",
    "/sitemap/{part}",
];

/// The routes of these answers.
pub fn routes() -> Router<Arc<Front>> {
    let mut router = Router::new();
    for (atom, form) in [("atom", Form::Atom), ("json", Form::Json)] {
        router = router
            .route(
                &format!("/feeds/today.{atom}"),
                get(move |state, client, query| feeds::today(state, client, query, form)),
            )
            .route(
                &format!("/feeds/trending.{atom}"),
                get(move |state, client, query| feeds::trending(state, client, query, form)),
            )
            .route(
                &format!("/feeds/search.{atom}"),
                get(move |state, client, query| feeds::search(state, client, query, form)),
            )
            .route(
                &format!("/feeds/digest.{atom}"),
                get(move |state, client, query| feeds::digest(state, client, query, form)),
            );
    }
    router
        .route("/feeds/categories/{file}", get(feeds::category))
        .route("/opensearch.xml", get(discovery::opensearch))
        .route("/robots.txt", get(discovery::robots))
        .route("/sitemap.xml", get(discovery::sitemap))
        .route("/sitemap/{part}", get(discovery::sitemap_part))
        .route("/mcp", post(mcp::post).fallback(mcp::not_by_post))
        .merge(api_routes())
}

/// Readable from pages of any site: there is nothing in it that is anybody's own.
fn api_routes() -> Router<Arc<Front>> {
    let read = |handler: MethodRouter<Arc<Front>>| handler.options(preflight).fallback(api::only_reading);
    let exposed = "etag, last-modified, link, ratelimit, ratelimit-policy, retry-after, x-request-id";
    let header = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .route("/api/papers/search", read(get(api::search)))
        .route("/api/papers/{*id}", read(get(api::paper)))
        .route("/api/daily_papers", read(get(api::daily_papers)))
        .route("/api/{*rest}", read(get(api::nothing)))
        .layer(header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .layer(header(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed))
}

/// What a browser asks before a page of another site may read.
async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (header::ALLOW, "GET, HEAD, OPTIONS"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// The answer to a method that a route does not know.
fn not_allowed(method: &Method, allowed: &'static str) -> Response {
    let text = format!("method {method} is not offered here; offered: {allowed}");
    let mut response = crate::refusal::json_error(StatusCode::METHOD_NOT_ALLOWED, &text, None);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
