//! Metrics of ingest. They exist from the start, so that a dashboard shows zeros rather than gaps.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

/// Submitted papers by outcome.
pub static PAPERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_ingest_papers_total",
        "Submitted papers by outcome.",
        &["outcome"]
    )
    .expect("the only metric of this name")
});

/// Reports of counts on other sites by outcome.
pub static SIGNALS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_ingest_signals_total",
        "Reports of counts on other sites by outcome.",
        &["outcome"]
    )
    .expect("the only metric of this name")
});

/// Makes every series exist.
pub fn touch() {
    let submitted = ["accepted", "unchanged", "duplicate", "rejected", "failed", "withdrawn"];
    for outcome in submitted.into_iter().chain(["resent", "not_resent"]) {
        PAPERS.with_label_values(&[outcome]);
    }
    for outcome in ["taken", "refused", "failed"] {
        SIGNALS.with_label_values(&[outcome]);
    }
}
