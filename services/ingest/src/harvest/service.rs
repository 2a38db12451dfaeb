//! SourceService: shows sources to operators and takes their commands.
//!
//! It changes the stored state of a source and leaves the work to the replica that holds the lease.

use std::collections::BTreeMap;

use common::clock::Clock;
use common::status;
use domain::freshness::{self, SourceFreshness};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use proto::convert::to_wire_time;
use proto::ingest::v1 as wire;
use proto::ingest::v1::source_service_server::SourceService;
use sources::{Cursor, SourceKind};
use tonic::{Request, Response, Status};

use super::plan::{self, HarvestStep, HarvestTiming};
use super::settings::ScheduledSource;
use super::state::{Backfill, BackfillState, RecordTally, SourceState};
use super::state_store::SourceStateStore;

/// What is known of a source from its settings.
pub struct ConfiguredSource {
    kind: SourceKind,
    timing: HarvestTiming,
    fingerprint: String,
}

impl ConfiguredSource {
    /// From its settings.
    pub fn new(kind: SourceKind, scheduled: &ScheduledSource) -> Self {
        Self {
            kind,
            timing: scheduled.timing,
            fingerprint: scheduled.fingerprint.clone(),
        }
    }
}

/// The service.
pub struct SourceApi {
    configured: BTreeMap<String, ConfiguredSource>,
    store: SourceStateStore,
    clock: Clock,
}

impl SourceApi {
    /// Over the sources of the settings and their states.
    pub fn new(configured: BTreeMap<String, ConfiguredSource>, store: SourceStateStore, clock: Clock) -> Self {
        Self {
            configured,
            store,
            clock,
        }
    }

    fn find(&self, name: &str) -> Result<&ConfiguredSource, Status> {
        let offered = || self.configured.keys().cloned().collect::<Vec<_>>();
        self.configured
            .get(name)
            .ok_or_else(|| status::not_offered("source", name, &offered()))
    }

    /// Changes the state of a source and shows it.
    async fn change(
        &self,
        name: &str,
        mut change: impl FnMut(&mut SourceState),
    ) -> Result<Option<wire::Source>, Status> {
        let configured = self.find(name)?;
        let ((), state) = self
            .try_change(name, |state| {
                change(state);
                Ok(())
            })
            .await?;
        Ok(Some(source_view(name, configured, &state, self.clock.now())))
    }

    async fn try_change<T>(
        &self,
        name: &str,
        change: impl FnMut(&mut SourceState) -> Result<T, Status>,
    ) -> Result<(T, SourceState), Status> {
        self.find(name)?;
        self.store.change(name, change).await.map_err(status::unavailable)?
    }

    /// Moves a back-fill to another state; repeating it changes nothing.
    async fn set_backfill_state(
        &self,
        name: &str,
        id: &str,
        to: BackfillState,
    ) -> Result<Option<wire::Backfill>, Status> {
        let (backfill, _) = self
            .try_change(name, |state| {
                let backfill = state.backfill(id).ok_or_else(|| status::not_found("back-fill", id))?;
                if backfill.state != to && !backfill.is_open() {
                    let text = format!("back-fill {id} is {}; start another for its days", word(backfill.state));
                    return Err(Status::failed_precondition(text));
                }
                backfill.state = to;
                backfill.due = None;
                Ok(backfill_view(backfill))
            })
            .await?;
        Ok(Some(backfill))
    }
}

#[tonic::async_trait]
impl SourceService for SourceApi {
    async fn list_sources(
        &self,
        _request: Request<wire::ListSourcesRequest>,
    ) -> Result<Response<wire::ListSourcesResponse>, Status> {
        let mut sources = Vec::with_capacity(self.configured.len());
        for (name, configured) in &self.configured {
            let state = self.store.read(name).await.map_err(status::unavailable)?;
            sources.push(source_view(name, configured, &state, self.clock.now()));
        }
        Ok(Response::new(wire::ListSourcesResponse { sources }))
    }

    async fn get_source(
        &self,
        request: Request<wire::GetSourceRequest>,
    ) -> Result<Response<wire::GetSourceResponse>, Status> {
        let name = request.into_inner().name;
        let configured = self.find(&name)?;
        let state = self.store.read(&name).await.map_err(status::unavailable)?;
        let mut source = source_view(&name, configured, &state, self.clock.now());
        source.backfills = state.backfills.iter().map(backfill_view).collect();
        let quarantined = state.quarantined.iter().map(|record| wire::QuarantinedRecord {
            location: record.location.clone(),
            reason: record.reason.clone(),
            time: Some(to_wire_time(record.time)),
        });
        source.quarantined_records = quarantined.collect();
        Ok(Response::new(wire::GetSourceResponse { source: Some(source) }))
    }

    async fn run_source(
        &self,
        request: Request<wire::RunSourceRequest>,
    ) -> Result<Response<wire::RunSourceResponse>, Status> {
        let name = request.into_inner().name;
        let source = self
            .change(&name, |state| (state.due, state.stopped) = (None, None))
            .await?;
        Ok(Response::new(wire::RunSourceResponse { source }))
    }

    async fn pause_source(
        &self,
        request: Request<wire::PauseSourceRequest>,
    ) -> Result<Response<wire::PauseSourceResponse>, Status> {
        let name = request.into_inner().name;
        let source = self.change(&name, |state| state.paused = true).await?;
        Ok(Response::new(wire::PauseSourceResponse { source }))
    }

    async fn resume_source(
        &self,
        request: Request<wire::ResumeSourceRequest>,
    ) -> Result<Response<wire::ResumeSourceResponse>, Status> {
        let name = request.into_inner().name;
        let source = self.change(&name, |state| {
            if std::mem::take(&mut state.paused) {
                state.due = None;
            }
        });
        Ok(Response::new(wire::ResumeSourceResponse { source: source.await? }))
    }

    async fn start_backfill(
        &self,
        request: Request<wire::StartBackfillRequest>,
    ) -> Result<Response<wire::StartBackfillResponse>, Status> {
        let wire::StartBackfillRequest {
            name,
            first_day,
            last_day,
        } = request.into_inner();
        let configured = self.find(&name)?;
        let now = self.clock.now();
        let (first, last) = parse_days(&first_day, &last_day, freshness::date_of(now))?;
        Cursor::start(configured.kind, super::range_of(first, last))
            .map_err(|error| status::invalid("first_day", error.to_string()))?;
        let (backfill, _) = self
            .try_change(&name, |state| {
                if let Some(open) = state.backfills.iter().find(|backfill| backfill.is_open()) {
                    let text = format!(
                        "source {name} has an open back-fill from {} to {}; wait for it or cancel {}",
                        open.first, open.last, open.id
                    );
                    return Err(Status::failed_precondition(text));
                }
                let backfill = Backfill::new(first, last, now);
                let view = backfill_view(&backfill);
                state.add_backfill(backfill);
                Ok(view)
            })
            .await?;
        Ok(Response::new(wire::StartBackfillResponse {
            backfill: Some(backfill),
        }))
    }

    async fn pause_backfill(
        &self,
        request: Request<wire::PauseBackfillRequest>,
    ) -> Result<Response<wire::PauseBackfillResponse>, Status> {
        let wire::PauseBackfillRequest { name, backfill_id } = request.into_inner();
        let backfill = self
            .set_backfill_state(&name, &backfill_id, BackfillState::Paused)
            .await?;
        Ok(Response::new(wire::PauseBackfillResponse { backfill }))
    }

    async fn resume_backfill(
        &self,
        request: Request<wire::ResumeBackfillRequest>,
    ) -> Result<Response<wire::ResumeBackfillResponse>, Status> {
        let wire::ResumeBackfillRequest { name, backfill_id } = request.into_inner();
        let backfill = self
            .set_backfill_state(&name, &backfill_id, BackfillState::Running)
            .await?;
        Ok(Response::new(wire::ResumeBackfillResponse { backfill }))
    }

    async fn cancel_backfill(
        &self,
        request: Request<wire::CancelBackfillRequest>,
    ) -> Result<Response<wire::CancelBackfillResponse>, Status> {
        let wire::CancelBackfillRequest { name, backfill_id } = request.into_inner();
        let backfill = self
            .set_backfill_state(&name, &backfill_id, BackfillState::Cancelled)
            .await?;
        Ok(Response::new(wire::CancelBackfillResponse { backfill }))
    }
}

/// The days of a back-fill.
fn parse_days(first: &str, last: &str, today: Date) -> Result<(Date, Date), Status> {
    let day = |field: &str, text: &str| {
        let shown = domain::text::shorten(text);
        text.parse::<Date>()
            .map_err(|_| status::invalid(field, format!("is {shown:?}; a day such as 2026-01-31 is required")))
    };
    let first_day = day("first_day", first)?;
    let last_day = if last.is_empty() { today } else { day("last_day", last)? };
    if first_day > last_day {
        return Err(status::invalid(
            "first_day",
            format!("is {first_day}; at most the last day, {last_day}, is allowed"),
        ));
    }
    if last_day > today {
        return Err(status::invalid(
            "last_day",
            format!("is {last_day}; at most today, {today} (UTC), is allowed"),
        ));
    }
    Ok((first_day, last_day))
}

fn source_view(name: &str, configured: &ConfiguredSource, state: &SourceState, now: Timestamp) -> wire::Source {
    let step = plan::step(state, &configured.fingerprint, &configured.timing, now);
    let stopped = state
        .stopped
        .as_ref()
        .filter(|cause| cause.fingerprint == configured.fingerprint);
    let source_state = match (&step, stopped) {
        _ if state.paused => wire::SourceState::Paused,
        _ if state.lease.is_some() => wire::SourceState::Running,
        (_, Some(_)) => wire::SourceState::Stopped,
        _ if state.failures > 0 => wire::SourceState::Retrying,
        _ => wire::SourceState::Waiting,
    };
    let next = match step {
        HarvestStep::WaitUntil(_) => state.due,
        HarvestStep::Run | HarvestStep::Backfill(_) if state.lease.is_none() => Some(now),
        HarvestStep::Run | HarvestStep::Backfill(_) | HarvestStep::Idle => None,
    };
    let (freshness, late_since) = match state.freshness(now) {
        SourceFreshness::Unknown => (wire::SourceFreshness::Unknown, None),
        SourceFreshness::Usual => (wire::SourceFreshness::Usual, None),
        SourceFreshness::Late { since } => (wire::SourceFreshness::Late, Some(since)),
    };
    let mut source = wire::Source {
        name: name.to_owned(),
        kind: configured.kind.as_str().to_owned(),
        interval: Some(wire_duration(configured.timing.interval)),
        next_run_time: next.map(to_wire_time),
        last_run_time: state.last_run.map(to_wire_time),
        last_success_time: state.last_success.map(to_wire_time),
        last_error: state.last_error.clone().unwrap_or_default(),
        failure_count: state.failures,
        cursor: state.cursor.clone().unwrap_or_default(),
        newest_paper_time: state.newest.map(to_wire_time),
        late_since_time: late_since.map(to_wire_time),
        counts: Some(counts_view(&state.tally)),
        ..wire::Source::default()
    };
    source.set_state(source_state);
    source.set_freshness(freshness);
    source
}

fn counts_view(tally: &RecordTally) -> wire::SourceCounts {
    wire::SourceCounts {
        pages: tally.pages,
        accepted: tally.accepted,
        unchanged: tally.unchanged,
        duplicate: tally.duplicate,
        withdrawn: tally.withdrawn,
        signals: tally.signals,
        quarantined: tally.quarantined,
    }
}

fn backfill_view(backfill: &Backfill) -> wire::Backfill {
    let state = match backfill.state {
        BackfillState::Running => wire::BackfillState::Running,
        BackfillState::Paused => wire::BackfillState::Paused,
        BackfillState::Done => wire::BackfillState::Done,
        BackfillState::Cancelled => wire::BackfillState::Cancelled,
        BackfillState::Failed => wire::BackfillState::Failed,
    };
    wire::Backfill {
        backfill_id: backfill.id.clone(),
        first_day: backfill.first.to_string(),
        last_day: backfill.last.to_string(),
        state: state.into(),
        records: backfill.records,
        total_records: backfill.total.unwrap_or(0),
        created_time: Some(to_wire_time(backfill.created)),
        progress_time: Some(to_wire_time(backfill.progress)),
        error: backfill.error.clone().unwrap_or_default(),
    }
}

fn word(state: BackfillState) -> &'static str {
    match state {
        BackfillState::Running => "running",
        BackfillState::Paused => "paused",
        BackfillState::Done => "done",
        BackfillState::Cancelled => "cancelled",
        BackfillState::Failed => "failed",
    }
}

fn wire_duration(duration: SignedDuration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: duration.as_secs(),
        nanos: duration.subsec_nanos(),
    }
}
