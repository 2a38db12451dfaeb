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

use crate::state::AppState;
use feeds::FeedFormat;

/// Routes whose metrics exist from the start.
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
pub fn routes() -> Router<Arc<AppState>> {
    let mut router = Router::new();
    for (suffix, format) in [("atom", FeedFormat::Atom), ("json", FeedFormat::Json)] {
        router = router
            .route(
                &format!("/feeds/today.{suffix}"),
                get(move |state, caller, query| feeds::today(state, caller, query, format)),
            )
            .route(
                &format!("/feeds/trending.{suffix}"),
                get(move |state, caller, query| feeds::trending(state, caller, query, format)),
            )
            .route(
                &format!("/feeds/search.{suffix}"),
                get(move |state, caller, query| feeds::search(state, caller, query, format)),
            )
            .route(
                &format!("/feeds/digest.{suffix}"),
                get(move |state, caller, query| feeds::digest(state, caller, query, format)),
            );
    }
    router
        .route("/feeds/categories/{file}", get(feeds::category))
        .route("/opensearch.xml", get(discovery::opensearch))
        .route("/robots.txt", get(discovery::robots))
        .route("/sitemap.xml", get(discovery::sitemap))
        .route("/sitemap/{part}", get(discovery::sitemap_part))
        .route("/mcp", post(mcp::post).fallback(mcp::method_not_allowed))
        .merge(api_routes())
}

/// Readable from pages of any site, since nothing in it is personal.
fn api_routes() -> Router<Arc<AppState>> {
    let read = |handler: MethodRouter<Arc<AppState>>| handler.options(preflight).fallback(api::method_not_allowed);
    let exposed = "etag, last-modified, link, ratelimit, ratelimit-policy, retry-after, x-request-id";
    let header = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .route("/api/papers/search", read(get(api::search)))
        .route("/api/papers/{*id}", read(get(api::paper)))
        .route("/api/daily_papers", read(get(api::daily_papers)))
        .route("/api/{*rest}", read(get(api::not_found)))
        .layer(header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .layer(header(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed))
}

/// The CORS preflight: what a browser asks before a page of another site may read.
async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (header::ALLOW, "GET, HEAD, OPTIONS"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// The response to a method that a route does not take.
fn not_allowed(method: &Method, allowed: &'static str) -> Response {
    let text = format!("method {method} is not allowed here; allowed: {allowed}");
    let mut response = crate::error_response::json_error(StatusCode::METHOD_NOT_ALLOWED, &text, None);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
