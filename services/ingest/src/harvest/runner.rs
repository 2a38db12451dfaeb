//! One source, kept up with: reads it when it is due, page by page, and moves its cursor behind each page that is safe.
//!
//! Every replica has a runner for every source, and the state says which of them holds it. A holder gives signs of life;
//! one that gives none for a lease is taken for dead by whoever has watched it for that long by its own stopwatch, so clocks
//! that disagree do no harm. It never decides what becomes of a paper; [`super::taking`] asks the register.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use sources::{ComeBack, Cursor, CursorError, Page, Remedy, Source, Span};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::plan::{self, Step};
use super::settings::{Begin, Scheduled};
use super::shelf::{Shelf, ShelfError};
use super::state::{BackfillState, Holder, SourceState, Stopped};
use super::taking::{Taken, Taker, TakingError};
use super::watch;
use crate::metrics;

/// The longest sleep: a wall clock that jumps is noticed after that time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Between two tries where the state of a source cannot be had.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a runner needs.
pub struct Runner {
    /// The source.
    pub source: Arc<dyn Source>,
    /// Its schedule.
    pub scheduled: Scheduled,
    /// Where its state lies.
    pub shelf: Shelf,
    /// Takes its records.
    pub taker: Taker,
    /// This replica.
    pub owner: u64,
    /// How long a holder may be silent.
    pub lease: Duration,
    /// Cancelled at the stop.
    pub stop: CancellationToken,
}

/// Why a page was not made safe.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error(transparent)]
    Taking(#[from] TakingError),
    #[error(transparent)]
    Cursor(#[from] CursorError),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// Another replica took the source for abandoned.
    #[error("another replica holds the source")]
    Lost,
}

/// A page that was read, and the state behind it.
struct Refused;

impl Runner {
    /// Keeps up with the source until the stop.
    pub async fn run(self) {
        let name = self.source.name().to_owned();
        while !self.stop.is_cancelled() {
            if let Err(error) = self.follow().await {
                warn!(source = name, %error, "the state of a source cannot be had, trying again");
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(PATIENCE) => {}
                }
            }
        }
    }

    /// Follows the state and acts on it. Ends with the stop, or when following breaks off.
    async fn follow(&self) -> Result<(), ShelfError> {
        let mut states = self.shelf.follow(self.source.name()).await?;
        let mut state = self.shelf.read(self.source.name()).await?;
        let mut seen = (state.holder, Instant::now());
        loop {
            watch::show(self.source.name(), &state, Timestamp::now());
            if state.holder != seen.0 {
                seen = (state.holder, Instant::now());
            }
            let wake = match self.step(&state) {
                Step::Run | Step::Backfill(_) => match self.free_at(&state, seen.1) {
                    Some(free_at) if free_at > Instant::now() => Some(free_at),
                    _ => {
                        state = self.work(state.holder).await?;
                        continue;
                    }
                },
                Step::WaitUntil(due) => Some(Instant::now() + until(due)),
                Step::Rest => None,
            };
            let longest = Instant::now() + LONGEST_SLEEP;
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                next = states.next() => match next {
                    Some(next) => state = next,
                    None => return Ok(()),
                },
                () = tokio::time::sleep_until(wake.map_or(longest, |wake| wake.min(longest))) => {}
            }
        }
    }

    fn step(&self, state: &SourceState) -> Step {
        plan::step(state, &self.scheduled.print, &self.scheduled.timing, Timestamp::now())
    }

    /// When the source is free, for one that another replica holds.
    fn free_at(&self, state: &SourceState, silent_since: Instant) -> Option<Instant> {
        let holder = state.holder.filter(|holder| holder.owner != self.owner)?;
        tracing::debug!(source = self.source.name(), owner = %holder.owner, "held by another replica");
        Some(silent_since + self.lease)
    }

    /// Takes the source, does what is to be done, and lets it go. `abandoned` is the holder that may be taken for dead.
    async fn work(&self, abandoned: Option<Holder>) -> Result<SourceState, ShelfError> {
        let name = self.source.name();
        let taken = self.shelf.change(name, |state| {
            let free = state
                .holder
                .is_none_or(|holder| holder.owner == self.owner || Some(holder) == abandoned);
            let due = matches!(self.step(state), Step::Run | Step::Backfill(_));
            if !free || !due {
                return Err(Box::new(state.clone()));
            }
            let beat = state.holder.map_or(0, |holder| holder.beat) + 1;
            state.holder = Some(Holder {
                owner: self.owner,
                beat,
            });
            Ok(())
        });
        let state = match taken.await? {
            Ok(((), state)) => state,
            Err(state) => return Ok(*state),
        };
        let ended = tokio::select! {
            ended = self.pages(state) => ended,
            lost = self.signs_of_life() => Err(lost),
        };
        match ended {
            Ok(()) | Err(PageError::Lost) => {}
            Err(PageError::Shelf(error)) => return Err(error),
            Err(error) => warn!(source = name, %error, "a run ended early"),
        }
        let released = self.hold(|state| state.holder = None).await;
        match released {
            Ok(state) => Ok(state),
            Err(PageError::Shelf(error)) => Err(error),
            Err(_) => self.shelf.read(name).await,
        }
    }

    /// Reads page after page while there is something to do.
    async fn pages(&self, mut state: SourceState) -> Result<(), PageError> {
        while !self.stop.is_cancelled() {
            state = match self.step(&state) {
                Step::Run => self.advance(&state).await?,
                Step::Backfill(id) => self.advance_backfill(&state, &id).await?,
                Step::WaitUntil(_) | Step::Rest => return Ok(()),
            };
            watch::show(self.source.name(), &state, Timestamp::now());
        }
        Ok(())
    }

    /// Ends only when the source is lost, or its state cannot be had for a whole lease.
    async fn signs_of_life(&self) -> PageError {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(self.lease / 3).await;
            let beat = self.hold(|state| {
                if let Some(holder) = &mut state.holder {
                    holder.beat += 1;
                }
            });
            match tokio::time::timeout(self.lease, beat).await {
                Ok(Ok(_)) => last = Instant::now(),
                Ok(Err(PageError::Lost)) => return PageError::Lost,
                Ok(Err(_)) | Err(_) if last.elapsed() < self.lease => {}
                Ok(Err(_)) | Err(_) => return PageError::Lost,
            }
        }
    }

    /// Changes the state, as long as this replica holds the source.
    async fn hold(&self, mut change: impl FnMut(&mut SourceState)) -> Result<SourceState, PageError> {
        let changed = self.shelf.change(self.source.name(), |state| {
            if state.holder.is_none_or(|holder| holder.owner != self.owner) {
                return Err(Refused);
            }
            change(state);
            Ok(())
        });
        match changed.await? {
            Ok(((), state)) => Ok(state),
            Err(Refused) => Err(PageError::Lost),
        }
    }

    /// The next page of the schedule's run.
    async fn advance(&self, state: &SourceState) -> Result<SourceState, PageError> {
        let started = Timestamp::now();
        let cursor = match self.cursor(state.cursor.as_deref(), self.first_span(started)) {
            Ok(cursor) => cursor,
            Err(error) => return self.stop_source(&error.to_string()).await,
        };
        let (taken, read) = self.taker.page(&self.source, &cursor).await;
        self.count(&taken);
        match read {
            Ok(page) => self.page_safe(&taken, &page, &cursor, started).await,
            Err(error) => self.page_failed(&taken, error, &cursor, started).await,
        }
    }

    async fn page_safe(
        &self,
        taken: &Taken,
        page: &Page,
        before: &Cursor,
        started: Timestamp,
    ) -> Result<SourceState, PageError> {
        if let Some(missing) = page.shortfall(before) {
            warn!(
                source = self.source.name(),
                missing, "a pass ended with fewer records than the source announced"
            );
        }
        let chance = chance();
        let state = self.hold(|state| {
            let now = Timestamp::now();
            state.cursor = Some(page.next.to_text());
            state.tallies.add(&taken.tallies);
            state.tallies.pages += 1;
            state.watched(taken.new, now);
            state.set_aside(taken.aside.iter().cloned());
            state.last_run = Some(state.last_run.filter(|_| state.due.is_none()).unwrap_or(started));
            (state.failures, state.last_error, state.stopped) = (0, None, None);
            let at_least = match page.come_back {
                ComeBack::Now => {
                    state.due = None;
                    return;
                }
                ComeBack::Later(at_least) => SignedDuration::try_from(at_least).unwrap_or_default(),
                ComeBack::Never => SignedDuration::ZERO,
            };
            state.due = Some(self.scheduled.timing.next(now, at_least, chance));
            state.last_success = Some(now);
        });
        let state = state.await?;
        if page.come_back != ComeBack::Now {
            metrics::SOURCE_RUNS
                .with_label_values(&[self.source.name(), "done"])
                .inc();
            info!(source = self.source.name(), due = ?state.due, newest = ?state.newest, "source read to its end");
        }
        Ok(state)
    }

    async fn page_failed(
        &self,
        taken: &Taken,
        error: TakingError,
        cursor: &Cursor,
        started: Timestamp,
    ) -> Result<SourceState, PageError> {
        let (remedy, label) = (error.remedy(), error.label());
        metrics::SOURCE_RUNS
            .with_label_values(&[self.source.name(), label])
            .inc();
        warn!(source = self.source.name(), %error, ?remedy, "a page could not be read");
        let (text, chance) = (error.to_string(), chance());
        self.hold(|state| {
            state.tallies.add(&taken.tallies);
            state.watched(taken.new, Timestamp::now());
            state.last_run = Some(started);
            state.last_error = Some(text.clone());
            state.failures = state.failures.saturating_add(1);
            let asked = match remedy {
                Remedy::Retry(after) => after,
                Remedy::Restart(after) => {
                    state.cursor = Some(cursor.restarted().to_text());
                    Some(after)
                }
                Remedy::Stop => {
                    state.stopped = Some(self.stopped(&text));
                    return;
                }
            };
            let asked = asked.and_then(|asked| SignedDuration::try_from(asked).ok());
            state.due = Some(Timestamp::now() + self.scheduled.timing.pause(state.failures, asked, chance));
        })
        .await
    }

    async fn stop_source(&self, reason: &str) -> Result<SourceState, PageError> {
        metrics::SOURCE_RUNS
            .with_label_values(&[self.source.name(), "cursor"])
            .inc();
        warn!(
            source = self.source.name(),
            reason, "source stopped until an operator acts"
        );
        self.hold(|state| {
            state.last_error = Some(reason.to_owned());
            state.stopped = Some(self.stopped(reason));
        })
        .await
    }

    fn stopped(&self, reason: &str) -> Stopped {
        Stopped {
            reason: reason.to_owned(),
            settings: self.scheduled.print.clone(),
        }
    }

    /// The next page of a back-fill.
    async fn advance_backfill(&self, state: &SourceState, id: &str) -> Result<SourceState, PageError> {
        let Some(backfill) = state.backfills.iter().find(|one| one.id == id) else {
            return Ok(state.clone());
        };
        let span = super::span_of(backfill.first, backfill.last);
        let cursor = match self.cursor(backfill.cursor.as_deref(), span) {
            Ok(cursor) => cursor,
            Err(error) => return self.backfill_failed(id, &error.to_string(), Remedy::Stop, None).await,
        };
        let (taken, read) = self.taker.page(&self.source, &cursor).await;
        self.count(&taken);
        match read {
            Ok(page) => self.backfill_safe(id, &taken, &page).await,
            Err(error) => {
                let label = error.label();
                metrics::SOURCE_RUNS
                    .with_label_values(&[self.source.name(), label])
                    .inc();
                self.backfill_failed(id, &error.to_string(), error.remedy(), Some(&cursor))
                    .await
            }
        }
    }

    async fn backfill_safe(&self, id: &str, taken: &Taken, page: &Page) -> Result<SourceState, PageError> {
        self.hold(|state| {
            state.tallies.add(&taken.tallies);
            state.tallies.pages += 1;
            state.set_aside(taken.aside.iter().cloned());
            let Some(backfill) = state.backfill(id) else { return };
            let now = Timestamp::now();
            backfill.cursor = Some(page.next.to_text());
            backfill.records += taken.tallies.records();
            backfill.total = page.next.pass.announced.or(backfill.total);
            (backfill.progress, backfill.failures, backfill.error) = (now, 0, None);
            match page.come_back {
                ComeBack::Now => backfill.due = None,
                ComeBack::Later(after) => {
                    backfill.due = Some(now + SignedDuration::try_from(after).unwrap_or_default());
                }
                ComeBack::Never if backfill.is_open() => backfill.state = BackfillState::Done,
                ComeBack::Never => {}
            }
        })
        .await
    }

    async fn backfill_failed(
        &self,
        id: &str,
        error: &str,
        remedy: Remedy,
        cursor: Option<&Cursor>,
    ) -> Result<SourceState, PageError> {
        warn!(
            source = self.source.name(),
            backfill = id,
            error,
            ?remedy,
            "a page of a back-fill could not be read"
        );
        let chance = chance();
        self.hold(|state| {
            let Some(backfill) = state.backfill(id) else { return };
            backfill.error = Some(error.to_owned());
            backfill.failures = backfill.failures.saturating_add(1);
            let asked = match remedy {
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
            let asked = asked.and_then(|asked| SignedDuration::try_from(asked).ok());
            backfill.due = Some(Timestamp::now() + self.scheduled.timing.pause(backfill.failures, asked, chance));
        })
        .await
    }

    /// The kept cursor; a new one at the first page, and where the source of this name was of another kind before.
    fn cursor(&self, kept: Option<&str>, span: Span) -> Result<Cursor, CursorError> {
        let Some(kept) = kept else {
            return self.source.begin(span);
        };
        let cursor = Cursor::parse(kept)?;
        if cursor.kind == self.source.kind() {
            return Ok(cursor);
        }
        info!(
            source = self.source.name(),
            "the source is of another kind now and begins anew"
        );
        self.source.begin(span)
    }

    fn first_span(&self, now: Timestamp) -> Span {
        let from = match self.scheduled.begin {
            Begin::Ago(ago) => now.checked_sub(ago).ok(),
            Begin::Day(day) => super::span_of(day, day).from,
        };
        Span { from, until: None }
    }

    fn count(&self, taken: &Taken) {
        watch::count(self.source.name(), &taken.tallies);
    }
}

/// How long until a moment of the wall clock.
fn until(due: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default()
}

/// Between 0 and 1.
fn chance() -> f64 {
    let bits = (Uuid::new_v4().as_u128() >> 64) as u64;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
