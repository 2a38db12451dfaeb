//! Replays attention and signals from the bus: everything that still counts at the start, then what comes.
//!
//! A message that cannot be used becomes a dead letter, and the ones behind it are read all the same.

use std::sync::Arc;
use std::time::Duration;

use common::replay::{self, ReplayedMessage};
use common::service::Assembly;
use common::telemetry;
use domain::trending::{AttentionTracker, RecordOutcome};
use prometheus::IntCounterVec;
use proto::attention::v1::{AttentionRecorded, SignalRecorded};
use tracing::{Span, info_span};

use super::{AttentionOutcome, TrendingPapers, events};
use crate::metrics::{ATTENTION, ATTENTION_LAST, SIGNALS};

/// Between two sweeps of acts that are too old to count.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// The readers' names in dead letters.
const ATTENTION_READER: &str = "indexing-attention";
const SIGNAL_READER: &str = "indexing-signals";

/// Starts the two replays, and the sweep of what they have read. The process is ready once both have caught up.
pub fn start(assembly: &mut Assembly, trending: &Arc<TrendingPapers>) {
    let (bus, clock, stop) = (assembly.bus().clone(), assembly.clock(), assembly.stop.clone());
    let (not_ready, filled) = (assembly.readiness.ticket(), Arc::clone(trending));
    assembly.task("replay of attention", async move {
        let since = AttentionTracker::remembered_since(clock.now());
        let handle = |item| record(&filled, &item);
        replay::run(&bus, ATTENTION_READER, since, not_ready, &stop, handle).await
    });
    let (bus, clock, stop) = (assembly.bus().clone(), assembly.clock(), assembly.stop.clone());
    let (not_ready, filled) = (assembly.readiness.ticket(), Arc::clone(trending));
    assembly.task("replay of signals", async move {
        let since = AttentionTracker::remembered_since(clock.now());
        let handle = |item| report(&filled, &item);
        replay::run(&bus, SIGNAL_READER, since, not_ready, &stop, handle).await
    });
    let (clock, stop, swept) = (assembly.clock(), assembly.stop.clone(), Arc::clone(trending));
    assembly.tasks().run_infallible("sweep of old attention", async move {
        loop {
            swept.forget(clock.now());
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(SWEEP_INTERVAL) => {}
            }
        }
    });
}

fn record(trending: &TrendingPapers, item: &ReplayedMessage<AttentionRecorded>) -> Result<(), String> {
    let span = info_span!(
        "consume",
        otel.name = "indexing attention.recorded",
        otel.kind = "consumer"
    );
    consumed(&span, item, &ATTENTION, || {
        let now = trending.clock.now();
        let act = events::act(&item.message, now)?;
        ATTENTION_LAST.set(ATTENTION_LAST.get().max(act.at.as_second()));
        Ok(trending.record(&item.message.event_id, &act))
    })
}

fn report(trending: &TrendingPapers, item: &ReplayedMessage<SignalRecorded>) -> Result<(), String> {
    let span = info_span!(
        "consume",
        otel.name = "indexing attention.counted",
        otel.kind = "consumer"
    );
    consumed(&span, item, &SIGNALS, || {
        let now = trending.clock.now();
        let report = events::report(&item.message, now)?;
        Ok(trending.report(&report, now))
    })
}

/// Uses a message within its trace, and counts the outcome.
fn consumed<M>(
    span: &Span,
    item: &ReplayedMessage<M>,
    outcomes: &IntCounterVec,
    work: impl FnOnce() -> Result<AttentionOutcome, String>,
) -> Result<(), String> {
    telemetry::set_parent_from_headers(span, item.headers.as_ref());
    let outcome = span.in_scope(work);
    let label = outcome.as_ref().map_or("refused", |outcome| outcome.name());
    outcomes.with_label_values(&[label]).inc();
    outcome.map(drop)
}

impl AttentionOutcome {
    /// Its label in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Added(RecordOutcome::Counted) => "counted",
            Self::Added(RecordOutcome::Unchanged) => "unchanged",
            Self::Added(RecordOutcome::TooOld) => "too_old",
            Self::Repeated => "repeated",
            Self::NoRoom => "no_room",
        }
    }
}
