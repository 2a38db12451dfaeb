//! IngestService: from the wire to the registry and back. One invalid paper never ends a stream.

use std::pin::Pin;
use std::sync::Arc;

use common::status;
use domain::{AuthorName, LinkKind, PaperId, Submission, Violation, names, submission};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use proto::convert::from_wire_time;
use proto::ingest::v1::ingest_service_server::IngestService;
use proto::ingest::v1::{
    AcceptedPaper, FieldViolation, ListAcceptedPapersRequest, ListAcceptedPapersResponse, PaperSubmission,
    ResendOutcome, ResendPapersRequest, ResendPapersResponse, ResendResult, SubmissionResult, SubmissionStatus,
    SubmitPaperRequest, SubmitPaperResponse, SubmitPapersRequest, SubmitPapersResponse, WithdrawPaperRequest,
    WithdrawPaperResponse,
};
use proto::papers::v1::Author;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument as _, info_span};

use crate::metrics::PAPERS;
use crate::registry::{Registry, RegistryError, RepublishResult, Verdict};

const MAX_REASON_CHARS: usize = 1_000;
const DEFAULT_PAGE_SIZE: usize = 1_000;
const MAX_PAGE_SIZE: usize = 10_000;
const MAX_RESENT: usize = 1_000;

/// The service.
pub struct IngestApi {
    registry: Arc<Registry>,
    concurrency: usize,
}

/// Why a paper was not submitted.
enum SubmissionFailure {
    Invalid(Vec<Violation>),
    Unavailable(RegistryError),
}

impl IngestApi {
    /// Over a registry.
    pub fn new(registry: Arc<Registry>, concurrency: usize) -> Self {
        Self { registry, concurrency }
    }
}

#[tonic::async_trait]
impl IngestService for IngestApi {
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
            Err(SubmissionFailure::Invalid(violations)) => Err(status::invalid_fields(
                violations
                    .into_iter()
                    .map(|v| (format!("paper.{}", v.field), v.description)),
            )),
            Err(SubmissionFailure::Unavailable(error)) => Err(error.to_status()),
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
                let result = submitted.unwrap_or_else(failure_result);
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
        let id = parse_paper_id("paper_id", &paper_id)?;
        let length = reason.chars().count();
        if length > MAX_REASON_CHARS {
            let description = format!("has {length} characters; at most {MAX_REASON_CHARS} are allowed");
            return Err(status::invalid("reason", description));
        }
        let withdrawn = self.registry.withdraw(id, &domain::text::one_line(&reason)).await;
        let (id, revision) = withdrawn
            .map_err(|error| error.to_status())?
            .ok_or_else(|| status::not_found("paper", &paper_id))?;
        PAPERS.with_label_values(&["withdrawn"]).inc();
        Ok(Response::new(WithdrawPaperResponse {
            paper_id: id.to_string(),
            revision,
        }))
    }

    async fn list_accepted_papers(
        &self,
        request: Request<ListAcceptedPapersRequest>,
    ) -> Result<Response<ListAcceptedPapersResponse>, Status> {
        let ListAcceptedPapersRequest { page_size, page_token } = request.into_inner();
        let size = status::page_size(page_size, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)?;
        let after = match page_token.as_str() {
            "" => 0,
            token => token
                .parse::<u64>()
                .ok()
                .filter(|after| *after < u64::MAX)
                .ok_or_else(|| {
                    let shown = domain::text::shorten(token);
                    status::invalid(
                        "page_token",
                        format!("is {shown:?}, which is not one that a response gave"),
                    )
                })?,
        };
        let page = self
            .registry
            .page(after, size)
            .await
            .map_err(|error| error.to_status())?;
        let papers = page.records.into_iter().map(|record| AcceptedPaper {
            paper_id: record.id,
            revision: record.revision,
            withdrawn: record.withdrawn,
        });
        Ok(Response::new(ListAcceptedPapersResponse {
            papers: papers.collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn resend_papers(
        &self,
        request: Request<ResendPapersRequest>,
    ) -> Result<Response<ResendPapersResponse>, Status> {
        let paper_ids = request.into_inner().paper_ids;
        if !(1..=MAX_RESENT).contains(&paper_ids.len()) {
            let description = format!("has {} entries; 1 to {MAX_RESENT} are allowed", paper_ids.len());
            return Err(status::invalid("paper_ids", description));
        }
        let mut ids = Vec::with_capacity(paper_ids.len());
        for (index, paper_id) in paper_ids.into_iter().enumerate() {
            let id = parse_paper_id(&format!("paper_ids[{index}]"), &paper_id)?;
            ids.push((paper_id, id));
        }
        let results = stream::iter(ids).map(async |(paper_id, id)| {
            let republished = self.registry.republish(&id).await?;
            Ok::<_, RegistryError>(resend_result(paper_id, republished))
        });
        let results = results.buffered(self.concurrency).try_collect().await;
        Ok(Response::new(ResendPapersResponse {
            results: results.map_err(|error: RegistryError| error.to_status())?,
        }))
    }
}

/// A canonical id, or any id as a submitter would write it.
fn parse_paper_id(field: &str, text: &str) -> Result<PaperId, Status> {
    let text = text.trim();
    PaperId::parse(text)
        .or_else(|_| PaperId::from_submission(text, submission::DEFAULT_SOURCE))
        .map_err(|error| status::invalid(field, error.to_string()))
}

fn resend_result(paper_id: String, republished: RepublishResult) -> ResendResult {
    let (outcome, revision) = match republished {
        RepublishResult::Sent { revision } => (ResendOutcome::Sent, revision),
        RepublishResult::Unknown => (ResendOutcome::Unknown, 0),
        RepublishResult::Gone { revision } => (ResendOutcome::Gone, revision),
    };
    let counted = match outcome {
        ResendOutcome::Sent => "resent",
        _ => "not_resent",
    };
    PAPERS.with_label_values(&[counted]).inc();
    ResendResult {
        paper_id,
        outcome: outcome.into(),
        revision,
    }
}

async fn submit(registry: &Registry, paper: PaperSubmission) -> Result<SubmissionResult, SubmissionFailure> {
    let outcome = |name: &str| PAPERS.with_label_values(&[name]).inc();
    let paper = parse(paper)
        .and_then(|submission| submission.into_paper(registry.clock().now()))
        .map_err(|violations| {
            outcome("rejected");
            SubmissionFailure::Invalid(violations)
        })?;
    let decision = registry.submit(paper).await.map_err(|error| {
        outcome("failed");
        SubmissionFailure::Unavailable(error)
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
        authors: authors(&paper.authors, &paper.author_names),
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

/// The names in parts where there are any, else those found in texts.
fn authors(texts: &[String], parts: &[Author]) -> Vec<AuthorName> {
    if parts.is_empty() {
        let texts = texts.iter().filter(|text| !names::stands_for_others(text));
        texts.map(|text| AuthorName::parse(text)).collect()
    } else {
        parts.iter().map(AuthorName::from).collect()
    }
}

fn failure_result(failure: SubmissionFailure) -> SubmissionResult {
    match failure {
        SubmissionFailure::Invalid(violations) => SubmissionResult {
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
        SubmissionFailure::Unavailable(error) => SubmissionResult {
            status: SubmissionStatus::Failed.into(),
            error: error.to_string(),
            ..SubmissionResult::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::registry::tests::RegistryFixture;

    #[test]
    fn names_in_parts_go_before_texts() {
        let texts = ["Gómez Ruiz, Ana".to_owned(), "et al.".to_owned()];
        let found = authors(&texts, &[]);
        assert_eq!(found, [AuthorName::new("Ana", "Gómez Ruiz", "")]);
        let parts = [Author::from(&AuthorName::literal("Harbour, Sea and Land"))];
        assert_eq!(authors(&texts, &parts), [AuthorName::literal("Harbour, Sea and Land")]);
        assert_eq!(
            authors(&[" ".to_owned()], &[]).len(),
            1,
            "an empty name is for the check to refuse"
        );
    }

    #[tokio::test]
    async fn accepted_papers_are_listed_page_by_page_and_sent_again() {
        let fixture = RegistryFixture::start().await;
        for number in 0..3 {
            fixture.submit(&number.to_string(), &format!("Paper {number}")).await;
        }
        let service = IngestApi::new(Arc::new(Registry::open(&fixture.bus).await.expect("a registry")), 4);
        let page_of = async |page_size: i32, page_token: &str| {
            let page_token = page_token.to_owned();
            let request = ListAcceptedPapersRequest { page_size, page_token };
            service.list_accepted_papers(Request::new(request)).await
        };
        let ids = |page: &ListAcceptedPapersResponse| -> Vec<String> {
            page.papers.iter().map(|paper| paper.paper_id.clone()).collect()
        };
        let first = page_of(2, "").await.expect("a page").into_inner();
        assert_eq!(ids(&first), ["test:0", "test:1"]);
        let last = page_of(2, &first.next_page_token).await.expect("a page").into_inner();
        assert_eq!(
            (ids(&last), last.next_page_token.as_str()),
            (vec!["test:2".to_owned()], "")
        );
        for (size, token, field) in [(10_001, "", "page_size"), (-1, "", "page_size"), (0, "x", "page_token")] {
            let refusal = page_of(size, token).await.expect_err("a refusal");
            assert_eq!(status::blamed_field(&refusal).as_deref(), Some(field));
        }

        let resend = async |paper_ids: &[&str]| {
            let paper_ids = paper_ids.iter().map(|id| (*id).to_owned()).collect();
            service
                .resend_papers(Request::new(ResendPapersRequest { paper_ids }))
                .await
        };
        let results = resend(&["test:2", "arxiv:2402.14776", "test:0"])
            .await
            .expect("results");
        let outcomes: Vec<ResendOutcome> = results.into_inner().results.iter().map(ResendResult::outcome).collect();
        let expected = [ResendOutcome::Sent, ResendOutcome::Unknown, ResendOutcome::Sent];
        assert_eq!(outcomes, expected);
        let many = vec!["test:1"; MAX_RESENT + 1];
        for (wrong, field) in [
            (&[][..], "paper_ids"),
            (&many[..], "paper_ids"),
            (&["test:1", "a b"][..], "paper_ids[1]"),
        ] {
            let refusal = resend(wrong).await.expect_err("a refusal");
            assert_eq!(refusal.code(), Code::InvalidArgument);
            assert_eq!(status::blamed_field(&refusal).as_deref(), Some(field));
        }
        fixture.stop().await;
    }
}
