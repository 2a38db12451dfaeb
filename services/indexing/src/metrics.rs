//! Metrics of indexing. They exist from the start, so that a dashboard shows zeros rather than gaps.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounterVec, register_histogram, register_int_counter_vec};

/// Papers the store was given, by outcome.
pub static PAPERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_indexing_papers_total",
        "Papers given to the store, by outcome.",
        &["outcome"]
    )
    .expect("the only metric of this name")
});

/// Time of a search without embedding the query.
pub static SEARCH_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    register_histogram!(
        "broadsheet_indexing_search_seconds",
        "Time of the legs of a search in the store."
    )
    .expect("the only metric of this name")
});

/// Makes every series exist.
pub fn touch() {
    for outcome in ["written", "stale", "withdrawn", "refused"] {
        PAPERS.with_label_values(&[outcome]);
    }
    LazyLock::force(&SEARCH_SECONDS);
}
