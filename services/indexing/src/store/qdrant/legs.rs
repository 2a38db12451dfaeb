//! Asks the vectors: every probe of a query in one call, and once more where papers tie at the end of a list.
//!
//! The server breaks ties in its own way, so those at the end of a list are read in full, up to [`TIES`] of them, and the
//! first by id are kept. Which papers of a longer tie are in the list is the server's choice.

use domain::fusion::Hit;
use qdrant_client::qdrant::{
    Filter as Conditions, QuantizationSearchParamsBuilder, QueryBatchPointsBuilder, QueryPoints, QueryPointsBuilder,
    ScoredPoint, SearchParamsBuilder, VectorInput,
};

use super::{DENSE, QdrantStore, TERMS, filter, payload};
use crate::store::{Probe, Query, StoreError, by_score, check_dimension};

/// Most papers of a tie that are read to find the first by id.
const TIES: usize = 1_000;

/// A probe that can find something.
struct Leg {
    /// Its place in the answer.
    place: usize,
    vector: &'static str,
    input: VectorInput,
}

impl QdrantStore {
    pub(super) async fn find(&self, query: &Query) -> Result<Vec<Vec<Hit>>, StoreError> {
        let legs = self.legs(&query.probes)?;
        let mut found = vec![Vec::new(); query.probes.len()];
        let Some(conditions) = filter::conditions(&query.filter) else {
            return Ok(found);
        };
        if query.limit == 0 {
            return Ok(found);
        }
        // One more than wanted shows a tie at the end.
        let mut tied = Vec::new();
        for (leg, hits) in self.ask_all(legs, &conditions, query.limit + 1).await? {
            if ties_at(&hits, query.limit) {
                tied.push(leg);
            } else {
                found[leg.place] = hits;
            }
        }
        for (leg, hits) in self.ask_all(tied, &conditions, query.limit + TIES).await? {
            found[leg.place] = hits;
        }
        for hits in &mut found {
            hits.sort_by(by_score);
            hits.truncate(query.limit);
        }
        Ok(found)
    }

    fn legs(&self, probes: &[Probe]) -> Result<Vec<Leg>, StoreError> {
        let mut legs = Vec::with_capacity(probes.len());
        for (place, probe) in probes.iter().enumerate() {
            let (vector, input) = match probe {
                Probe::Dense(dense) => {
                    check_dimension(dense, self.dimension)?;
                    if dense.is_zero() {
                        continue;
                    }
                    (DENSE, VectorInput::new_dense(dense.as_slice().to_vec()))
                }
                Probe::Sparse(sparse) => {
                    if sparse.is_empty() {
                        continue;
                    }
                    let (indices, values) = (sparse.indices().to_vec(), sparse.values().to_vec());
                    (TERMS, VectorInput::new_sparse(indices, values))
                }
            };
            legs.push(Leg { place, vector, input });
        }
        Ok(legs)
    }

    /// Hits of each leg, best first.
    async fn ask_all(
        &self,
        legs: Vec<Leg>,
        conditions: &Conditions,
        limit: usize,
    ) -> Result<Vec<(Leg, Vec<Hit>)>, StoreError> {
        if legs.is_empty() {
            return Ok(Vec::new());
        }
        let requests: Vec<QueryPoints> = legs.iter().map(|leg| self.request(leg, conditions, limit)).collect();
        let request = QueryBatchPointsBuilder::new(&self.collection, requests)
            .timeout(self.server.seconds())
            .build();
        let answer = self
            .server
            .ask(|| self.server.reader().query_batch(request.clone()))
            .await?;
        let mut answers = answer.result.into_iter();
        let mut found = Vec::with_capacity(legs.len());
        for leg in legs {
            let points = answers.next().unwrap_or_default().result;
            let hits = hits(points, leg.vector)?;
            found.push((leg, hits));
        }
        Ok(found)
    }

    fn request(&self, leg: &Leg, conditions: &Conditions, limit: usize) -> QueryPoints {
        let mut params = SearchParamsBuilder::default();
        if leg.vector == DENSE {
            let again = QuantizationSearchParamsBuilder::default()
                .rescore(true)
                .oversampling(self.settings.oversampling);
            params = params.quantization(again);
            if self.settings.hnsw_ef > 0 {
                params = params.hnsw_ef(self.settings.hnsw_ef);
            }
        }
        QueryPointsBuilder::new(&self.collection)
            .query(leg.input.clone())
            .using(leg.vector)
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
