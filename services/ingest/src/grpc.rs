//! IngestService: from the wire to the register and back. One bad paper never ends a stream.

use std::pin::Pin;
use std::sync::Arc;

use common::status;
use domain::{LinkKind, PaperId, Submission, Violation, submission};
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use proto::convert::from_wire_time;
use proto::ingest::v1::ingest_service_server::IngestService;
use proto::ingest::v1::{
    FieldViolation, PaperSubmission, SubmissionResult, SubmissionStatus, SubmitPaperRequest, SubmitPaperResponse,
    SubmitPapersRequest, SubmitPapersResponse, WithdrawPaperRequest, WithdrawPaperResponse,
};
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument as _, info_span};

use crate::metrics::PAPERS;
use crate::registry::{Registry, RegistryError, Verdict};

const MAX_REASON_CHARS: usize = 1_000;

/// The service.
pub struct Ingest {
    registry: Arc<Registry>,
    concurrency: usize,
}

enum Refusal {
    Bad(Vec<Violation>),
    Failed(RegistryError),
}

impl Ingest {
    /// Over a register.
    pub fn new(registry: Registry, concurrency: usize) -> Self {
        Self {
            registry: Arc::new(registry),
            concurrency,
        }
    }
}

#[tonic::async_trait]
impl IngestService for Ingest {
    async fn submit_paper(
        &self,
        request: Request<SubmitPaperRequest>,
    ) -> Result<Response<SubmitPaperResponse>, Status> {
        let paper = request
            .into_inner()
            .paper
            .ok_or_else(|| status::invalid("paper", "is missing"))?;
        match submit(&self.registry, paper).await {
            Ok(result) => Ok(Response::new(SubmitPaperResponse { result: Some(result) })),
            Err(Refusal::Bad(violations)) => Err(status::invalid_fields(
                violations
                    .into_iter()
                    .map(|v| (format!("paper.{}", v.field), v.description)),
            )),
            Err(Refusal::Failed(error)) => Err(status::unavailable(error)),
        }
    }

    type SubmitPapersStream = Pin<Box<dyn Stream<Item = Result<SubmitPapersResponse, Status>> + Send>>;

    async fn submit_papers(
        &self,
        request: Request<Streaming<SubmitPapersRequest>>,
    ) -> Result<Response<Self::SubmitPapersStream>, Status> {
        let registry = Arc::clone(&self.registry);
        let results = request.into_inner().map(move |item| {
            let registry = Arc::clone(&registry);
            async move {
                let SubmitPapersRequest { reference, paper } = item?;
                // Each paper is a trace of its own, however long the stream it came in.
                let span = info_span!(parent: None, "submit", otel.name = "ingest submit", otel.kind = "server");
                let submitted = submit(&registry, paper.unwrap_or_default()).instrument(span).await;
                let result = submitted.unwrap_or_else(refused_result);
                Ok(SubmitPapersResponse {
                    reference,
                    result: Some(result),
                })
            }
        });
        Ok(Response::new(results.buffer_unordered(self.concurrency).boxed()))
    }

    async fn withdraw_paper(
        &self,
        request: Request<WithdrawPaperRequest>,
    ) -> Result<Response<WithdrawPaperResponse>, Status> {
        let WithdrawPaperRequest { paper_id, reason } = request.into_inner();
        let asked = paper_id.trim();
        // A canonical id stands for itself; anything else is read as a submitter would write it.
        let id = PaperId::parse(asked).or_else(|_| PaperId::from_submission(asked, submission::DEFAULT_SOURCE));
        let id = id.map_err(|error| status::invalid("paper_id", error.to_string()))?;
        let length = reason.chars().count();
        if length > MAX_REASON_CHARS {
            let description = format!("has {length} characters; at most {MAX_REASON_CHARS} are allowed");
            return Err(status::invalid("reason", description));
        }
        let withdrawn = self.registry.withdraw(id, &domain::text::one_line(&reason)).await;
        let (id, revision) = withdrawn
            .map_err(status::unavailable)?
            .ok_or_else(|| status::not_found("paper", &paper_id))?;
        PAPERS.with_label_values(&["withdrawn"]).inc();
        Ok(Response::new(WithdrawPaperResponse {
            paper_id: id.to_string(),
            revision,
        }))
    }
}

async fn submit(registry: &Registry, paper: PaperSubmission) -> Result<SubmissionResult, Refusal> {
    let outcome = |name: &str| PAPERS.with_label_values(&[name]).inc();
    let paper = parse(paper)
        .and_then(|submission| submission.into_paper(Timestamp::now()))
        .map_err(|violations| {
            outcome("rejected");
            Refusal::Bad(violations)
        })?;
    let decision = registry.submit(paper).await.map_err(|error| {
        outcome("failed");
        Refusal::Failed(error)
    })?;
    let status = match decision.verdict {
        Verdict::Accepted => {
            outcome("accepted");
            SubmissionStatus::Accepted
        }
        Verdict::Unchanged => {
            outcome("unchanged");
            SubmissionStatus::Unchanged
        }
        Verdict::Duplicate => {
            outcome("duplicate");
            SubmissionStatus::Duplicate
        }
    };
    Ok(SubmissionResult {
        status: status.into(),
        paper_id: decision.id.to_string(),
        revision: decision.revision,
        ..SubmissionResult::default()
    })
}

fn parse(paper: PaperSubmission) -> Result<Submission, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut date = |field: &'static str, time: Option<prost_types::Timestamp>| match from_wire_time(field, time?) {
        Ok(time) => Some(time),
        Err(error) => {
            violations.push(Violation {
                field: field.to_owned(),
                description: error.to_string(),
            });
            None
        }
    };
    let published = date("published_time", paper.published_time);
    let updated = date("updated_time", paper.updated_time);
    if !violations.is_empty() {
        return Err(violations);
    }
    Ok(Submission {
        id: paper.id,
        title: paper.title,
        abstract_text: paper.r#abstract,
        authors: paper.authors,
        categories: paper.categories,
        published,
        updated,
        links: vec![
            (LinkKind::Abstract, paper.url),
            (LinkKind::Pdf, paper.pdf_url),
            (LinkKind::Code, paper.code_url),
        ],
        source: paper.source,
        language: paper.language,
    })
}

fn refused_result(refusal: Refusal) -> SubmissionResult {
    match refusal {
        Refusal::Bad(violations) => SubmissionResult {
            status: SubmissionStatus::Rejected.into(),
            violations: violations
                .into_iter()
                .map(|v| FieldViolation {
                    field: v.field,
                    description: v.description,
                })
                .collect(),
            ..SubmissionResult::default()
        },
        Refusal::Failed(error) => SubmissionResult {
            status: SubmissionStatus::Failed.into(),
            error: error.to_string(),
            ..SubmissionResult::default()
        },
    }
}
