//! Metrics and spans of the web front. The metrics exist from the start.

use std::sync::LazyLock;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use common::telemetry;
use prometheus::{IntCounterVec, register_int_counter_vec};
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

/// Makes every series exist.
pub fn touch() {
    for route in [reading::ROUTES, subscribing::ROUTES, formats::ROUTES].concat() {
        RESPONSES.with_label_values(&[route, "200"]);
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
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    RESPONSES.with_label_values(&[&route, response.status().as_str()]).inc();
    response
}
