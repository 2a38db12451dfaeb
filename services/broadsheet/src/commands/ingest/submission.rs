//! Submits records over a stream, and does not lose count when the stream breaks or the platform is busy.
//!
//! Every paper is held until it has an answer. When a stream breaks, a new one is opened and the papers without an answer are
//! submitted again, which does no harm; a paper that the platform could not take is submitted again after a growing pause.
//! Both end when the platform has taken nothing for longer than the patience.

use std::time::{Duration, Instant};

use common::clock::Clock;
use common::grpc::ServiceChannel;
use indicatif::ProgressBar;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{
    SubmissionResult, SubmissionStatus, SubmitPapersRequest, SubmitPapersResponse, WithdrawPaperRequest,
};
use sources::files::inputs::FileInput;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::IngestJob;
use super::pending::{LONGEST_PAUSE, PendingPapers, pause};
use super::progress_file::{IngestPosition, ProgressFile};
use super::reading::{FileReading, ReadEvent, ReadRecord, RecordContent};
use super::report::{IngestReport, RecordOutcome};
use super::waiting::FoundPapers;
use crate::error::CommandError;
use crate::output;

/// How often the progress is noted.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Papers on their way.
pub struct PaperSubmitter {
    client: IngestServiceClient<ServiceChannel>,
    clock: Clock,
    patience: Duration,
    found: Option<FoundPapers>,
    inputs: Vec<FileInput>,
    pending: PendingPapers,
    /// Where reading is.
    reached: IngestPosition,
    is_read: bool,
    last_noted: Instant,
    breaks: u32,
    /// What the platform said of the last paper that it could not take.
    last_fault: String,
    established: bool,
    bar: ProgressBar,
}

/// A stream of papers and their answers.
struct PaperStream {
    requests: mpsc::Sender<SubmitPapersRequest>,
    answers: Streaming<SubmitPapersResponse>,
}

/// How a stream ended.
enum StreamEnd {
    /// Everything has its answer.
    Finished,
    /// It broke.
    Broken(Status),
}

impl PaperSubmitter {
    /// Of a job.
    pub fn new(channel: ServiceChannel, job: &IngestJob, found: Option<FoundPapers>, clock: &Clock) -> Self {
        Self {
            client: IngestServiceClient::new(channel),
            clock: clock.clone(),
            patience: job.patience,
            found,
            inputs: job.inputs.clone(),
            pending: PendingPapers::new(job.patience, clock),
            reached: IngestPosition::default(),
            is_read: false,
            last_noted: clock.instant(),
            breaks: 0,
            last_fault: String::new(),
            established: false,
            bar: ProgressBar::hidden(),
        }
    }

    /// Submits everything that is read, and waits until it can be found if that was asked for.
    pub async fn run(
        &mut self,
        mut reading: FileReading,
        mut progress: Option<&mut ProgressFile>,
        report: &mut IngestReport,
    ) -> Result<(), CommandError> {
        self.bar = match reading.total() {
            Some(total) => output::progress_bar(total, "{bar:30} {percent} %, {msg}, {eta} to go"),
            None => output::progress_bar(0, "{spinner} {msg}"),
        };
        let ended = self.submit(&mut reading, &mut progress, report).await;
        if let Some(progress) = progress {
            progress.note(self.settled(), &self.inputs)?;
        }
        self.bar.finish_and_clear();
        ended?;
        self.until_found().await
    }

    async fn submit(
        &mut self,
        reading: &mut FileReading,
        progress: &mut Option<&mut ProgressFile>,
        report: &mut IngestReport,
    ) -> Result<(), CommandError> {
        loop {
            let end = match self.connect().await {
                Ok(mut stream) => self.exchange(&mut stream, reading, progress, report).await?,
                Err(status) => StreamEnd::Broken(status),
            };
            match end {
                StreamEnd::Finished => return Ok(()),
                StreamEnd::Broken(status) => self.pause_after(&status).await?,
            }
        }
    }

    /// Opens a stream, on which all papers without an answer will be sent.
    async fn connect(&mut self) -> Result<PaperStream, Status> {
        let (requests, outgoing) = mpsc::channel(64);
        let answers = self.client.submit_papers(ReceiverStream::new(outgoing)).await?;
        self.established = true;
        self.pending.send_all_again();
        Ok(PaperStream {
            requests,
            answers: answers.into_inner(),
        })
    }

    async fn exchange(
        &mut self,
        stream: &mut PaperStream,
        reading: &mut FileReading,
        progress: &mut Option<&mut ProgressFile>,
        report: &mut IngestReport,
    ) -> Result<StreamEnd, CommandError> {
        while !(self.is_read && self.pending.is_empty()) {
            let is_full = self.found.as_ref().is_some_and(FoundPapers::is_full);
            let has_room = !self.is_read && !is_full && self.pending.has_room();
            let pause = self.pending.until_due();
            let is_waiting = self.found.as_ref().is_some_and(FoundPapers::is_waiting);
            tokio::select! {
                permit = stream.requests.clone().reserve_owned(), if self.pending.has_unsent() => match permit {
                    Ok(permit) => if let Some(request) = self.pending.next_request() {
                        let _ = permit.send(request);
                    },
                    // The answers say why nobody listens any more.
                    Err(_) => return Ok(StreamEnd::Broken(last_words(stream).await)),
                },
                event = reading.next(), if has_room => self.take(event, report).await?,
                answer = stream.answers.message() => match answer {
                    Ok(Some(answer)) => self.answered(answer, report),
                    Ok(None) => return Ok(StreamEnd::Broken(Status::unavailable("the stream ended"))),
                    Err(status) => return Ok(StreamEnd::Broken(status)),
                },
                () = self.clock.sleep(pause.unwrap_or_default()), if pause.is_some() => {
                    if !self.pending.resume_due() {
                        let silent = format!("no answer for {} s", self.patience.as_secs());
                        return Ok(StreamEnd::Broken(Status::deadline_exceeded(silent)));
                    }
                }
                news = next_news(&mut self.found), if is_waiting => news?,
            }
            self.show_progress(reading, report);
            self.note_progress(progress)?;
        }
        Ok(StreamEnd::Finished)
    }

    /// Takes what was read.
    async fn take(&mut self, event: Option<ReadEvent>, report: &mut IngestReport) -> Result<(), CommandError> {
        match event {
            None => self.is_read = true,
            Some(ReadEvent::Format(input, format, compression)) => {
                let line = report.begin(input, format, compression);
                self.bar.suspend(|| eprintln!("{line}"));
            }
            Some(ReadEvent::End(input, ended)) => {
                report.end(input, ended);
                self.reached = IngestPosition {
                    input: input + 1,
                    records: 0,
                };
            }
            Some(ReadEvent::Record(record)) => {
                let ReadRecord {
                    position,
                    location,
                    content,
                } = record;
                self.reached = position;
                match content {
                    RecordContent::Paper(paper) => self.pending.add(position, location, *paper),
                    RecordContent::Unusable(problem) => report.refuse(position.input, location, problem),
                    RecordContent::Withdrawal(id, reason) => {
                        self.withdraw(id, reason).await?;
                        report.note(position.input, RecordOutcome::Withdrawn);
                    }
                }
            }
        }
        Ok(())
    }

    fn answered(&mut self, answer: SubmitPapersResponse, report: &mut IngestReport) {
        let SubmitPapersResponse { reference, result } = answer;
        let Some(pending) = self.pending.take(&reference) else {
            return;
        };
        let result = result.unwrap_or_default();
        let (input, location) = (pending.position.input, pending.location);
        let outcome = match result.status() {
            SubmissionStatus::Accepted => Some(RecordOutcome::Accepted),
            SubmissionStatus::Unchanged => Some(RecordOutcome::Unchanged),
            SubmissionStatus::Duplicate => Some(RecordOutcome::Duplicate),
            SubmissionStatus::Rejected => None,
            SubmissionStatus::Failed | SubmissionStatus::Unspecified => {
                self.last_fault.clone_from(&result.error);
                if !self.pending.put_back(&reference, pending) {
                    let fault = "was not accepted because of a fault of the platform";
                    report.refuse(input, location, format!("{fault}: {}", result.error));
                }
                return;
            }
        };
        self.pending.note_taken();
        self.breaks = 0;
        let Some(outcome) = outcome else {
            return report.refuse(input, location, violations(&result));
        };
        report.note(input, outcome);
        if let (Some(found), true) = (&mut self.found, outcome != RecordOutcome::Duplicate) {
            found.add(result.paper_id, result.revision);
        }
    }

    /// Waits before the next attempt at a stream.
    async fn pause_after(&mut self, status: &Status) -> Result<(), CommandError> {
        if !self.established || !may_pass(status.code()) {
            return Err(status.clone().into());
        }
        if self.breaks == 0 {
            self.pending.begin_to_ask();
        }
        if self.pending.is_out_of_patience() {
            let why = if self.last_fault.is_empty() {
                status.message()
            } else {
                &self.last_fault
            };
            return Err(CommandError::unavailable(format!(
                "the platform took no paper for {} s ({why}); --patience SECONDS waits longer",
                self.patience.as_secs()
            )));
        }
        self.breaks += 1;
        let asked = common::status::retry_delay(status).unwrap_or_default();
        self.clock.sleep(pause(self.breaks).max(asked.min(LONGEST_PAUSE))).await;
        Ok(())
    }

    /// Withdraws a paper that its source has withdrawn; one that is not known need not be.
    async fn withdraw(&mut self, paper_id: String, reason: String) -> Result<(), CommandError> {
        self.pending.begin_to_ask();
        let reason = domain::text::one_line(&reason).chars().take(1_000).collect();
        let request = WithdrawPaperRequest { paper_id, reason };
        loop {
            match self.client.withdraw_paper(request.clone()).await {
                Ok(_) => break,
                Err(status) if status.code() == Code::NotFound => break,
                Err(status) => self.pause_after(&status).await?,
            }
        }
        self.pending.note_taken();
        self.breaks = 0;
        Ok(())
    }

    /// Everything before this has an answer.
    fn settled(&self) -> IngestPosition {
        match self.pending.first_position() {
            Some(first) => IngestPosition {
                records: first.records - 1,
                ..first
            },
            None => self.reached,
        }
    }

    fn note_progress(&mut self, progress: &mut Option<&mut ProgressFile>) -> Result<(), CommandError> {
        if let Some(progress) = progress
            && self.clock.elapsed(self.last_noted) > NOTE_EVERY
        {
            self.last_noted = self.clock.instant();
            progress.note(self.settled(), &self.inputs)?;
        }
        Ok(())
    }

    fn show_progress(&self, reading: &FileReading, report: &IngestReport) {
        if self.bar.is_hidden() {
            return;
        }
        let settled = report.settled();
        let seconds = self.bar.elapsed().as_secs_f64();
        let rate = if seconds > 0.0 { settled as f64 / seconds } else { 0.0 };
        self.bar.set_position(reading.bytes());
        self.bar.set_message(format!("{settled} papers, {rate:.0}/s"));
    }

    /// Waits until everything accepted can be found.
    async fn until_found(&mut self) -> Result<(), CommandError> {
        let Some(found) = &mut self.found else { return Ok(()) };
        // What was indexed before its answer came is in no news.
        found.look_up().await?;
        let total = found.count();
        let bar = output::progress_bar(total as u64, "{bar:40} {pos} of {len} papers can be found, {eta} to go");
        while found.is_waiting() {
            found.next().await?;
            bar.set_position((total - found.count()) as u64);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

async fn next_news(found: &mut Option<FoundPapers>) -> Result<(), CommandError> {
    match found {
        Some(found) => found.next().await,
        None => std::future::pending().await,
    }
}

/// Why a stream takes nothing any more.
async fn last_words(stream: &mut PaperStream) -> Status {
    loop {
        match stream.answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Status::unavailable("the stream ended"),
            Err(status) => return status,
        }
    }
}

/// Whether the same call may succeed later.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::Aborted
            | Code::DeadlineExceeded
    )
}

fn violations(result: &SubmissionResult) -> String {
    let problems = result
        .violations
        .iter()
        .map(|v| format!("{} {}", v.field, v.description));
    problems.collect::<Vec<_>>().join("; ")
}
