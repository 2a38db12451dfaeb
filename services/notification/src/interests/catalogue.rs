//! Example papers that are not in the window: their texts from the index, their vectors from the embedding service.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use common::config::CallerConfig;
use common::grpc::{ServiceChannel, connect};
use domain::document::document_text;
use domain::{DenseVector, EncoderId, Paper, PaperId};
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::embedding::v1::{EmbedPriority, EmbedRequest, TextKind};
use proto::search::v1::BatchGetPapersRequest;
use proto::search::v1::search_service_client::SearchServiceClient;
use tonic::Status;

use super::embedding::{failure, texts_per_call};
use super::{EmbedFailure, ExampleSource};

/// Papers of one request, at most.
const BATCH: usize = 256;
/// The longest text that is embedded, in bytes.
const MAX_TEXT_BYTES: usize = 32_768;

/// The papers of the index.
pub struct IndexedExamples {
    search: SearchServiceClient<ServiceChannel>,
    embedding: EmbeddingServiceClient<ServiceChannel>,
}

impl IndexedExamples {
    /// With the index and the embedding service at these addresses.
    pub fn new(search: &str, embedding: &str, caller: &CallerConfig) -> Result<Self, String> {
        let to = |url: &str| connect(url, caller).map_err(|error| error.to_string());
        Ok(Self {
            search: SearchServiceClient::new(to(search)?),
            embedding: EmbeddingServiceClient::new(to(embedding)?),
        })
    }

    async fn papers(&self, ids: &[PaperId]) -> Result<Vec<Paper>, String> {
        let request = BatchGetPapersRequest {
            paper_ids: ids.iter().map(ToString::to_string).collect(),
        };
        let response = self.search.clone().batch_get_papers(request).await.map_err(message)?;
        let papers = response.into_inner().papers.into_iter().map(Paper::try_from);
        papers.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    async fn embed(
        &self,
        papers: &[Paper],
        encoder: &EncoderId,
        priority: EmbedPriority,
    ) -> Result<Vec<DenseVector>, EmbedFailure> {
        let request = EmbedRequest {
            texts: papers.iter().map(|paper| truncated(document_text(paper))).collect(),
            kind: TextKind::Document.into(),
            encoder_id: encoder.to_string(),
            priority: priority.into(),
            ..EmbedRequest::default()
        };
        let response = self.embedding.clone().embed(request).await.map_err(failure)?;
        let embeddings = response.into_inner().embeddings;
        if embeddings.len() != papers.len() {
            return Err(format!("{} vectors for {} papers", embeddings.len(), papers.len()).into());
        }
        let vectors: Result<_, _> = embeddings.into_iter().map(|one| DenseVector::new(one.dense)).collect();
        Ok(vectors.map_err(|error| error.to_string())?)
    }
}

#[async_trait]
impl ExampleSource for IndexedExamples {
    async fn known(&self, ids: &[PaperId]) -> Result<HashSet<PaperId>, String> {
        let mut known = HashSet::with_capacity(ids.len());
        for ids in ids.chunks(BATCH) {
            known.extend(self.papers(ids).await?.into_iter().map(|paper| paper.id));
        }
        Ok(known)
    }

    async fn vectors(
        &self,
        ids: &[PaperId],
        encoder: &EncoderId,
        priority: EmbedPriority,
    ) -> Result<HashMap<PaperId, DenseVector>, EmbedFailure> {
        let mut found = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(texts_per_call(priority)) {
            let papers = self.papers(ids).await?;
            if papers.is_empty() {
                continue;
            }
            let vectors = self.embed(&papers, encoder, priority).await?;
            found.extend(papers.into_iter().map(|paper| paper.id).zip(vectors));
        }
        Ok(found)
    }
}

fn truncated(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn message(status: Status) -> String {
    status.message().to_owned()
}
