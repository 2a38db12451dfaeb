//! A span for each request to a webhook: what it holds, what the webhook responded, and what that means.
//!
//! It never says whose webhook it is, where it is, or what a request says.

use tracing::{Span, field, info_span};

use super::WebhookError;

/// The span of a request with a `digest` or a `challenge`.
pub fn requesting(kind: &'static str) -> Span {
    info_span!(
        "call",
        otel.name = format!("call webhook with {kind}"),
        otel.kind = "client",
        otel.status_code = field::Empty,
        webhook.kind = kind,
        webhook.outcome = field::Empty,
        http.response.status_code = field::Empty
    )
}

/// Records the status of the webhook's response on the current span.
pub fn record_status(status: u16) {
    Span::current().record("http.response.status_code", status);
}

/// Records how a request ended.
pub fn ended(span: &Span, outcome: &Result<(), WebhookError>) {
    let name = match outcome {
        Ok(()) => "accepted",
        Err(WebhookError::Transient { .. }) => "deferred",
        Err(WebhookError::Gone(_)) => "gone",
        Err(WebhookError::Lost(_)) => "unknown",
    };
    span.record("webhook.outcome", name);
    if outcome.is_err() {
        span.record("otel.status_code", "ERROR");
    }
}
