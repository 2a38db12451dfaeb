//! The catalogue in a Qdrant server, for any number of papers and of processes.
//!
//! One collection per encoder, one point per paper, the whole paper in its payload. Fusion, ties and paging by position
//! are done here or above: the server's own break ties at random and lose papers between pages. Where many papers tie
//! exactly at the end of a leg, which of them are in it is the server's choice.

mod collection;
mod filter;
mod listing;
mod payload;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use domain::fusion::Hit;
use domain::{EncoderId, Paper, PaperId};
use qdrant_client::qdrant::points_update_operation::{Operation, PointStructList};
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, Filter as Conditions, GetPointsBuilder, NamedVectors, PointId, PointStruct,
    PointsUpdateOperation, QuantizationSearchParamsBuilder, QueryBatchPointsBuilder, QueryPoints, QueryPointsBuilder,
    Range, RetrievedPoint, ScoredPoint, SearchParamsBuilder, UpdateBatchPointsBuilder, Vector, VectorInput,
};
use qdrant_client::{Payload, Qdrant, QdrantError};
use tonic::Code;
use uuid::Uuid;

use self::payload::{Entry, Mark, mark_of};
use super::{
    Description, Filter, IndexedPaper, Legs, Position, Query, Store, StoreError, Upserted, by_score, check_dimension,
    check_vectors, collection_name,
};

/// Longest wait for an answer; creating indexes and large batches take their time.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Name of the vector by meaning.
const DENSE: &str = "dense";
/// Name of the vector by words.
const TERMS: &str = "terms";
/// Candidates per wanted hit that are scored again with full vectors after the search over rounded ones.
const OVERSAMPLING: f64 = 2.0;
/// Point ids are UUIDs of this namespace over paper ids. Never changes: it would double every paper.
const NAMESPACE: Uuid = Uuid::from_u128(0x8d0c_6f0e_52a4_4c1b_9f6b_3a27_e1d5_70b4);

/// The store.
pub struct QdrantStore {
    client: Qdrant,
    collection: String,
    encoder: EncoderId,
    dimension: usize,
}

impl QdrantStore {
    /// Checks the server, and makes the encoder's collection where there is none yet.
    ///
    /// `url` is the server's gRPC address, such as `http://127.0.0.1:6334`. [`StoreError::Unavailable`] when the server
    /// does not answer yet; [`StoreError::Unusable`] when an operator must act.
    pub async fn connect(
        url: &str,
        api_key: Option<&str>,
        encoder: &EncoderId,
        dimension: usize,
    ) -> Result<Self, StoreError> {
        let mut settings = Qdrant::from_url(url)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .skip_compatibility_check();
        settings.api_key = api_key.map(str::to_owned);
        let client = settings.build().map_err(|error| StoreError::Unusable {
            place: url.to_owned(),
            problem: error.to_string(),
        })?;
        let store = Self {
            client,
            collection: collection_name(encoder),
            encoder: encoder.clone(),
            dimension,
        };
        store.prepare(url).await?;
        Ok(store)
    }

    /// Writes points that meet no higher revision of themselves; one operation per revision, lowest first, because the
    /// condition belongs to the operation.
    async fn write(&self, points: BTreeMap<i64, Vec<PointStruct>>) -> Result<(), StoreError> {
        let operations = points.into_iter().map(|(revision, points)| {
            let not_newer = Range {
                lte: Some(revision as f64),
                ..Range::default()
            };
            PointsUpdateOperation {
                operation: Some(Operation::Upsert(PointStructList {
                    points,
                    update_filter: Some(Conditions::must([Condition::range(payload::REVISION, not_newer)])),
                    ..PointStructList::default()
                })),
            }
        });
        let request = UpdateBatchPointsBuilder::new(&self.collection, operations.collect::<Vec<_>>()).wait(true);
        self.client.update_points_batch(request).await.map_err(failed)?;
        Ok(())
    }

    /// Which revisions the server holds, withdrawn ones too.
    async fn revisions(&self, ids: &[PaperId]) -> Result<HashMap<String, i64>, StoreError> {
        let mut revisions = HashMap::with_capacity(ids.len());
        for point in self
            .points(ids, payload::only([payload::ID, payload::REVISION]))
            .await?
        {
            let Mark { id, revision } = mark_of(point.payload)?;
            revisions.insert(id, revision);
        }
        Ok(revisions)
    }

    /// Points by paper id in any order.
    async fn points(
        &self,
        ids: &[PaperId],
        fields: impl Into<SelectorOptions> + Send,
    ) -> Result<Vec<RetrievedPoint>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<PointId> = ids.iter().map(point_id).collect();
        let request = GetPointsBuilder::new(&self.collection, ids).with_payload(fields);
        Ok(self.client.get_points(request).await.map_err(failed)?.result)
    }

    async fn count(&self, conditions: Conditions) -> Result<u64, StoreError> {
        let request = CountPointsBuilder::new(&self.collection).filter(conditions).exact(true);
        let counted = self.client.count(request).await.map_err(failed)?.result;
        Ok(counted.map_or(0, |counted| counted.count))
    }

    fn leg(&self, using: &str, vector: VectorInput, query: &Query) -> QueryPoints {
        let quantization = QuantizationSearchParamsBuilder::default()
            .rescore(true)
            .oversampling(OVERSAMPLING);
        QueryPointsBuilder::new(&self.collection)
            .query(vector)
            .using(using)
            .filter(filter::conditions(&query.filter))
            .params(SearchParamsBuilder::default().quantization(quantization))
            .limit(query.limit as u64)
            .with_payload(payload::only([payload::ID]))
            .build()
    }
}

#[async_trait]
impl Store for QdrantStore {
    async fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<Upserted>, StoreError> {
        if papers.is_empty() {
            return Ok(Vec::new());
        }
        let mut points: BTreeMap<i64, Vec<PointStruct>> = BTreeMap::new();
        let mut given = Vec::with_capacity(papers.len());
        for one in &papers {
            check_vectors(&one.vectors, &self.encoder, self.dimension)?;
            let entry = Entry::from(&one.paper);
            let revision = entry.revision;
            let point = PointStruct::new(point_id(&one.paper.id), vectors_of(one), entry.into_payload()?);
            points.entry(revision).or_default().push(point);
            given.push((one.paper.id.clone(), revision));
        }
        self.write(points).await?;
        let ids: Vec<PaperId> = given.iter().map(|(id, _)| id.clone()).collect();
        let held = self.revisions(&ids).await?;
        let outcomes = given.iter().map(|(id, revision)| match held.get(id.as_str()) {
            Some(held) if held > revision => Upserted::Stale,
            // The write was acknowledged; a server that has just restarted may not show it yet.
            _ => Upserted::Written,
        });
        Ok(outcomes.collect())
    }

    async fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError> {
        let revision = payload::stored(revision);
        let mut mark = Payload::new();
        mark.insert(payload::ID, id.as_str());
        mark.insert(payload::REVISION, revision);
        mark.insert(payload::WITHDRAWN, true);
        let point = PointStruct::new(point_id(id), NamedVectors::default(), mark);
        self.write(BTreeMap::from([(revision, vec![point])])).await
    }

    async fn search(&self, query: Query) -> Result<Legs, StoreError> {
        check_dimension(&query.dense, self.dimension)?;
        let (mut requests, mut legs) = (Vec::new(), Legs::default());
        let ask_dense = query.limit > 0 && !query.dense.is_zero();
        if ask_dense {
            let vector = VectorInput::new_dense(query.dense.as_slice().to_vec());
            requests.push(self.leg(DENSE, vector, &query));
        }
        let ask_sparse = query.limit > 0 && !query.sparse.is_empty();
        if ask_sparse {
            let vector = VectorInput::new_sparse(query.sparse.indices().to_vec(), query.sparse.values().to_vec());
            requests.push(self.leg(TERMS, vector, &query));
        }
        if requests.is_empty() {
            return Ok(legs);
        }
        let request = QueryBatchPointsBuilder::new(&self.collection, requests);
        let mut answers = self
            .client
            .query_batch(request)
            .await
            .map_err(failed)?
            .result
            .into_iter();
        let mut next = || hits(answers.next().unwrap_or_default().result);
        if ask_dense {
            legs.dense = next()?;
        }
        if ask_sparse {
            legs.sparse = next()?;
            legs.sparse.retain(|hit| hit.score > 0.0);
        }
        Ok(legs)
    }

    async fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError> {
        let mut found: HashMap<PaperId, Paper> = HashMap::with_capacity(ids.len());
        for point in self.points(ids, true).await? {
            if let Some(paper) = payload::paper_of(point.payload)? {
                found.insert(paper.id.clone(), paper);
            }
        }
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    async fn list(&self, filter: Filter, after: Option<Position>, limit: usize) -> Result<Vec<Paper>, StoreError> {
        let ids = self.newest(&filter, after, limit).await?;
        self.get(&ids).await
    }

    async fn describe(&self) -> Result<Description, StoreError> {
        Ok(Description {
            store: "qdrant",
            collection: self.collection.clone(),
            encoder: self.encoder.clone(),
            dimension: self.dimension,
            papers: self.count(filter::withdrawn(false)).await?,
            withdrawn: self.count(filter::withdrawn(true)).await?,
        })
    }
}

fn point_id(id: &PaperId) -> PointId {
    Uuid::new_v5(&NAMESPACE, id.as_str().as_bytes()).to_string().into()
}

/// A paper without known words has no vector of that kind, so that it is neither found by it nor counted for rarity.
fn vectors_of(one: &IndexedPaper) -> NamedVectors {
    let mut vectors = NamedVectors::default();
    if !one.vectors.dense.is_zero() {
        vectors = vectors.add_vector(DENSE, Vector::new_dense(one.vectors.dense.as_slice().to_vec()));
    }
    if !one.vectors.sparse.is_empty() {
        let (indices, values) = (one.vectors.sparse.indices(), one.vectors.sparse.values());
        vectors = vectors.add_vector(TERMS, Vector::new_sparse(indices.to_vec(), values.to_vec()));
    }
    vectors
}

fn hits(points: Vec<ScoredPoint>) -> Result<Vec<Hit>, StoreError> {
    let mut hits = Vec::with_capacity(points.len());
    for point in points {
        hits.push(Hit {
            id: payload::id_of(point.payload)?,
            score: f64::from(point.score),
        });
    }
    hits.sort_by(by_score);
    Ok(hits)
}

/// Only a refusal of what was sent is the paper's fault; everything else may pass, the server's being full or closed to
/// this key included.
fn failed(error: QdrantError) -> StoreError {
    let (QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. }) = error else {
        return StoreError::Unavailable(error.to_string());
    };
    match status.code() {
        Code::InvalidArgument => StoreError::Refused(status.message().to_owned()),
        code => StoreError::Unavailable(format!("{code}: {}", status.message())),
    }
}
