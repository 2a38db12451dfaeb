//! Example papers that are not in the window: their texts from the index, their vectors from the embedding service.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use common::grpc::{ServiceChannel, channel};
use domain::document::document_text;
use domain::{DenseVector, EncoderId, Paper, PaperId};
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::embedding::v1::{EmbedRequest, TextKind};
use proto::search::v1::BatchGetPapersRequest;
use proto::search::v1::search_service_client::SearchServiceClient;
use tonic::Status;

use super::Examples;

/// Most papers of one question, and most texts of one call.
const AT_ONCE: usize = 256;
/// The most of a text that is sent to be embedded, in bytes.
const TEXT_BYTES: usize = 32_768;

/// The index and the embedding service.
pub struct Catalogue {
    search: SearchServiceClient<ServiceChannel>,
    embedding: EmbeddingServiceClient<ServiceChannel>,
}

impl Catalogue {
    /// At these addresses.
    pub fn new(search: &str, embedding: &str, token: Option<&str>) -> Result<Self, String> {
        let to = |url: &str| channel(url, token).map_err(|error| error.to_string());
        Ok(Self {
            search: SearchServiceClient::new(to(search)?),
            embedding: EmbeddingServiceClient::new(to(embedding)?),
        })
    }

    async fn papers(&self, ids: &[PaperId]) -> Result<Vec<Paper>, String> {
        let request = BatchGetPapersRequest {
            paper_ids: ids.iter().map(ToString::to_string).collect(),
        };
        let answer = self.search.clone().batch_get_papers(request).await.map_err(said)?;
        let papers = answer.into_inner().papers.into_iter().map(Paper::try_from);
        papers.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    async fn embed(&self, papers: &[Paper], encoder: &EncoderId) -> Result<Vec<DenseVector>, String> {
        let request = EmbedRequest {
            texts: papers.iter().map(|paper| cut(document_text(paper))).collect(),
            kind: TextKind::Document.into(),
            encoder_id: encoder.to_string(),
            ..EmbedRequest::default()
        };
        let answer = self.embedding.clone().embed(request).await.map_err(said)?.into_inner();
        let vectors = answer.embeddings.into_iter().map(|one| DenseVector::new(one.dense));
        vectors.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Examples for Catalogue {
    async fn known(&self, ids: &[PaperId]) -> Result<HashSet<PaperId>, String> {
        let mut known = HashSet::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            known.extend(self.papers(ids).await?.into_iter().map(|paper| paper.id));
        }
        Ok(known)
    }

    async fn vectors(&self, ids: &[PaperId], encoder: &EncoderId) -> Result<HashMap<PaperId, DenseVector>, String> {
        let mut found = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let papers = self.papers(ids).await?;
            if papers.is_empty() {
                continue;
            }
            let vectors = self.embed(&papers, encoder).await?;
            found.extend(papers.into_iter().map(|paper| paper.id).zip(vectors));
        }
        Ok(found)
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
    text
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(status: Status) -> String {
    status.message().to_owned()
}
