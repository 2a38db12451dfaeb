//! Metrics of the web front. They exist from the start.

use std::sync::LazyLock;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{IntCounterVec, register_int_counter_vec};

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
    for route in ["/", "/confirm", "/unsubscribe", "/preferences"] {
        RESPONSES.with_label_values(&[route, "200"]);
    }
}

/// Counts a response under its route, never under its path, which may hold a token.
pub async fn count(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str)
        .to_owned();
    let response = next.run(request).await;
    RESPONSES.with_label_values(&[&route, response.status().as_str()]).inc();
    response
}
