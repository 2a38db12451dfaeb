//! The catalogue in a Qdrant server, for any number of papers and of processes.
//!
//! One collection per encoder, one point per paper, the whole paper in its payload. Fusion, ties and paging by position are
//! done here or by the caller, because the server breaks ties at random and loses papers between pages. Every wait for the
//! server has an end, and no point is ever deleted: a withdrawn paper leaves a tombstone.
//!
//! The metadata of a collection says which encoder its vectors belong to and which fields its points have; collections
//! without it are never touched. Aliases switch atomically on the server. Equal scores at the end of a leg are read in full
//! (up to 1,000) and cut by id, because the server breaks ties differently; counts and facets are exact. A query ends within
//! `indexing.qdrant_timeout_seconds`, a write within three times that, whatever the server does.

mod client;
mod collection;
mod collections;
mod facets;
mod filter;
mod listing;
mod payload;
mod points;
mod scan;
mod search;
mod server;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use domain::{DenseVector, EncoderId, Paper, PaperId};
use qdrant_client::Payload;
use qdrant_client::qdrant::points_update_operation::{Operation, PointStructList};
use qdrant_client::qdrant::{
    Condition, Filter as Conditions, GetPointsBuilder, NamedVectors, PointId, PointStruct, PointsUpdateOperation,
    Range, RetrievedPoint, UpdateBatchPointsBuilder, VectorsSelector,
};

pub use self::client::QdrantAccess;
pub use self::collections::QdrantCollections;
use self::payload::PaperPayload;
use self::points::{point_id, vectors_of};
use self::server::QdrantServer;
pub use self::settings::{Hnsw, QdrantSettings, Quantization, Residence};
use super::{
    CollectionDescription, Count, Facet, FacetCount, Filter, IndexedPaper, LegHits, ListPosition, PaperRevision,
    ScanPage, Store, StoreEntry, StoreError, StoreQuery, UpsertOutcome, check_vectors,
};

/// Name of the adapter.
const ADAPTER: &str = "qdrant";
/// Name of the dense vector.
const DENSE: &str = "dense";
/// Name of the sparse vector.
const TERMS: &str = "terms";

/// Most papers in one write: a few megabytes. So few in tests that some need several writes.
const WRITE_BATCH: usize = if cfg!(test) { 64 } else { 500 };

/// The collection of an encoder.
pub struct QdrantStore {
    server: Arc<QdrantServer>,
    settings: QdrantSettings,
    collection: String,
    encoder: EncoderId,
    dimension: usize,
}

impl QdrantStore {
    /// Writes points unless the server has a higher revision of them; one operation per revision, lowest first, because the
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
        self.server
            .write(self.server.writer().update_points_batch(request))
            .await?;
        Ok(())
    }

    /// A request for points by paper id, to be completed with what is wanted of them.
    fn points(&self, ids: &[PaperId]) -> GetPointsBuilder {
        let ids: Vec<PointId> = ids.iter().map(point_id).collect();
        GetPointsBuilder::new(&self.collection, ids).timeout(self.server.seconds())
    }

    /// What `read` makes of the points of papers, in the order of the ids; points of which it makes nothing are left out.
    async fn in_order<T: Clone>(
        &self,
        ids: &[PaperId],
        request: GetPointsBuilder,
        read: impl Fn(RetrievedPoint) -> Result<Option<(PaperId, T)>, StoreError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let request = request.build();
        let answer = self
            .server
            .ask(|| self.server.reader().get_points(request.clone()))
            .await?;
        let mut found: HashMap<PaperId, T> = HashMap::with_capacity(ids.len());
        for point in answer.result {
            found.extend(read(point)?);
        }
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }
}

#[async_trait]
impl Store for QdrantStore {
    async fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<UpsertOutcome>, StoreError> {
        for one in &papers {
            check_vectors(&one.vectors, &self.encoder, self.dimension)?;
        }
        for some in papers.chunks(WRITE_BATCH) {
            let mut points: BTreeMap<i64, Vec<PointStruct>> = BTreeMap::new();
            for one in some {
                let entry = PaperPayload::from(one);
                let revision = entry.revision;
                let point = PointStruct::new(point_id(&one.paper.id), vectors_of(one), entry.into_payload()?);
                points.entry(revision).or_default().push(point);
            }
            self.write(points).await?;
        }
        let given: Vec<PaperId> = papers.iter().map(|one| one.paper.id.clone()).collect();
        let held: HashMap<PaperId, u64> = self
            .revisions_of(&given)
            .await?
            .into_iter()
            .map(|one| (one.id, one.revision))
            .collect();
        let outcomes = papers.iter().map(|one| match held.get(&one.paper.id) {
            Some(held) if *held > one.paper.revision => UpsertOutcome::Stale,
            // The write was acknowledged; a server that has just restarted may not show it yet.
            _ => UpsertOutcome::Written,
        });
        Ok(outcomes.collect())
    }

    async fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError> {
        let revision = payload::stored(revision);
        let mut tombstone = Payload::new();
        tombstone.insert(payload::ID, id.as_str());
        tombstone.insert(payload::REVISION, revision);
        tombstone.insert(payload::WITHDRAWN, true);
        let point = PointStruct::new(point_id(id), NamedVectors::default(), tombstone);
        self.write(BTreeMap::from([(revision, vec![point])])).await
    }

    async fn search(&self, query: StoreQuery) -> Result<LegHits, StoreError> {
        self.find(&query).await
    }

    async fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError> {
        let request = self.points(ids).with_payload(payload::paper_fields());
        self.in_order(ids, request, |point| {
            let paper = payload::paper_of(point.payload)?;
            Ok(paper.map(|(paper, _)| (paper.id.clone(), paper)))
        })
        .await
    }

    async fn get_with_vectors(&self, ids: &[PaperId]) -> Result<Vec<IndexedPaper>, StoreError> {
        let request = self
            .points(ids)
            .with_payload(payload::paper_fields())
            .with_vectors(true);
        self.in_order(ids, request, |point| {
            let one = points::indexed_of(point, &self.encoder, self.dimension)?;
            Ok(one.map(|one| (one.paper.id.clone(), one)))
        })
        .await
    }

    async fn dense_vectors(&self, ids: &[PaperId]) -> Result<Vec<(PaperId, DenseVector)>, StoreError> {
        let request = self
            .points(ids)
            .with_payload(payload::revision_fields())
            .with_vectors(VectorsSelector {
                names: vec![DENSE.to_owned()],
            });
        self.in_order(ids, request, |point| {
            let one = payload::revision_of(point.payload)?;
            if one.withdrawn {
                return Ok(None);
            }
            let dense = points::dense_of(point.vectors.as_ref(), &one.id, self.dimension)?;
            Ok(Some((one.id.clone(), (one.id, dense))))
        })
        .await
    }

    async fn revisions_of(&self, ids: &[PaperId]) -> Result<Vec<PaperRevision>, StoreError> {
        let request = self.points(ids).with_payload(payload::revision_fields());
        self.in_order(ids, request, |point| {
            let one = payload::revision_of(point.payload)?;
            Ok(Some((one.id.clone(), one)))
        })
        .await
    }

    async fn list(&self, filter: Filter, after: Option<ListPosition>, limit: usize) -> Result<Vec<Paper>, StoreError> {
        let ids = self.newest(&filter, after, limit).await?;
        self.get(&ids).await
    }

    async fn count(&self, filter: Filter) -> Result<Count, StoreError> {
        let papers = match filter::conditions(&filter) {
            Some(conditions) => self.counted(conditions).await?,
            None => 0,
        };
        Ok(Count { papers, exact: true })
    }

    async fn facet(&self, filter: Filter, facet: Facet, limit: usize) -> Result<Vec<FacetCount>, StoreError> {
        match filter::conditions(&filter) {
            Some(conditions) => self.values(conditions, facet, limit).await,
            None => Ok(Vec::new()),
        }
    }

    async fn scan(&self, after: Option<String>, limit: usize) -> Result<ScanPage<StoreEntry>, StoreError> {
        self.entries(after.as_deref(), limit).await
    }

    async fn revisions(&self, after: Option<String>, limit: usize) -> Result<ScanPage<PaperRevision>, StoreError> {
        self.all_revisions(after.as_deref(), limit).await
    }

    async fn describe(&self) -> Result<CollectionDescription, StoreError> {
        Ok(CollectionDescription {
            store: ADAPTER,
            collection: self.collection.clone(),
            encoder: self.encoder.clone(),
            dimension: self.dimension,
            papers: self.counted(filter::withdrawn(false)).await?,
            withdrawn: self.counted(filter::withdrawn(true)).await?,
        })
    }
}
