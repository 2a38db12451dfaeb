//! Metrics of indexing. They exist from the start, so that a dashboard shows zeros rather than gaps.

use std::sync::LazyLock;

use prometheus::{
    Histogram, IntCounter, IntCounterVec, IntGauge, register_histogram, register_int_counter, register_int_counter_vec,
    register_int_gauge,
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

/// Acts of attention that were read, by outcome. Those of the last days are read anew at every start.
pub static ATTENTION: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_indexing_attention_events_total",
        "Acts of attention that were read, by outcome; those of the last days are read anew at every start.",
        &["outcome"]
    )
    .expect("the only metric of this name")
});

/// Reports of counts on other sites that were read, by outcome.
pub static SIGNALS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_indexing_signals_total",
        "Reports of counts on other sites that were read, by outcome; those of the last days are read anew at every start.",
        &["outcome"]
    )
    .expect("the only metric of this name")
});

/// Papers that somebody looked at lately.
pub static PAPERS_WITH_HEAT: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "broadsheet_indexing_papers_with_heat",
        "Papers that somebody looked at within the last 30 days."
    )
    .expect("the only metric of this name")
});

/// When the newest act of attention happened; how old it is is the time now less this.
pub static ATTENTION_LAST: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "broadsheet_indexing_attention_last_event_timestamp_seconds",
        "When the newest act of attention that was read happened, in seconds since the epoch; 0 before the first."
    )
    .expect("the only metric of this name")
});

/// Outcomes of [`ATTENTION`] and [`SIGNALS`].
pub const ATTENTION_OUTCOMES: [&str; 6] = ["counted", "repeated", "unchanged", "too_old", "no_room", "refused"];

/// Makes every series exist.
pub fn touch() {
    for outcome in ATTENTION_OUTCOMES {
        ATTENTION.with_label_values(&[outcome]);
        SIGNALS.with_label_values(&[outcome]);
    }
    LazyLock::force(&PAPERS_WITH_HEAT);
    LazyLock::force(&ATTENTION_LAST);
    for outcome in ["written", "stale", "withdrawn", "refused"] {
        PAPERS.with_label_values(&[outcome]);
    }
    LazyLock::force(&SEARCH_SECONDS);
    LazyLock::force(&SEARCHES_BY_WORDS_ALONE);
    LazyLock::force(&REBUILD_PAPERS);
}
