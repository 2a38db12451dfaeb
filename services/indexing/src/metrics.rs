//! Metrics of indexing. They exist from the start, so that a dashboard shows zeros rather than gaps.

use std::sync::LazyLock;

use prometheus::{
    Histogram, IntCounter, IntCounterVec, register_histogram, register_int_counter, register_int_counter_vec,
};

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
        "Time of a search without embedding the query: both rounds in the store, and the ranking."
    )
    .expect("the only metric of this name")
});

/// Searches for which there was no model.
pub static SEARCHES_BY_WORDS_ALONE: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_indexing_searches_by_words_alone_total",
        "Searches that had no vector by meaning, because no embedding service offers the encoder of the index."
    )
    .expect("the only metric of this name")
});

/// Papers that rebuilds embedded and wrote.
pub static REBUILD_PAPERS: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_indexing_rebuild_papers_total",
        "Papers that rebuilds of the index embedded and wrote."
    )
    .expect("the only metric of this name")
});

/// Makes every series exist.
pub fn touch() {
    for outcome in ["written", "stale", "withdrawn", "refused"] {
        PAPERS.with_label_values(&[outcome]);
    }
    LazyLock::force(&SEARCH_SECONDS);
    LazyLock::force(&SEARCHES_BY_WORDS_ALONE);
    LazyLock::force(&REBUILD_PAPERS);
}
