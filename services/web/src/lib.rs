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
//! one reader sees it; its title and abstract are HTML made by `paper::markup` of what `domain::readable` reads (emphasis, links,
//! formulas as MathML; anything unknown stays readable, and everything is escaped). A part of a page that is unavailable says so; the page is 503 only if
//! its main content is missing. Saved papers and votes are in cookies, because this service stores nothing; a vote is recorded
//! under the signed id of a cookie ([`reader_ids`]), and merely viewing a page records nothing. Style and script are files whose addresses
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
mod reader_ids;
mod reading;
mod same_site;
mod state;
mod subscribing;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use common::connections::ConnectionLimits;
use common::service::{Assembly, Bound, ServiceError};
use tower_http::set_header::SetResponseHeaderLayer;

use caching::PageCache;
use caller::Caller;
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

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
/// What the pages never ask a browser for.
const NO_PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
     magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=()";
/// For a year, this site is asked by https alone. Neither for subdomains nor for the lists in browsers: both bind whoever has
/// the domain, and are for the operator's proxy to say.
const HTTPS_ALONE: HeaderValue = HeaderValue::from_static("max-age=31536000");

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
    let proxies = config.site.trusted_proxies.clone();
    let limits = ConnectionLimits::new(config.connections).exempting(move |client| proxies.contain(client));
    assembly.serve_http(NAME, bound, router(Arc::new(app), middleware), limits);
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
        .layer(header(CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
        .layer(header(PERMISSIONS_POLICY, NO_PERMISSIONS))
        .layer(from_fn(insist_on_https))
        .layer(from_fn_with_state(middleware.site, caller::identify))
        .layer(DefaultBodyLimit::max(limits::LONGEST_BODY))
        .with_state(app)
}

/// Middleware: whoever came by https is told to come by https alone (RFC 6797), so that nobody on the way can have a browser
/// begin in clear.
async fn insist_on_https(caller: Caller, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if caller.is_https() {
        let headers = response.headers_mut();
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(HTTPS_ALONE);
    }
    response
}
