//! Searches the vectors: all leg queries in one call, and again those whose hits tie where the list is cut.
//!
//! The server breaks ties in its own way, so a tie at the cut is read in full, up to [`TIES`] papers, and the first by id are
//! kept. Which papers of a longer tie are in the list is the server's choice.

use std::collections::BTreeMap;

use domain::fusion::Hit;
use qdrant_client::qdrant::{
    Filter as Conditions, QuantizationSearchParamsBuilder, QueryBatchPointsBuilder, QueryPoints, QueryPointsBuilder,
    ScoredPoint, SearchParamsBuilder, VectorInput,
};

use super::{DENSE, QdrantStore, TERMS, filter, payload};
use crate::store::{LegHits, LegKey, LegQuery, StoreError, StoreQuery, by_score, check_dimension};

/// Most papers of a tie that are read to find the first by id.
const TIES: usize = 1_000;

/// A leg query that can find something, as the server takes it.
struct VectorQuery {
    key: LegKey,
    vector: &'static str,
    input: VectorInput,
}

impl QdrantStore {
    pub(super) async fn find(&self, query: &StoreQuery) -> Result<LegHits, StoreError> {
        let queries = self.vector_queries(&query.legs)?;
        let mut found: LegHits = query.legs.keys().map(|key| (*key, Vec::new())).collect();
        let Some(conditions) = filter::conditions(&query.filter) else {
            return Ok(found);
        };
        if query.limit == 0 {
            return Ok(found);
        }
        // One more than wanted shows a tie at the cut.
        let mut tied = Vec::new();
        for (vector_query, hits) in self.ask_all(queries, &conditions, query.limit + 1).await? {
            if ties_at(&hits, query.limit) {
                tied.push(vector_query);
            } else {
                found.insert(vector_query.key, hits);
            }
        }
        for (vector_query, hits) in self.ask_all(tied, &conditions, query.limit + TIES).await? {
            found.insert(vector_query.key, hits);
        }
        for hits in found.values_mut() {
            hits.sort_by(by_score);
            hits.truncate(query.limit);
        }
        Ok(found)
    }

    fn vector_queries(&self, legs: &BTreeMap<LegKey, LegQuery>) -> Result<Vec<VectorQuery>, StoreError> {
        let mut queries = Vec::with_capacity(legs.len());
        for (key, leg) in legs {
            let (vector, input) = match leg {
                LegQuery::Dense(dense) => {
                    check_dimension(dense, self.dimension)?;
                    if dense.is_zero() {
                        continue;
                    }
                    (DENSE, VectorInput::new_dense(dense.as_slice().to_vec()))
                }
                LegQuery::Sparse(sparse) => {
                    if sparse.is_empty() {
                        continue;
                    }
                    let (indices, values) = (sparse.indices().to_vec(), sparse.values().to_vec());
                    (TERMS, VectorInput::new_sparse(indices, values))
                }
            };
            queries.push(VectorQuery {
                key: *key,
                vector,
                input,
            });
        }
        Ok(queries)
    }

    /// Hits of each query, best first. The server answers in the order of the queries; fewer or more answers are an error,
    /// because they could not be told apart.
    async fn ask_all(
        &self,
        queries: Vec<VectorQuery>,
        conditions: &Conditions,
        limit: usize,
    ) -> Result<Vec<(VectorQuery, Vec<Hit>)>, StoreError> {
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        let requests = queries.iter().map(|query| self.request(query, conditions, limit));
        let request = QueryBatchPointsBuilder::new(&self.collection, requests.collect::<Vec<QueryPoints>>())
            .timeout(self.server.seconds())
            .build();
        let answer = self
            .server
            .ask(|| self.server.reader().query_batch(request.clone()))
            .await?;
        if answer.result.len() != queries.len() {
            return Err(StoreError::Unavailable(format!(
                "{} answers to {} queries",
                answer.result.len(),
                queries.len()
            )));
        }
        let mut found = Vec::with_capacity(queries.len());
        for (query, batch) in queries.into_iter().zip(answer.result) {
            let hits = hits(batch.result, query.vector)?;
            found.push((query, hits));
        }
        Ok(found)
    }

    fn request(&self, query: &VectorQuery, conditions: &Conditions, limit: usize) -> QueryPoints {
        let mut params = SearchParamsBuilder::default();
        if query.vector == DENSE {
            let rescoring = QuantizationSearchParamsBuilder::default()
                .rescore(true)
                .oversampling(self.settings.oversampling);
            params = params.quantization(rescoring);
            if self.settings.hnsw_ef > 0 {
                params = params.hnsw_ef(self.settings.hnsw_ef);
            }
        }
        QueryPointsBuilder::new(&self.collection)
            .query(query.input.clone())
            .using(query.vector)
            .filter(conditions.clone())
            .params(params)
            .limit(limit as u64)
            .with_payload(payload::only([payload::ID]))
            .build()
    }
}

fn hits(points: Vec<ScoredPoint>, vector: &str) -> Result<Vec<Hit>, StoreError> {
    let mut hits = Vec::with_capacity(points.len());
    for point in points {
        let score = f64::from(point.score);
        if vector == TERMS && score <= 0.0 {
            continue;
        }
        hits.push(Hit {
            id: payload::id_of(point.payload)?,
            score,
        });
    }
    Ok(hits)
}

fn ties_at(hits: &[Hit], limit: usize) -> bool {
    match (hits.get(limit - 1), hits.get(limit)) {
        (Some(last), Some(next)) => last.score.total_cmp(&next.score).is_eq(),
        _ => false,
    }
}
