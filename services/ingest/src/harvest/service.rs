//! SourceService: what operators see of sources, and what they do with them.
//!
//! It changes what is kept of a source and leaves the work to whoever holds it.

use std::collections::BTreeMap;

use common::status;
use domain::freshness::{self, Freshness};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use proto::convert::to_wire_time;
use proto::ingest::v1 as wire;
use proto::ingest::v1::source_service_server::SourceService;
use sources::{Cursor, Kind};
use tonic::{Request, Response, Status};

use super::plan::{self, Step, Timing};
use super::settings::Scheduled;
use super::shelf::{Shelf, ShelfError};
use super::state::{Backfill, BackfillState, SourceState};

/// What is known of a source from its settings.
pub struct Listed {
    kind: Kind,
    timing: Timing,
    print: String,
}

impl Listed {
    /// From its settings.
    pub fn new(kind: Kind, scheduled: &Scheduled) -> Self {
        Self {
            kind,
            timing: scheduled.timing,
            print: scheduled.print.clone(),
        }
    }
}

/// The service.
pub struct Sources {
    listed: BTreeMap<String, Listed>,
    shelf: Shelf,
}

impl Sources {
    /// Over the sources of the settings and their states.
    pub fn new(listed: BTreeMap<String, Listed>, shelf: Shelf) -> Self {
        Self { listed, shelf }
    }

    fn find(&self, name: &str) -> Result<&Listed, Status> {
        let offered = || self.listed.keys().cloned().collect::<Vec<_>>();
        self.listed
            .get(name)
            .ok_or_else(|| status::not_offered("source", name, &offered()))
    }

    /// Changes a source and shows it.
    async fn change(
        &self,
        name: &str,
        mut change: impl FnMut(&mut SourceState),
    ) -> Result<Option<wire::Source>, Status> {
        let listed = self.find(name)?;
        let ((), state) = self
            .try_change(name, |state| {
                change(state);
                Ok(())
            })
            .await?;
        Ok(Some(shown(name, listed, &state, Timestamp::now())))
    }

    async fn try_change<T>(
        &self,
        name: &str,
        change: impl FnMut(&mut SourceState) -> Result<T, Status>,
    ) -> Result<(T, SourceState), Status> {
        self.find(name)?;
        self.shelf.change(name, change).await.map_err(unanswered)?
    }

    /// Moves a back-fill from one state to another; asking twice changes nothing.
    async fn turn(&self, name: &str, id: &str, to: BackfillState) -> Result<Option<wire::Backfill>, Status> {
        let (turned, _) = self
            .try_change(name, |state| {
                let backfill = state.backfill(id).ok_or_else(|| status::not_found("back-fill", id))?;
                if backfill.state != to && !backfill.is_open() {
                    let text = format!("back-fill {id} is {}; start another for its days", word(backfill.state));
                    return Err(Status::failed_precondition(text));
                }
                backfill.state = to;
                backfill.due = None;
                Ok(shown_backfill(backfill))
            })
            .await?;
        Ok(Some(turned))
    }
}

#[tonic::async_trait]
impl SourceService for Sources {
    async fn list_sources(
        &self,
        _request: Request<wire::ListSourcesRequest>,
    ) -> Result<Response<wire::ListSourcesResponse>, Status> {
        let mut sources = Vec::with_capacity(self.listed.len());
        for (name, listed) in &self.listed {
            let state = self.shelf.read(name).await.map_err(unanswered)?;
            sources.push(shown(name, listed, &state, Timestamp::now()));
        }
        Ok(Response::new(wire::ListSourcesResponse { sources }))
    }

    async fn get_source(
        &self,
        request: Request<wire::GetSourceRequest>,
    ) -> Result<Response<wire::GetSourceResponse>, Status> {
        let name = request.into_inner().name;
        let listed = self.find(&name)?;
        let state = self.shelf.read(&name).await.map_err(unanswered)?;
        let mut source = shown(&name, listed, &state, Timestamp::now());
        source.backfills = state.backfills.iter().map(shown_backfill).collect();
        let aside = state.aside.iter().map(|aside| wire::SetAsideRecord {
            place: aside.place.clone(),
            reason: aside.reason.clone(),
            time: Some(to_wire_time(aside.time)),
        });
        source.set_aside_records = aside.collect();
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
        let listed = self.find(&name)?;
        let now = Timestamp::now();
        let (first, last) = range(&first_day, &last_day, freshness::date_of(now))?;
        Cursor::start(listed.kind, super::span_of(first, last))
            .map_err(|error| status::invalid("first_day", error.to_string()))?;
        let (backfill, _) = self
            .try_change(&name, |state| {
                if let Some(open) = state.backfills.iter().find(|one| one.is_open()) {
                    let text = format!(
                        "source {name} has an open back-fill from {} to {}; wait for it or cancel {}",
                        open.first, open.last, open.id
                    );
                    return Err(Status::failed_precondition(text));
                }
                let backfill = Backfill::new(first, last, now);
                let shown = shown_backfill(&backfill);
                state.keep_backfill(backfill);
                Ok(shown)
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
        let backfill = self.turn(&name, &backfill_id, BackfillState::Paused).await?;
        Ok(Response::new(wire::PauseBackfillResponse { backfill }))
    }

    async fn resume_backfill(
        &self,
        request: Request<wire::ResumeBackfillRequest>,
    ) -> Result<Response<wire::ResumeBackfillResponse>, Status> {
        let wire::ResumeBackfillRequest { name, backfill_id } = request.into_inner();
        let backfill = self.turn(&name, &backfill_id, BackfillState::Running).await?;
        Ok(Response::new(wire::ResumeBackfillResponse { backfill }))
    }

    async fn cancel_backfill(
        &self,
        request: Request<wire::CancelBackfillRequest>,
    ) -> Result<Response<wire::CancelBackfillResponse>, Status> {
        let wire::CancelBackfillRequest { name, backfill_id } = request.into_inner();
        let backfill = self.turn(&name, &backfill_id, BackfillState::Cancelled).await?;
        Ok(Response::new(wire::CancelBackfillResponse { backfill }))
    }
}

fn unanswered(error: ShelfError) -> Status {
    status::unavailable(error)
}

/// The days of a back-fill.
fn range(first: &str, last: &str, today: Date) -> Result<(Date, Date), Status> {
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

fn shown(name: &str, listed: &Listed, state: &SourceState, now: Timestamp) -> wire::Source {
    let step = plan::step(state, &listed.print, &listed.timing, now);
    let stopped = state
        .stopped
        .as_ref()
        .filter(|stopped| stopped.settings == listed.print);
    let source_state = match (&step, stopped) {
        _ if state.paused => wire::SourceState::Paused,
        _ if state.holder.is_some() => wire::SourceState::Running,
        (_, Some(_)) => wire::SourceState::Stopped,
        _ if state.failures > 0 => wire::SourceState::Retrying,
        _ => wire::SourceState::Waiting,
    };
    let next = match step {
        Step::WaitUntil(_) => state.due,
        Step::Run | Step::Backfill(_) if state.holder.is_none() => Some(now),
        Step::Run | Step::Backfill(_) | Step::Rest => None,
    };
    let (freshness, late_since) = match state.freshness(now) {
        Freshness::Unknown => (wire::SourceFreshness::Unknown, None),
        Freshness::Usual => (wire::SourceFreshness::Usual, None),
        Freshness::Late { since } => (wire::SourceFreshness::Late, Some(since)),
    };
    let mut source = wire::Source {
        name: name.to_owned(),
        kind: listed.kind.as_str().to_owned(),
        interval: Some(wire_duration(listed.timing.interval)),
        next_run_time: next.map(to_wire_time),
        last_run_time: state.last_run.map(to_wire_time),
        last_success_time: state.last_success.map(to_wire_time),
        last_error: state.last_error.clone().unwrap_or_default(),
        failure_count: state.failures,
        cursor: state.cursor.clone().unwrap_or_default(),
        newest_paper_time: state.newest.map(to_wire_time),
        late_since_time: late_since.map(to_wire_time),
        counts: Some(wire::SourceCounts {
            pages: state.tallies.pages,
            accepted: state.tallies.accepted,
            unchanged: state.tallies.unchanged,
            duplicate: state.tallies.duplicate,
            withdrawn: state.tallies.withdrawn,
            signals: state.tallies.signals,
            set_aside: state.tallies.set_aside,
        }),
        ..wire::Source::default()
    };
    source.set_state(source_state);
    source.set_freshness(freshness);
    source
}

fn shown_backfill(backfill: &Backfill) -> wire::Backfill {
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
