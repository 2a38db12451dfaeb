//! Metrics of indexing.

use std::sync::LazyLock;

use common::metrics::{DEFAULT_BUCKETS, counter, counters, gauge, histogram};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

/// Papers the store was given, by outcome.
pub static PAPERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_indexing_papers_total",
        "Papers given to the store, by outcome.",
        &["outcome"],
    )
});

/// Time of a search without embedding the query.
pub static SEARCH_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "broadsheet_indexing_search_seconds",
        "Time of a search without embedding the query: both rounds in the store, and the ranking.",
        DEFAULT_BUCKETS,
    )
});

/// Searches whose words had no vectors, by reason.
pub static SEARCHES_BY_WORDS_ALONE: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_indexing_searches_by_words_alone_total",
        "Searches without dense vectors, by reason: no embedding service offers the encoder of the index (not_offered), none \
         embedded the query in time (unavailable), or the encoder does not read its words (not_readable).",
        &["reason"],
    )
});

/// Papers that rebuilds embedded and wrote.
pub static REBUILD_PAPERS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "broadsheet_indexing_rebuild_papers_total",
        "Papers that rebuilds of the index embedded and wrote.",
    )
});

/// Acts of attention that were read, by outcome. Those of the last days are read again at every start.
pub static ATTENTION: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_indexing_attention_events_total",
        "Acts of attention that were read, by outcome; those of the last days are read again at every start.",
        &["outcome"],
    )
});

/// Reports of counts on other sites that were read, by outcome.
pub static SIGNALS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_indexing_signals_total",
        "Reports of counts on other sites that were read, by outcome; those of the last days are read again at every start.",
        &["outcome"],
    )
});

/// Papers with an attention score.
pub static PAPERS_WITH_ATTENTION: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_indexing_papers_with_attention",
        "Papers with an attention score: those that somebody opened, saved or voted for within the last 30 days.",
    )
});

/// Readers of whom an act is remembered.
pub static ATTENTION_READERS: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_indexing_attention_readers",
        "Readers of whom an act of attention is remembered.",
    )
});

/// What the acts and their readers take.
pub static ATTENTION_BYTES: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_indexing_attention_bytes",
        "Memory that acts of attention and their readers take, as estimated.",
    )
});

/// Readers that were forgotten.
pub static READERS_FORGOTTEN: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "broadsheet_indexing_readers_forgotten_total",
        "Readers that were forgotten, the least known first, because attention took too much memory.",
    )
});

/// When the newest act of attention happened; how old it is is the time now less this.
pub static ATTENTION_LAST: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_indexing_attention_last_event_timestamp_seconds",
        "When the newest act of attention that was read happened, in seconds since the epoch; 0 before the first.",
    )
});

/// Outcomes of [`ATTENTION`] and [`SIGNALS`].
const ATTENTION_OUTCOMES: [&str; 6] = ["counted", "repeated", "unchanged", "too_old", "no_room", "refused"];

/// Makes every series exist from the start, so that a dashboard shows zeros rather than gaps.
pub fn register_metrics() {
    for outcome in ATTENTION_OUTCOMES {
        ATTENTION.with_label_values(&[outcome]);
        SIGNALS.with_label_values(&[outcome]);
    }
    LazyLock::force(&PAPERS_WITH_ATTENTION);
    LazyLock::force(&ATTENTION_LAST);
    LazyLock::force(&ATTENTION_READERS);
    LazyLock::force(&ATTENTION_BYTES);
    LazyLock::force(&READERS_FORGOTTEN);
    for outcome in ["written", "stale", "withdrawn", "refused"] {
        PAPERS.with_label_values(&[outcome]);
    }
    LazyLock::force(&SEARCH_SECONDS);
    for reason in ["not_offered", "unavailable", "not_readable"] {
        SEARCHES_BY_WORDS_ALONE.with_label_values(&[reason]);
    }
    LazyLock::force(&REBUILD_PAPERS);
}
