//! What an operator sees of sources: metrics, made from the state that all replicas share.

use domain::freshness::Freshness;
use jiff::Timestamp;

use super::state::{SourceState, Tallies};
use crate::metrics::{SOURCE_FAILURES, SOURCE_LATE, SOURCE_NEWEST, SOURCE_RECORDS, SOURCE_STOPPED, SOURCE_SUCCESS};

/// Makes the series of a source exist.
pub fn touch(name: &str) {
    count(name, &Tallies::default());
    show(name, &SourceState::default(), Timestamp::UNIX_EPOCH);
}

/// Counts the records of a page.
pub fn count(name: &str, tallies: &Tallies) {
    for (outcome, records) in [
        ("accepted", tallies.accepted),
        ("unchanged", tallies.unchanged),
        ("duplicate", tallies.duplicate),
        ("withdrawn", tallies.withdrawn),
        ("signal", tallies.signals),
        ("set_aside", tallies.set_aside),
    ] {
        SOURCE_RECORDS.with_label_values(&[name, outcome]).inc_by(records);
    }
}

/// Shows how a source stands. One that an operator lets rest is neither late nor stopped.
pub fn show(name: &str, state: &SourceState, now: Timestamp) {
    let seconds = |time: Option<Timestamp>| time.map_or(0.0, |time| time.as_second() as f64);
    let watched = !state.paused;
    let late = watched && matches!(state.freshness(now), Freshness::Late { .. });
    SOURCE_LATE.with_label_values(&[name]).set(f64::from(u8::from(late)));
    let stopped = watched && state.stopped.is_some();
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
