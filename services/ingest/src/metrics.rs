//! Metrics of ingest. They exist from the start, so that a dashboard shows zeros rather than gaps.

use std::sync::LazyLock;

use common::metrics::{counter, counters, float_gauges};
use prometheus::{GaugeVec, IntCounter, IntCounterVec};

/// Submitted papers by outcome.
pub static PAPERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_ingest_papers_total",
        "Submitted papers by outcome.",
        &["outcome"],
    )
});

/// Reports of counts on other sites by outcome.
pub static SIGNALS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_ingest_signals_total",
        "Reports of counts on other sites by outcome.",
        &["outcome"],
    )
});

/// Source records that may describe the same work as a known paper, but were kept separate.
pub static POSSIBLE_MATCHES: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "broadsheet_ingest_possible_matches_total",
        "Source records that may describe the same work as a known paper, but were kept separate.",
    )
});

/// Records of sources by outcome.
pub static SOURCE_RECORDS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_ingest_source_records_total",
        "Records of sources by outcome.",
        &["source", "outcome"],
    )
});

/// Runs of sources by how they ended: `done`, or the kind of error.
pub static SOURCE_RUNS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_ingest_source_runs_total",
        "Runs of sources by how they ended.",
        &["source", "outcome"],
    )
});

/// 1 for a source that has brought nothing although it usually has by now.
pub static SOURCE_LATE: LazyLock<GaugeVec> = LazyLock::new(|| {
    float_gauges(
        "broadsheet_ingest_source_late",
        "1 for a source that has brought nothing although it usually has by now.",
        &["source"],
    )
});

/// 1 for a source that waits for an operator.
pub static SOURCE_STOPPED: LazyLock<GaugeVec> = LazyLock::new(|| {
    float_gauges(
        "broadsheet_ingest_source_stopped",
        "1 for a source that waits for an operator.",
        &["source"],
    )
});

/// Failed runs of a source since the last successful one.
pub static SOURCE_FAILURES: LazyLock<GaugeVec> = LazyLock::new(|| {
    float_gauges(
        "broadsheet_ingest_source_failures",
        "Failed runs of a source since the last successful one.",
        &["source"],
    )
});

/// When a new paper last came from a source; 0 for never.
pub static SOURCE_NEWEST: LazyLock<GaugeVec> = LazyLock::new(|| {
    float_gauges(
        "broadsheet_ingest_source_newest_timestamp_seconds",
        "When a new paper last came from a source; 0 for never.",
        &["source"],
    )
});

/// When a source was last read to its end; 0 for never.
pub static SOURCE_SUCCESS: LazyLock<GaugeVec> = LazyLock::new(|| {
    float_gauges(
        "broadsheet_ingest_source_success_timestamp_seconds",
        "When a source was last read to its end; 0 for never.",
        &["source"],
    )
});

/// Acts of attention by whether they were recorded.
pub static ATTENTION: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_ingest_attention_total",
        "Acts of readers (clicks, reads, saves, votes), recorded or refused because there were too many.",
        &["outcome"],
    )
});

/// Registers every series that needs no source.
pub fn register_metrics() {
    LazyLock::force(&POSSIBLE_MATCHES);
    let submitted = ["accepted", "unchanged", "duplicate", "rejected", "failed", "withdrawn"];
    for outcome in submitted.into_iter().chain(["resent", "not_resent"]) {
        PAPERS.with_label_values(&[outcome]);
    }
    for outcome in ["recorded", "refused"] {
        ATTENTION.with_label_values(&[outcome]);
    }
    for outcome in ["accepted", "rejected", "failed"] {
        SIGNALS.with_label_values(&[outcome]);
    }
}
