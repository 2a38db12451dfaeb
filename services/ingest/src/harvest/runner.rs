//! Reads one source when it is due, page by page, and moves its cursor once a page is safe.
//!
//! Every replica has a runner for every source; the lease in the stored state says which of them reads it. The holder sends
//! heartbeats. Another replica takes over when it has seen none for the length of a lease by its own monotonic clock, so
//! clocks that disagree do no harm. A runner never decides what becomes of a paper: the registry does
//! ([`super::page_ingest`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::clock::Clock;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use sources::{Cursor, CursorError, DateRange, NextFetch, PageSummary, Remedy, Source};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::page_ingest::{PageError, PageIngester, PageResult};
use super::plan::{self, HarvestStep};
use super::settings::{FirstRun, ScheduledSource};
use super::source_metrics;
use super::state::{BackfillState, SourceLease, SourceState, StopCause};
use super::state_store::{SourceStateStore, StateStoreError};
use crate::metrics::SOURCE_RUNS;

#[cfg(test)]
mod tests;

/// The longest sleep: a wall clock that jumps is noticed after that time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The pause between two attempts to reach the stored state of a source.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Reads one source.
pub struct SourceRunner {
    /// The source.
    pub source: Arc<dyn Source>,
    /// Its schedule.
    pub scheduled: ScheduledSource,
    /// Where its state is stored.
    pub store: SourceStateStore,
    /// Ingests its pages.
    pub ingester: PageIngester,
    /// This replica.
    pub owner: u64,
    /// How long a lease lasts after its last heartbeat.
    pub lease: Duration,
    /// The clock of the schedule, the lease and the pauses.
    pub clock: Clock,
    /// Cancelled at the stop.
    pub stop: CancellationToken,
}

/// Why the state behind a page could not be stored.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Store(#[from] StateStoreError),
    /// Another replica has taken over.
    #[error("another replica holds the lease")]
    LeaseLost,
}

/// A lease as it was last seen, and since when.
struct ObservedLease {
    lease: Option<SourceLease>,
    since: Instant,
}

impl SourceRunner {
    /// Reads the source whenever it is due, until the stop.
    pub async fn run(self) {
        while !self.stop.is_cancelled() {
            if let Err(error) = self.follow().await {
                let source = self.source.name();
                warn!(source, %error, "the state of a source cannot be reached, retrying");
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = self.clock.sleep(RETRY_PAUSE) => {}
                }
            }
        }
    }

    /// Follows the stored state and acts on it. Ends with the stop, or when the connection breaks.
    async fn follow(&self) -> Result<(), StateStoreError> {
        let mut states = self.store.follow(self.source.name()).await?;
        let mut state = self.store.read(self.source.name()).await?;
        let mut observed = self.observe(&state);
        loop {
            source_metrics::report_state(self.source.name(), &state, self.clock.now());
            if state.lease != observed.lease {
                observed = self.observe(&state);
            }
            let pause = match self.step(&state) {
                HarvestStep::Run | HarvestStep::Backfill(_) => {
                    let Some(left) = self.lease_left(&observed) else {
                        state = self.work(state.lease).await?;
                        continue;
                    };
                    left
                }
                HarvestStep::WaitUntil(due) => self.time_until(due),
                HarvestStep::Idle => LONGEST_SLEEP,
            };
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                next = states.next() => match next {
                    Some(next) => state = next?,
                    None => return Ok(()),
                },
                () = self.clock.sleep(pause.min(LONGEST_SLEEP)) => {}
            }
        }
    }

    fn step(&self, state: &SourceState) -> HarvestStep {
        let (fingerprint, timing) = (&self.scheduled.fingerprint, &self.scheduled.timing);
        plan::step(state, fingerprint, timing, self.clock.now())
    }

    fn observe(&self, state: &SourceState) -> ObservedLease {
        ObservedLease {
            lease: state.lease,
            since: self.clock.instant(),
        }
    }

    /// How long the lease of another replica still lasts; `None` if the source is free.
    fn lease_left(&self, observed: &ObservedLease) -> Option<Duration> {
        let lease = observed.lease.filter(|lease| lease.owner != self.owner)?;
        debug!(source = self.source.name(), owner = %lease.owner, "read by another replica");
        let left = self.lease.saturating_sub(self.clock.elapsed(observed.since));
        (!left.is_zero()).then_some(left)
    }

    /// Takes the lease, reads what is due, and gives the lease back. `expired` is a lease that may be taken over.
    async fn work(&self, expired: Option<SourceLease>) -> Result<SourceState, StateStoreError> {
        let name = self.source.name();
        let leased = self.store.change(name, |state| {
            let free = state
                .lease
                .is_none_or(|lease| lease.owner == self.owner || Some(lease) == expired);
            let due = matches!(self.step(state), HarvestStep::Run | HarvestStep::Backfill(_));
            if !free || !due {
                return Err(Box::new(state.clone()));
            }
            state.lease = Some(SourceLease {
                owner: self.owner,
                heartbeat: state.lease.map_or(0, |lease| lease.heartbeat) + 1,
            });
            Ok(())
        });
        let state = match leased.await? {
            Ok(((), state)) => state,
            Err(state) => return Ok(*state),
        };
        let ended = tokio::select! {
            ended = self.read_pages(state) => ended,
            lost = self.keep_lease() => Err(lost),
        };
        match ended {
            Ok(()) | Err(RunError::LeaseLost) => {}
            Err(RunError::Store(error)) => return Err(error),
        }
        match self.change_as_holder(|state| state.lease = None).await {
            Ok(state) => Ok(state),
            Err(RunError::Store(error)) => Err(error),
            Err(RunError::LeaseLost) => self.store.read(name).await,
        }
    }

    /// Reads page after page while something is due.
    async fn read_pages(&self, mut state: SourceState) -> Result<(), RunError> {
        while !self.stop.is_cancelled() {
            state = match self.step(&state) {
                HarvestStep::Run => self.advance(&state).await?,
                HarvestStep::Backfill(id) => self.advance_backfill(&state, &id).await?,
                HarvestStep::WaitUntil(_) | HarvestStep::Idle => return Ok(()),
            };
            source_metrics::report_state(self.source.name(), &state, self.clock.now());
        }
        Ok(())
    }

    /// Sends heartbeats. Ends only when the lease is lost, or no heartbeat could be stored for the length of a lease.
    async fn keep_lease(&self) -> RunError {
        let mut last = self.clock.instant();
        loop {
            self.clock.sleep(self.lease / 3).await;
            let heartbeat = self.change_as_holder(|state| {
                if let Some(lease) = &mut state.lease {
                    lease.heartbeat += 1;
                }
            });
            match self.clock.timeout(self.lease, heartbeat).await {
                Some(Ok(_)) => last = self.clock.instant(),
                Some(Err(RunError::Store(_))) | None if self.clock.elapsed(last) < self.lease => {}
                Some(Err(_)) | None => return RunError::LeaseLost,
            }
        }
    }

    /// Changes the state as long as this replica holds the lease.
    async fn change_as_holder(&self, mut change: impl FnMut(&mut SourceState)) -> Result<SourceState, RunError> {
        let changed = self.store.change(self.source.name(), |state| {
            if state.lease.is_none_or(|lease| lease.owner != self.owner) {
                return Err(RunError::LeaseLost);
            }
            change(state);
            Ok(())
        });
        changed.await?.map(|((), state)| state)
    }

    /// Reads the next page of the scheduled run.
    async fn advance(&self, state: &SourceState) -> Result<SourceState, RunError> {
        let started = self.clock.now();
        let cursor = match self.cursor(state.cursor.as_deref(), self.first_range(started)) {
            Ok(cursor) => cursor,
            Err(error) => return self.stop_source(&error.to_string()).await,
        };
        let (result, read) = self.ingester.ingest(&self.source, &cursor).await;
        source_metrics::count_records(self.source.name(), &result.tally);
        match read {
            Ok(page) => self.store_page(&result, &page, &cursor, started).await,
            Err(error) => self.store_failure(&result, &error, &cursor, started).await,
        }
    }

    async fn store_page(
        &self,
        result: &PageResult,
        page: &PageSummary,
        before: &Cursor,
        started: Timestamp,
    ) -> Result<SourceState, RunError> {
        let source = self.source.name();
        if let Some(missing) = page.shortfall(before) {
            warn!(source, missing, "a pass gave fewer records than the source announced");
        }
        let chance = rand::random();
        let state = self.change_as_holder(|state| {
            let now = self.clock.now();
            state.cursor = Some(page.next.to_text());
            state.tally.add(&result.tally);
            state.tally.pages += 1;
            state.record_arrivals(result.new_papers, now);
            state.quarantine(result.quarantined.iter().cloned());
            state.last_run = Some(state.last_run.filter(|_| state.due.is_none()).unwrap_or(started));
            (state.failures, state.last_error, state.stopped) = (0, None, None);
            let at_least = match page.next_fetch {
                NextFetch::Now => {
                    state.due = None;
                    return;
                }
                NextFetch::Later(at_least) => SignedDuration::try_from(at_least).unwrap_or_default(),
                NextFetch::Never => SignedDuration::ZERO,
            };
            state.due = Some(self.scheduled.timing.next(now, at_least, chance));
            state.last_success = Some(now);
        });
        let state = state.await?;
        if page.next_fetch != NextFetch::Now {
            SOURCE_RUNS.with_label_values(&[source, "done"]).inc();
            info!(source, due = ?state.due, newest = ?state.newest, "source read to its end");
        }
        Ok(state)
    }

    async fn store_failure(
        &self,
        result: &PageResult,
        error: &PageError,
        cursor: &Cursor,
        started: Timestamp,
    ) -> Result<SourceState, RunError> {
        let remedy = error.remedy();
        SOURCE_RUNS
            .with_label_values(&[self.source.name(), error.label()])
            .inc();
        warn!(source = self.source.name(), %error, ?remedy, "a page could not be read");
        let (text, chance) = (error.to_string(), rand::random());
        self.change_as_holder(|state| {
            state.tally.add(&result.tally);
            state.record_arrivals(result.new_papers, self.clock.now());
            state.last_run = Some(started);
            state.last_error = Some(text.clone());
            state.failures = state.failures.saturating_add(1);
            let requested = match remedy {
                Remedy::Retry(after) => after,
                Remedy::Restart(after) => {
                    state.cursor = Some(cursor.restarted().to_text());
                    Some(after)
                }
                Remedy::Stop => {
                    state.stopped = Some(self.stop_cause(&text));
                    return;
                }
            };
            state.due = Some(self.retry_at(state.failures, requested, chance));
        })
        .await
    }

    async fn stop_source(&self, reason: &str) -> Result<SourceState, RunError> {
        let source = self.source.name();
        SOURCE_RUNS.with_label_values(&[source, "cursor"]).inc();
        warn!(source, reason, "source stopped until an operator acts");
        self.change_as_holder(|state| {
            state.last_error = Some(reason.to_owned());
            state.stopped = Some(self.stop_cause(reason));
        })
        .await
    }

    fn stop_cause(&self, reason: &str) -> StopCause {
        StopCause {
            reason: reason.to_owned(),
            fingerprint: self.scheduled.fingerprint.clone(),
        }
    }

    /// Reads the next page of a back-fill.
    async fn advance_backfill(&self, state: &SourceState, id: &str) -> Result<SourceState, RunError> {
        let Some(backfill) = state.backfills.iter().find(|backfill| backfill.id == id) else {
            return Ok(state.clone());
        };
        let range = super::range_of(backfill.first, backfill.last);
        let cursor = match self.cursor(backfill.cursor.as_deref(), range) {
            Ok(cursor) => cursor,
            Err(error) => {
                let reason = error.to_string();
                return self.store_backfill_failure(id, &reason, Remedy::Stop, None).await;
            }
        };
        let (result, read) = self.ingester.ingest(&self.source, &cursor).await;
        source_metrics::count_records(self.source.name(), &result.tally);
        match read {
            Ok(page) => self.store_backfill_page(id, &result, &page).await,
            Err(error) => {
                SOURCE_RUNS
                    .with_label_values(&[self.source.name(), error.label()])
                    .inc();
                let (reason, remedy) = (error.to_string(), error.remedy());
                self.store_backfill_failure(id, &reason, remedy, Some(&cursor)).await
            }
        }
    }

    async fn store_backfill_page(
        &self,
        id: &str,
        result: &PageResult,
        page: &PageSummary,
    ) -> Result<SourceState, RunError> {
        self.change_as_holder(|state| {
            state.tally.add(&result.tally);
            state.tally.pages += 1;
            state.quarantine(result.quarantined.iter().cloned());
            let Some(backfill) = state.backfill(id) else { return };
            let now = self.clock.now();
            backfill.cursor = Some(page.next.to_text());
            backfill.records += result.tally.records();
            backfill.total = page.next.pass.announced.or(backfill.total);
            (backfill.progress, backfill.failures, backfill.error) = (now, 0, None);
            match page.next_fetch {
                NextFetch::Now => backfill.due = None,
                NextFetch::Later(after) => {
                    backfill.due = Some(now + SignedDuration::try_from(after).unwrap_or_default());
                }
                NextFetch::Never if backfill.is_open() => backfill.state = BackfillState::Done,
                NextFetch::Never => {}
            }
        })
        .await
    }

    async fn store_backfill_failure(
        &self,
        id: &str,
        error: &str,
        remedy: Remedy,
        cursor: Option<&Cursor>,
    ) -> Result<SourceState, RunError> {
        let source = self.source.name();
        warn!(
            source,
            backfill = id,
            error,
            ?remedy,
            "a page of a back-fill could not be read"
        );
        let chance = rand::random();
        self.change_as_holder(|state| {
            let Some(backfill) = state.backfill(id) else { return };
            backfill.error = Some(error.to_owned());
            backfill.failures = backfill.failures.saturating_add(1);
            let requested = match remedy {
                Remedy::Retry(after) => after,
                Remedy::Restart(after) => {
                    backfill.cursor = cursor.map(|cursor| cursor.restarted().to_text());
                    Some(after)
                }
                Remedy::Stop => {
                    if backfill.is_open() {
                        backfill.state = BackfillState::Failed;
                    }
                    return;
                }
            };
            backfill.due = Some(self.retry_at(backfill.failures, requested, chance));
        })
        .await
    }

    /// When to try again after so many failures in a row.
    fn retry_at(&self, failures: u32, requested: Option<Duration>, chance: f64) -> Timestamp {
        let requested = requested.and_then(|pause| SignedDuration::try_from(pause).ok());
        self.clock.now() + self.scheduled.timing.pause(failures, requested, chance)
    }

    /// The stored cursor; a new one at the first page, and if the source of this name was of another kind before.
    fn cursor(&self, stored: Option<&str>, range: DateRange) -> Result<Cursor, CursorError> {
        let Some(stored) = stored else {
            return self.source.begin(range);
        };
        let cursor = Cursor::parse(stored)?;
        if cursor.kind == self.source.kind() {
            return Ok(cursor);
        }
        info!(
            source = self.source.name(),
            "the kind of the source has changed; it begins anew"
        );
        self.source.begin(range)
    }

    fn first_range(&self, now: Timestamp) -> DateRange {
        let from = match self.scheduled.first_run {
            FirstRun::Ago(ago) => now.checked_sub(ago).ok(),
            FirstRun::Day(day) => super::range_of(day, day).from,
        };
        DateRange { from, until: None }
    }

    fn time_until(&self, due: Timestamp) -> Duration {
        Duration::try_from(due.duration_since(self.clock.now())).unwrap_or_default()
    }
}
