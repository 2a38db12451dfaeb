//! Metrics and spans of the web front. The metrics exist from the start.

use std::sync::LazyLock;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use common::telemetry;
use common::waiting::{self, Took};
use prometheus::{HistogramVec, IntCounterVec, register_histogram_vec, register_int_counter_vec};
use tracing::{Instrument as _, field, info_span};

use crate::client::Client;
use crate::limits::Budget;
use crate::{formats, reading, subscribing};

/// Bounds of the durations, in seconds.
const SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

static RESPONSES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_web_responses_total",
        "Responses by route and status.",
        &["route", "status"]
    )
    .expect("the only metric of this name")
});
static DURATIONS: LazyLock<HistogramVec> = LazyLock::new(|| {
    register_histogram_vec!(
        "broadsheet_web_response_seconds",
        "Time until a response was ready, gRPC calls included.",
        &["route"],
        SECONDS.to_vec()
    )
    .expect("the only metric of this name")
});
static KEPT: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_web_kept_total",
        "Answers by shelf (pages, answers) and where they came from (hit, miss, stale).",
        &["shelf", "outcome"]
    )
    .expect("the only metric of this name")
});
static LIMITED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_web_limited_total",
        "Requests that were refused because their client asked too often, by budget.",
        &["budget"]
    )
    .expect("the only metric of this name")
});

static RENDERED: LazyLock<HistogramVec> = LazyLock::new(|| {
    register_histogram_vec!(
        "broadsheet_web_render_seconds",
        "Time that a response took beyond waiting for the services it asked, by route.",
        &["route"],
        vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5]
    )
    .expect("the only metric of this name")
});

/// Makes every series exist.
pub fn touch() {
    for route in [reading::ROUTES, subscribing::ROUTES, formats::ROUTES].concat() {
        RESPONSES.with_label_values(&[route, "200"]);
        DURATIONS.with_label_values(&[route]);
        RENDERED.with_label_values(&[route]);
    }
    for shelf in ["pages", "answers"] {
        for outcome in ["hit", "miss", "stale"] {
            KEPT.with_label_values(&[shelf, outcome]);
        }
    }
    for budget in Budget::ALL {
        LIMITED.with_label_values(&[budget.name()]);
    }
}

/// Counts what came from a shelf.
pub fn kept(shelf: &str, outcome: &str) {
    KEPT.with_label_values(&[shelf, outcome]).inc();
}

/// Counts a request that was refused because its client asked too often.
pub fn limited(budget: Budget) {
    LIMITED.with_label_values(&[budget.name()]).inc();
}

/// Counts a response under its route and makes it a span, never under its path, which may hold a token.
pub async fn observe(client: Client, request: Request, next: Next) -> Response {
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
        http.request.id = client.request_id(),
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

/// What the browser's own tools show beside the page.
fn server_timing(took: Took) -> HeaderValue {
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1_000.0;
    let told = format!(
        "services;dur={:.2}, page;dur={:.2}",
        milliseconds(took.services),
        milliseconds(took.own)
    );
    HeaderValue::from_str(&told).unwrap_or_else(|_| HeaderValue::from_static("page"))
}
