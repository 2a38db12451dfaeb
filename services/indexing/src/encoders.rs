//! Asks the embedding service for vectors of the encoder a collection belongs to.
//!
//! It keeps nothing and decides nothing: its caller decides whether a search goes on without dense vectors.

use std::fmt::Display;
use std::time::Duration;

use common::clock::Clock;
use common::grpc::ServiceChannel;
use domain::document::document_text;
use domain::{DenseVector, EncoderId, Paper, PaperVectors, bm25, text};
use proto::embedding::v1::embed_result::Outcome;
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::embedding::v1::{
    EmbedBatchRequest, EmbedPriority, EmbedRequest, GetModelRequest, TextEmbedding, TextInput, TextKind, TruncatePolicy,
};
use tonic::{Code, Request, Status};

/// Most tokens of a query for which others wait, as estimated: about three hundred characters. A longer one is embedded with
/// what is left, because whole pages of text in a search box are rare, and many of them would keep everybody waiting.
const MAX_INTERACTIVE_TOKENS: usize = 100;

/// The embedding service.
#[derive(Clone)]
pub struct Encoders {
    client: EmbeddingServiceClient<ServiceChannel>,
    clock: Clock,
    query_timeout: Duration,
}

/// An encoder the service offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderOffer {
    /// Its id.
    pub encoder: EncoderId,
    /// Values in its dense vectors.
    pub dimension: usize,
}

/// Vectors that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum EncodersError {
    /// The service does not answer now; the same call may work later.
    #[error("embedding does not answer: {0}")]
    Unavailable(Status),
    /// It does not offer this encoder.
    #[error("embedding does not offer encoder {0}")]
    NotOffered(EncoderId),
    /// It does not take the text; no retry helps.
    #[error("embedding refuses: {0}")]
    Refused(String),
    /// An answer that makes no sense.
    #[error("embedding gave an unsound answer: {0}")]
    Unsound(String),
}

impl EncodersError {
    /// Whether the same call may work later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl Encoders {
    /// Over a channel to the service. Queries are given up after the timeout.
    pub fn new(channel: ServiceChannel, clock: Clock, query_timeout: Duration) -> Self {
        Self {
            client: EmbeddingServiceClient::new(channel),
            clock,
            query_timeout,
        }
    }

    /// Every encoder that is offered, the one that papers are embedded with first.
    pub async fn offered(&self) -> Result<Vec<EncoderOffer>, EncodersError> {
        let first = self.describe(String::new()).await?;
        let mut offers = Vec::new();
        for id in first.encoder_ids {
            let dimension = if id == first.encoder_id {
                first.dimension
            } else {
                self.describe(id.clone()).await?.dimension
            };
            offers.push(EncoderOffer {
                encoder: EncoderId::parse(&id).map_err(unsound)?,
                dimension: dimension as usize,
            });
        }
        if offers.is_empty() {
            return Err(unsound("it offers no encoder"));
        }
        Ok(offers)
    }

    async fn describe(&self, encoder_id: String) -> Result<proto::embedding::v1::GetModelResponse, EncodersError> {
        let answer = self.client.clone().get_model(GetModelRequest { encoder_id }).await;
        Ok(answer.map_err(EncodersError::Unavailable)?.into_inner())
    }

    /// Dense vectors of queries, in their order. [`EncodersError::Unavailable`] when they cannot be had in time.
    pub async fn queries(&self, encoder: &EncoderId, texts: Vec<String>) -> Result<Vec<DenseVector>, EncodersError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let priority = priority(&texts);
        // The timeout of the request does not count the time to connect.
        let answer = self.embed(encoder, texts, priority, Some(self.query_timeout));
        let answer = self.clock.timeout(self.query_timeout, answer).await;
        answer.unwrap_or_else(|| {
            Err(EncodersError::Unavailable(Status::deadline_exceeded(
                "no answer in time",
            )))
        })
    }

    /// Dense vectors of queries that nobody waits for, in their order.
    pub async fn bulk_queries(
        &self,
        encoder: &EncoderId,
        texts: Vec<String>,
    ) -> Result<Vec<DenseVector>, EncodersError> {
        self.embed(encoder, texts, EmbedPriority::Bulk, None).await
    }

    async fn embed(
        &self,
        encoder: &EncoderId,
        texts: Vec<String>,
        priority: EmbedPriority,
        timeout: Option<Duration>,
    ) -> Result<Vec<DenseVector>, EncodersError> {
        let requested = texts.len();
        let mut request = Request::new(EmbedRequest {
            priority: priority.into(),
            texts,
            kind: TextKind::Query.into(),
            truncate: TruncatePolicy::Report.into(),
            encoder_id: encoder.to_string(),
        });
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        let answer = self.client.clone().embed(request).await;
        let answer = answer.map_err(|status| failed(encoder, status))?.into_inner();
        check(encoder, &answer.encoder_id, requested, answer.embeddings.len())?;
        let dense = |one: TextEmbedding| DenseVector::new(one.dense).map_err(unsound);
        answer.embeddings.into_iter().map(dense).collect()
    }

    /// Vectors of papers, each with its own outcome, in their order.
    pub async fn papers(
        &self,
        encoder: &EncoderId,
        papers: &[&Paper],
    ) -> Result<Vec<Result<PaperVectors, EncodersError>>, EncodersError> {
        if papers.is_empty() {
            return Ok(Vec::new());
        }
        let texts = papers.iter().map(|paper| TextInput {
            content: document_text(paper),
            kind: TextKind::Document.into(),
            truncate: TruncatePolicy::Report.into(),
            priority: EmbedPriority::Bulk.into(),
        });
        let request = EmbedBatchRequest {
            texts: texts.collect(),
            encoder_id: encoder.to_string(),
        };
        let answer = self.client.clone().embed_batch(request).await;
        let answer = answer.map_err(|status| failed(encoder, status))?.into_inner();
        check(encoder, &answer.encoder_id, papers.len(), answer.results.len())?;
        let results = answer
            .results
            .into_iter()
            .zip(papers)
            .map(|(result, paper)| match result.outcome {
                Some(Outcome::Embedding(one)) => vectors(encoder, one, paper),
                Some(Outcome::Error(error)) if error.retry_delay.is_some() => Err(EncodersError::Unavailable(
                    Status::new(Code::from(error.code), error.message),
                )),
                Some(Outcome::Error(error)) => Err(EncodersError::Refused(error.message)),
                None => Err(unsound("a text without an outcome")),
            });
        Ok(results.collect())
    }
}

fn priority(texts: &[String]) -> EmbedPriority {
    let tokens = texts.iter().map(|one| text::estimated_tokens(one.len()));
    if tokens.sum::<usize>() > MAX_INTERACTIVE_TOKENS {
        EmbedPriority::BestEffort
    } else {
        EmbedPriority::Interactive
    }
}

/// Term weights are computed here, because the service does not know which part of the text is the title.
fn vectors(encoder: &EncoderId, one: TextEmbedding, paper: &Paper) -> Result<PaperVectors, EncodersError> {
    Ok(PaperVectors {
        encoder: encoder.clone(),
        dense: DenseVector::new(one.dense).map_err(unsound)?,
        sparse: bm25::paper_vector(&paper.title, &document_text(paper)).map_err(unsound)?,
        truncated: one.truncated,
    })
}

fn check(encoder: &EncoderId, found: &str, requested: usize, given: usize) -> Result<(), EncodersError> {
    if found != encoder.as_str() {
        return Err(unsound(format!("vectors of {found} instead of {encoder}")));
    }
    if requested != given {
        return Err(unsound(format!("{given} answers to {requested} texts")));
    }
    Ok(())
}

fn failed(encoder: &EncoderId, status: Status) -> EncodersError {
    match status.code() {
        Code::NotFound => EncodersError::NotOffered(encoder.clone()),
        Code::InvalidArgument => EncodersError::Refused(status.message().to_owned()),
        _ => EncodersError::Unavailable(status),
    }
}

fn unsound(problem: impl Display) -> EncodersError {
    EncodersError::Unsound(problem.to_string())
}
