//! Web: the pages, feeds and API for readers, and the links in mails. Speaks gRPC alone and stores nothing.
//!
//! GET never changes anything, because mail scanners follow links; every change is a POST.
//!
//! A request passes these layers in order: client identification ([`caller`]: address behind trusted proxies, request id, our
//! own address), metrics and span, limits ([`limits`]: token buckets per client, for each kind of request and for text; the deadline), the
//! same-site check for POST ([`same_site`]), the caches ([`caching`]), the handler. A handler calls other services with
//! `caller.request(…)`, which carries address, id and deadline.
//!
//! Every page is a template that extends `frame.html`, filled from view models without rules. `paper::PaperView` is a paper as
//! one reader sees it; its title and abstract are HTML made by `paper::latex` (accents, emphasis, inline formulas; anything
//! unknown stays readable, and everything is escaped). A part of a page that is unavailable says so; the page is 503 only if
//! its main content is missing. Saved papers and votes are in cookies, because this service stores nothing; a vote is recorded
//! under the opaque id of that cookie, and merely viewing a page records nothing. Style and script are files whose addresses
//! contain a hash of their content; the content security policy allows nothing inline. The script does what the forms do,
//! without a reload, and fetches results from the same address as the search page.

mod caching;
mod caller;
mod categories;
mod config;
mod cookies;
mod error_response;
mod fallback;
mod formats;
mod limits;
mod metrics;
mod page;
mod paper;
mod reading;
mod same_site;
mod state;
mod subscribing;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use common::service::{Assembly, Bound, ServiceError};
use tower_http::set_header::SetResponseHeaderLayer;

use caching::PageCache;
use limits::{RateLimiter, RequestBudget};
use page::PageRenderer;
use state::AppState;

pub use config::WebConfig;

/// Name of the service.
pub const NAME: &str = "web";
/// Its default settings.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Nothing inline, no third party, no frame: the pages need none. The script is our own file and speaks to this site alone.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Binds the port of the pages.
pub async fn bind(config: &WebConfig) -> Result<Bound, ServiceError> {
    common::service::bind(config.listen, "web.listen").await
}

/// Adds the service to a process.
pub fn start(config: &WebConfig, bound: Bound, assembly: &mut Assembly) -> Result<(), ServiceError> {
    let routes = [reading::ROUTES, subscribing::ROUTES, formats::ROUTES].concat();
    metrics::register_metrics(&routes, &RequestBudget::ALL.map(RequestBudget::name));
    let clock = assembly.clock();
    let pages = Arc::new(PageRenderer::new(clock.clone()));
    let limiter = Arc::new(RateLimiter::new(config.rates, Arc::clone(&pages), clock.clone()));
    let app = AppState::new(config, Arc::clone(&pages), Arc::clone(&limiter), clock.clone());
    let app = app.map_err(|error| ServiceError::start(NAME, error))?;
    tracing::info!(address = %bound.address, "serving pages");
    let middleware = Middleware {
        site: Arc::new(config.site.clone()),
        limiter,
        cache: Arc::new(PageCache::new(config.cache, clock)),
        pages,
    };
    assembly.serve_http(bound, router(Arc::new(app), middleware));
    Ok(())
}

/// What the layers around the handlers need.
struct Middleware {
    site: Arc<caller::SiteSettings>,
    limiter: Arc<RateLimiter>,
    cache: Arc<PageCache>,
    pages: Arc<PageRenderer>,
}

/// Layers run from the last one up: a request is identified first and looked up in the cache last.
fn router(app: Arc<AppState>, middleware: Middleware) -> Router {
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Router::new()
        .merge(reading::routes())
        .merge(subscribing::routes())
        .merge(formats::routes())
        .route("/style.css", get(page::style))
        .route("/script.js", get(page::script))
        .route("/favicon.svg", get(page::favicon))
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(from_fn_with_state(middleware.cache, caching::cache_responses))
        .layer(from_fn_with_state(middleware.pages, same_site::reject_cross_site))
        .layer(from_fn_with_state(middleware.limiter, limits::enforce))
        .layer(from_fn(metrics::observe))
        .layer(header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(from_fn_with_state(middleware.site, caller::identify))
        .layer(DefaultBodyLimit::max(limits::LONGEST_BODY))
        .with_state(app)
}
