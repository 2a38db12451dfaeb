//! Metrics of ingest. They exist from the start, so that a dashboard shows zeros rather than gaps.

use std::sync::LazyLock;

use prometheus::{
    GaugeVec, IntCounter, IntCounterVec, register_gauge_vec, register_int_counter, register_int_counter_vec,
};

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

/// Claims that are alike to a paper and yet not taken for the same work.
pub static ALIKE: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_ingest_alike_total",
        "Claims of sources that are alike to a known paper and yet kept apart."
    )
    .expect("the only metric of this name")
});

/// Records of sources by what became of them.
pub static SOURCE_RECORDS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_ingest_source_records_total",
        "Records of sources by what became of them.",
        &["source", "outcome"]
    )
    .expect("the only metric of this name")
});

/// Runs of sources by how they ended: `done`, or what went wrong.
pub static SOURCE_RUNS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_ingest_source_runs_total",
        "Runs of sources by how they ended.",
        &["source", "outcome"]
    )
    .expect("the only metric of this name")
});

macro_rules! source_gauge {
    ($name:ident, $metric:literal, $help:literal) => {
        #[doc = $help]
        pub static $name: LazyLock<GaugeVec> =
            LazyLock::new(|| register_gauge_vec!($metric, $help, &["source"]).expect("the only metric of this name"));
    };
}

source_gauge!(
    SOURCE_LATE,
    "broadsheet_ingest_source_late",
    "1 where a source has brought nothing although it usually has by now."
);
source_gauge!(
    SOURCE_STOPPED,
    "broadsheet_ingest_source_stopped",
    "1 where a source waits for an operator."
);
source_gauge!(
    SOURCE_FAILURES,
    "broadsheet_ingest_source_failures",
    "Runs of a source that failed since the last one that did not."
);
source_gauge!(
    SOURCE_NEWEST,
    "broadsheet_ingest_source_newest_timestamp_seconds",
    "When a new paper last came from a source; 0 for never."
);
source_gauge!(
    SOURCE_SUCCESS,
    "broadsheet_ingest_source_success_timestamp_seconds",
    "When a source was last read to its end; 0 for never."
);

/// Makes every series exist.
pub fn touch() {
    LazyLock::force(&ALIKE);
    let submitted = ["accepted", "unchanged", "duplicate", "rejected", "failed", "withdrawn"];
    for outcome in submitted.into_iter().chain(["resent", "not_resent"]) {
        PAPERS.with_label_values(&[outcome]);
    }
    for outcome in ["taken", "refused", "failed"] {
        SIGNALS.with_label_values(&[outcome]);
    }
}
