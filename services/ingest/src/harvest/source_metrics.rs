//! Metrics of sources, made from the state that all replicas share.

use domain::freshness::SourceFreshness;
use jiff::Timestamp;

use super::state::{RecordTally, SourceState};
use crate::metrics::{SOURCE_FAILURES, SOURCE_LATE, SOURCE_NEWEST, SOURCE_RECORDS, SOURCE_STOPPED, SOURCE_SUCCESS};

/// Registers the series of a source.
pub fn register_source(name: &str) {
    count_records(name, &RecordTally::default());
    report_state(name, &SourceState::default(), Timestamp::UNIX_EPOCH);
}

/// Counts the records of a page.
pub fn count_records(name: &str, tally: &RecordTally) {
    for (outcome, records) in [
        ("accepted", tally.accepted),
        ("unchanged", tally.unchanged),
        ("duplicate", tally.duplicate),
        ("withdrawn", tally.withdrawn),
        ("signal", tally.signals),
        ("quarantined", tally.quarantined),
    ] {
        SOURCE_RECORDS.with_label_values(&[name, outcome]).inc_by(records);
    }
}

/// Reports the state of a source. A paused one is neither late nor stopped.
pub fn report_state(name: &str, state: &SourceState, now: Timestamp) {
    let seconds = |time: Option<Timestamp>| time.map_or(0.0, |time| time.as_second() as f64);
    let active = !state.paused;
    let late = active && matches!(state.freshness(now), SourceFreshness::Late { .. });
    SOURCE_LATE.with_label_values(&[name]).set(f64::from(u8::from(late)));
    let stopped = active && state.stopped.is_some();
    SOURCE_STOPPED
        .with_label_values(&[name])
        .set(f64::from(u8::from(stopped)));
    SOURCE_FAILURES
        .with_label_values(&[name])
        .set(f64::from(state.failures));
    SOURCE_NEWEST.with_label_values(&[name]).set(seconds(state.newest));
    SOURCE_SUCCESS
        .with_label_values(&[name])
        .set(seconds(state.last_success));
}
