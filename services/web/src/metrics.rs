//! Metrics and spans of the web front. The metrics exist from the start.

use std::sync::LazyLock;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use common::telemetry;
use common::waiting::{self, Took};
use prometheus::{HistogramVec, IntCounterVec, register_histogram_vec, register_int_counter_vec};
use tracing::{Instrument as _, field, info_span};

use crate::{formats, reading, subscribing};

static RESPONSES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_web_responses_total",
        "Responses by route and status.",
        &["route", "status"]
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
        RENDERED.with_label_values(&[route]);
    }
}

/// Counts a response under its route and makes it a span, never under its path, which may hold a token.
pub async fn observe(request: Request, next: Next) -> Response {
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
        http.response.status_code = field::Empty
    );
    telemetry::set_parent_from_http(&span, request.headers());
    let (mut response, took) = waiting::measured(next.run(request).instrument(span.clone())).await;
    span.record("http.response.status_code", response.status().as_u16());
    RESPONSES.with_label_values(&[&route, response.status().as_str()]).inc();
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
