//! Metrics and spans of the web front. Every series exists from the start.

use std::sync::LazyLock;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use common::metrics::{counters, histograms};
use common::telemetry;
use common::waiting::{self, Took};
use prometheus::{HistogramVec, IntCounterVec};
use tracing::{Instrument as _, field, info_span};

use crate::caller::Caller;

/// Bounds of the durations, in seconds.
const SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Bounds of the time spent rendering, in seconds.
const RENDER_SECONDS: &[f64] = &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5];

static RESPONSES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_web_responses_total",
        "Responses by route and status.",
        &["route", "status"],
    )
});
static DURATIONS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histograms(
        "broadsheet_web_response_seconds",
        "Time until a response was ready, gRPC calls included.",
        &["route"],
        SECONDS,
    )
});
static CACHE_LOOKUPS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_web_cache_lookups_total",
        "Lookups by cache (pages, answers) and outcome (hit, miss, stale).",
        &["cache", "outcome"],
    )
});
static RATE_LIMITED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_web_rate_limited_total",
        "Requests refused because their client made too many, by budget.",
        &["budget"],
    )
});
static READER_ACTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_web_reader_acts_total",
        "Votes and saves of readers with cookies, by whether they were recorded.",
        &["kind", "outcome"],
    )
});
static RENDERED: LazyLock<HistogramVec> = LazyLock::new(|| {
    histograms(
        "broadsheet_web_render_seconds",
        "Time a response took, without waiting for other services, by route.",
        &["route"],
        RENDER_SECONDS,
    )
});

/// Makes every series exist, for these routes and rate limit budgets.
pub fn register_metrics(routes: &[&str], budgets: &[&str]) {
    for route in routes {
        RESPONSES.with_label_values(&[*route, "200"]);
        DURATIONS.with_label_values(&[*route]);
        RENDERED.with_label_values(&[*route]);
    }
    for cache in ["pages", "answers"] {
        for outcome in ["hit", "miss", "stale"] {
            CACHE_LOOKUPS.with_label_values(&[cache, outcome]);
        }
    }
    for kind in ["vote", "save"] {
        for outcome in ["recorded", "waits", "not_admitted", "failed"] {
            READER_ACTS.with_label_values(&[kind, outcome]);
        }
    }
    for budget in budgets {
        RATE_LIMITED.with_label_values(&[*budget]);
    }
}

/// Counts a vote or save of a reader with a cookie, and whether it was recorded.
pub fn reader_acted(kind: &str, outcome: &str) {
    READER_ACTS.with_label_values(&[kind, outcome]).inc();
}

/// Counts a lookup in a cache.
pub fn cache_lookup(cache: &str, outcome: &str) {
    CACHE_LOOKUPS.with_label_values(&[cache, outcome]).inc();
}

/// Counts a request refused by the rate limit.
pub fn rate_limited(budget: &str) {
    RATE_LIMITED.with_label_values(&[budget]).inc();
}

/// Middleware: counts a response and records its span by route, never by path, which may hold a token.
pub async fn observe(caller: Caller, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str)
        .to_owned();
    let span = info_span!(
        "page",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.route = route,
        http.request.id = caller.request_id(),
        http.response.status_code = field::Empty
    );
    telemetry::set_parent_from_http(&span, request.headers());
    let (mut response, took) = waiting::measured(next.run(request).instrument(span.clone())).await;
    span.record("http.response.status_code", response.status().as_u16());
    RESPONSES.with_label_values(&[&route, response.status().as_str()]).inc();
    DURATIONS
        .with_label_values(&[&route])
        .observe(started.elapsed().as_secs_f64());
    RENDERED.with_label_values(&[&route]).observe(took.own.as_secs_f64());
    response.headers_mut().insert("server-timing", server_timing(took));
    response
}

/// Shown by the developer tools of browsers.
fn server_timing(took: Took) -> HeaderValue {
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1_000.0;
    let timing = format!(
        "services;dur={:.2}, page;dur={:.2}",
        milliseconds(took.services),
        milliseconds(took.own)
    );
    HeaderValue::from_str(&timing).unwrap_or_else(|_| HeaderValue::from_static("page"))
}
