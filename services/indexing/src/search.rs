//! Hybrid search: embeds the query, asks both legs of the store, fuses, and pages over the fused list.
//!
//! Pages are cut from one list of fixed length, so no paper is lost or doubled between them while the catalogue stands
//! still.

use std::sync::Arc;

use common::grpc::ServiceChannel;
use domain::fusion::{self, Fused, Leg};
use domain::{DenseVector, EncoderId, Paper, SparseVector};
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::embedding::v1::{EmbedRequest, TextKind};
use tonic::Status;

use crate::metrics::SEARCH_SECONDS;
use crate::store::{Filter, Query, Store, StoreError};

/// Papers of each leg that take part; also where the pages end.
const CANDIDATES: usize = 200;

/// Searches.
pub struct Search {
    store: Arc<dyn Store>,
    embedding: EmbeddingServiceClient<ServiceChannel>,
    encoder: EncoderId,
    dense_weight: f64,
}

/// A search that failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The query cannot be embedded now.
    #[error("query cannot be embedded: {0}")]
    Embedding(Status),
    /// The embedding service runs another encoder than the index holds.
    #[error("embedding runs encoder {found}, the index holds {expected}")]
    OtherEncoder {
        /// The index's.
        expected: EncoderId,
        /// The service's.
        found: String,
    },
    /// An answer that makes no sense.
    #[error("embedding gave an unsound answer: {0}")]
    Unsound(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One page of results.
pub struct Page {
    /// Papers with their fused scores, best first.
    pub results: Vec<(Paper, Fused)>,
    /// Where the next page begins, when there is one.
    pub next: Option<usize>,
}

impl Search {
    /// Over a store and the embedding service.
    pub fn new(
        store: Arc<dyn Store>,
        embedding: EmbeddingServiceClient<ServiceChannel>,
        encoder: EncoderId,
        dense_weight: f64,
    ) -> Self {
        Self {
            store,
            embedding,
            encoder,
            dense_weight,
        }
    }

    /// One page, beginning at an offset into the fused list.
    pub async fn page(&self, text: String, filter: Filter, offset: usize, size: usize) -> Result<Page, SearchError> {
        let (dense, sparse) = self.embed(text).await?;
        let timer = SEARCH_SECONDS.start_timer();
        let legs = self
            .store
            .search(Query {
                dense,
                sparse,
                filter,
                limit: CANDIDATES,
            })
            .await?;
        timer.observe_duration();
        let fused = fusion::fuse(vec![
            Leg {
                name: "dense",
                weight: self.dense_weight,
                hits: legs.dense,
            },
            Leg {
                name: "sparse",
                weight: 1.0,
                hits: legs.sparse,
            },
        ]);
        let next = (offset + size < fused.len()).then_some(offset + size);
        let page: Vec<Fused> = fused.into_iter().skip(offset).take(size).collect();
        let ids: Vec<_> = page.iter().map(|one| one.id.clone()).collect();
        let papers = self.store.get(&ids).await?;
        Ok(Page {
            results: joined(page, papers),
            next,
        })
    }

    async fn embed(&self, text: String) -> Result<(DenseVector, SparseVector), SearchError> {
        let request = EmbedRequest {
            texts: vec![text],
            kind: TextKind::Query.into(),
            ..EmbedRequest::default()
        };
        let answer = self
            .embedding
            .clone()
            .embed(request)
            .await
            .map_err(SearchError::Embedding)?
            .into_inner();
        if answer.encoder_id != self.encoder.as_str() {
            return Err(SearchError::OtherEncoder {
                expected: self.encoder.clone(),
                found: answer.encoder_id,
            });
        }
        let unsound = |error: &dyn std::fmt::Display| SearchError::Unsound(error.to_string());
        let one = answer
            .embeddings
            .into_iter()
            .next()
            .ok_or_else(|| unsound(&"no embedding"))?;
        let dense = DenseVector::new(one.dense).map_err(|error| unsound(&error))?;
        let sparse = one
            .sparse
            .unwrap_or_default()
            .try_into()
            .map_err(|error: proto::convert::ConvertError| unsound(&error))?;
        Ok((dense, sparse))
    }
}

/// A paper withdrawn between both questions to the store is left out.
fn joined(page: Vec<Fused>, papers: Vec<Paper>) -> Vec<(Paper, Fused)> {
    let mut papers = papers.into_iter().peekable();
    let mut results = Vec::with_capacity(page.len());
    for fused in page {
        if let Some(paper) = papers.next_if(|paper| paper.id == fused.id) {
            results.push((paper, fused));
        }
    }
    results
}
