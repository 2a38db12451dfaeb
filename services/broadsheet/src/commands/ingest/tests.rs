//! A run against a platform that breaks off, is busy, and gives up.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::config::CallerConfig;
use common::grpc;
use futures::{Stream, StreamExt as _};
use proto::ingest::v1::ingest_service_server::{IngestService, IngestServiceServer};
use proto::ingest::v1::{
    ListAcceptedPapersRequest, ListAcceptedPapersResponse, ResendPapersRequest, ResendPapersResponse, SubmissionResult,
    SubmissionStatus, SubmitPaperRequest, SubmitPaperResponse, SubmitPapersRequest, SubmitPapersResponse,
    WithdrawPaperResponse,
};
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use super::*;

/// What the platform does with the paper of a number, of all that were submitted.
type Behaviour = fn(usize) -> Result<SubmissionStatus, Status>;

/// An ingest service that behaves as a test wants it.
struct IngestStub {
    behaviour: Behaviour,
    submitted: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl IngestService for IngestStub {
    type SubmitPapersStream = Pin<Box<dyn Stream<Item = Result<SubmitPapersResponse, Status>> + Send>>;

    async fn submit_papers(
        &self,
        request: Request<Streaming<SubmitPapersRequest>>,
    ) -> Result<Response<Self::SubmitPapersStream>, Status> {
        let (behaviour, submitted) = (self.behaviour, Arc::clone(&self.submitted));
        let answers = request.into_inner().map(move |request| {
            let request = request?;
            let status = behaviour(submitted.fetch_add(1, Ordering::SeqCst))?;
            Ok(SubmitPapersResponse {
                reference: request.reference,
                result: Some(SubmissionResult {
                    status: status.into(),
                    paper_id: request.paper.unwrap_or_default().id,
                    revision: 1,
                    error: "no room".to_owned(),
                    ..SubmissionResult::default()
                }),
            })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn submit_paper(&self, _: Request<SubmitPaperRequest>) -> Result<Response<SubmitPaperResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn withdraw_paper(
        &self,
        _: Request<WithdrawPaperRequest>,
    ) -> Result<Response<WithdrawPaperResponse>, Status> {
        Err(Status::not_found("no such paper"))
    }

    async fn list_accepted_papers(
        &self,
        _: Request<ListAcceptedPapersRequest>,
    ) -> Result<Response<ListAcceptedPapersResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn resend_papers(&self, _: Request<ResendPapersRequest>) -> Result<Response<ResendPapersResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// A run of 20 papers and a withdrawal against a platform.
struct IngestRun {
    report: IngestReport,
    ended: Result<(), CommandError>,
    submitted: usize,
}

async fn run(behaviour: Behaviour, change: impl FnOnce(&mut IngestJob)) -> IngestRun {
    let submitted = Arc::new(AtomicUsize::new(0));
    let platform = IngestStub {
        behaviour,
        submitted: Arc::clone(&submitted),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut serving = JoinSet::new();
    serving.spawn(
        tonic::transport::Server::builder()
            .add_service(IngestServiceServer::new(platform))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("papers.jsonl");
    let mut lines: Vec<String> = (0..20)
        .map(|n| format!("{{\"id\":\"p{n}\",\"title\":\"Paper {n}\"}}"))
        .collect();
    lines.push(r#"{"id":"0704.0001","title":"T","comments":"This paper has been withdrawn by the author"}"#.to_owned());
    std::fs::write(&file, lines.join("\n")).expect("written");
    let mut job = IngestJob::of_file(file, "test");
    job.wait = None;
    change(&mut job);
    let channel = grpc::connect(&url, &CallerConfig::default()).expect("a channel");
    let (report, ended) = submit(channel, job, &Clock::system()).await;
    IngestRun {
        report,
        ended,
        submitted: submitted.load(Ordering::SeqCst),
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_taken_up_again() {
    let broken = |number| match number {
        5 => Err(Status::internal("h2 protocol error")),
        _ => Ok(SubmissionStatus::Accepted),
    };
    let run = run(broken, |_| {}).await;
    assert!(run.ended.is_ok(), "{:?}", run.ended);
    assert_eq!((run.report.known(), run.report.settled()), (20, 21));
    assert!(run.submitted > 20, "those without an answer were submitted again");
}

#[tokio::test]
async fn a_paper_that_finds_no_room_is_submitted_again() {
    let busy = |number| {
        Ok(if number < 20 {
            SubmissionStatus::Failed
        } else {
            SubmissionStatus::Accepted
        })
    };
    let run = run(busy, |_| {}).await;
    assert!(run.ended.is_ok() && run.report.check().is_ok());
    assert_eq!((run.report.known(), run.submitted), (20, 40));
}

#[tokio::test]
async fn patience_ends_and_the_fault_is_named() {
    let run = run(|_| Ok(SubmissionStatus::Failed), |job| job.patience = Duration::ZERO).await;
    assert!(run.ended.is_ok());
    let refusals = run.report.refusals();
    assert_eq!(refusals.len(), 20);
    assert!(refusals[0].ends_with("line 1: was not accepted because of a fault of the platform: no room"));
}

#[tokio::test]
async fn a_call_that_is_refused_is_not_repeated() {
    let run = run(|_| Err(Status::permission_denied("the key may not ingest")), |_| {}).await;
    let error = format!("{:?}", run.ended.expect_err("a refusal"));
    assert!(error.contains("the key may not ingest"), "{error}");
}

#[tokio::test]
async fn a_run_goes_on_where_another_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("progress");
    let progress = path.clone();
    let run = run(
        |_| Ok(SubmissionStatus::Accepted),
        move |job| {
            let mut earlier = ProgressFile::open(progress.clone(), &job.inputs).expect("progress");
            let position = progress_file::IngestPosition { input: 0, records: 15 };
            earlier.note(position, &job.inputs).expect("noted");
            job.progress = Some(ProgressFile::open(progress, &job.inputs).expect("progress"));
        },
    )
    .await;
    assert!(run.ended.is_ok(), "{:?}", run.ended);
    assert_eq!((run.submitted, run.report.settled()), (5, 6));
    assert!(!path.exists(), "all is done");
}

#[tokio::test]
async fn waiting_for_what_nobody_answers_says_so() {
    let run = run(
        |_| Ok(SubmissionStatus::Accepted),
        |job| job.wait = Some(Duration::from_secs(1)),
    )
    .await;
    let error = format!("{:?}", run.ended.expect_err("no search"));
    assert!(error.contains("--wait") && run.submitted == 0, "{error}");
}
