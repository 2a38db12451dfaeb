//! The embedded store: exact search in memory over SQLite files. For one process and up to a few hundred thousand papers.
//!
//! A folder holds a file for each encoder ([`schema`]), a file that says which of them is the current one, and a lock that
//! keeps other processes out ([`folder`]). SQLite holds everything (WAL, one transaction per batch, synced); memory holds
//! what scoring and filtering read, in immutable segments ([`segment`]) under a snapshot that is replaced as a whole
//! ([`snapshot`]):
//!
//! * Readers keep the snapshot that they began with: they never wait for a writer and see only whole batches. Papers
//!   themselves are read from the file, over connections of their own ([`file_reader`]).
//! * Writers come one after the other. Memory changes after the transaction, so a reader never finds a paper that a crash
//!   could take back; memory holds only what the file says, and is read from it at each start.
//!
//! It never estimates: every paper that passes the filter is considered ([`dense`], [`sparse`]), every count is exact.
//!
//! A segment has at most 16,384 papers. A write seals a small segment, marks what it replaces as deleted, and swaps one snapshot, so readers
//! are never blocked and never see half a batch. Small and mostly deleted segments are merged.
//!
//! A dense query first scans vectors quantised to int8. A bound on the quantisation error determines which papers can be
//! among the best, and these are rescored with full vectors, so the answer is exact. Queries that wait at the same time share
//! a scan. Filters become bit sets before anything is scored. Opening reads compact columns on all cores and decodes no
//! paper.

mod bits;
mod collections;
mod database;
mod dense;
mod entry;
mod errors;
mod facets;
mod file_reader;
mod filter;
mod folder;
mod inverted_index;
mod kernel;
mod schema;
mod segment;
mod snapshot;
mod sparse;
#[cfg(test)]
mod tests;
mod top_k;
mod value_index;
mod vectors;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use common::tasks;
use domain::{DenseVector, EncoderId, Paper, PaperId};

pub use self::collections::EmbeddedCollections;
use self::database::{Database, WithdrawalEffect};
use self::errors::{damaged, unusable};
use self::file_reader::FileReader;
use self::folder::Folder;
use self::segment::{CAPACITY, Segment, SegmentBuilder};
use self::snapshot::{SegmentSnapshot, SlotAddress};
use self::top_k::TopK;
use self::vectors::QueryVector;
use super::{
    CollectionDescription, Count, Facet, FacetCount, Filter, IndexedPaper, LegHits, LegQuery, ListPosition,
    PaperRevision, ScanPage, Store, StoreEntry, StoreError, StoreQuery, UpsertOutcome, check_dimension, check_vectors,
    collection_name,
};

const NAME: &str = "embedded";

/// One collection; clones share it.
#[derive(Clone)]
pub struct EmbeddedStore {
    collection: Arc<EmbeddedCollection>,
}

struct EmbeddedCollection {
    encoder: EncoderId,
    dimension: usize,
    file: PathBuf,
    // Dropped before the writer: the last connection to a file cleans up its log, and only one that may write can.
    reader: FileReader,
    /// `None` once the collection was dropped.
    writer: Mutex<Option<Database>>,
    snapshot: RwLock<Arc<SegmentSnapshot>>,
    withdrawn: AtomicU64,
    dense: dense::DenseSearcher,
    /// Keeps the folder locked as long as the collection is open.
    _folder: Arc<Folder>,
}

impl EmbeddedStore {
    /// Opens or makes the collection of an encoder, and holds the folder for it alone; [`EmbeddedCollections`] opens
    /// several. Blocks.
    pub fn open(folder: &Path, encoder: &EncoderId, dimension: usize) -> Result<Self, StoreError> {
        let collection = EmbeddedCollection::open(&Arc::new(Folder::open(folder)?), encoder, dimension)?;
        Ok(Self {
            collection: Arc::new(collection),
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&EmbeddedCollection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let collection = Arc::clone(&self.collection);
        tasks::blocking(move || {
            if collection.reader.is_closed() {
                return Err(collection.dropped());
            }
            work(&collection)
        })
        .await
    }
}

impl EmbeddedCollection {
    fn open(folder: &Arc<Folder>, encoder: &EncoderId, dimension: usize) -> Result<Self, StoreError> {
        let file = folder.file(encoder);
        let connection = schema::prepare(&file)?;
        let (holder, length) = schema::holder(&connection, &file, Some((encoder, dimension)))?;
        check_holder(folder.path(), (&holder, length), (encoder, dimension))?;
        let reader = FileReader::new(&file, encoder, dimension);
        let snapshot = SegmentSnapshot::of(reader.load()?);
        let (papers, withdrawn) = reader.counts()?;
        if papers != snapshot.papers() as u64 {
            let problem = format!(
                "the file is damaged ({papers} papers, entries of {}); move it away and let the papers be indexed again",
                snapshot.papers()
            );
            return Err(unusable(&file, problem));
        }
        tracing::debug!(file = %file.display(), papers, withdrawn, "collection open");
        Ok(Self {
            encoder: encoder.clone(),
            dimension,
            writer: Mutex::new(Some(Database::new(&file, connection))),
            file,
            reader,
            snapshot: RwLock::new(Arc::new(snapshot)),
            withdrawn: AtomicU64::new(withdrawn),
            dense: dense::DenseSearcher::new(),
            _folder: Arc::clone(folder),
        })
    }

    fn check_holder(&self, encoder: &EncoderId, dimension: usize) -> Result<(), StoreError> {
        let folder = self.file.parent().unwrap_or(&self.file);
        check_holder(folder, (&self.encoder, self.dimension), (encoder, dimension))
    }

    /// Refuses everything from now on, because the collection is being removed. The connection that writes must be closed
    /// before the files are removed: closing it removes the log by name, and a new collection may have that name by then.
    fn close(&self) {
        self.writer().take();
        self.reader.close();
    }

    fn writer(&self) -> MutexGuard<'_, Option<Database>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dropped(&self) -> StoreError {
        StoreError::Refused(format!("the collection of encoder {} was dropped", self.encoder))
    }

    fn snapshot(&self) -> Arc<SegmentSnapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, snapshot: SegmentSnapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    fn upsert(&self, papers: &[IndexedPaper]) -> Result<Vec<UpsertOutcome>, StoreError> {
        for one in papers {
            check_vectors(&one.vectors, &self.encoder, self.dimension)?;
        }
        let entries: Vec<Vec<u8>> = papers.iter().map(entry::encode).collect();
        let mut writer = self.writer();
        let database = writer.as_mut().ok_or_else(|| self.dropped())?;
        let written = database.upsert(papers, &entries)?;
        // Of a paper that is in the batch twice, the last one written counts.
        let mut changed: HashMap<&PaperId, &[u8]> = HashMap::new();
        for ((one, entry), outcome) in papers.iter().zip(&entries).zip(&written.outcomes) {
            if *outcome == UpsertOutcome::Written {
                changed.insert(&one.paper.id, entry);
            }
        }
        let segments = self.seal(changed.values().copied())?;
        if !segments.is_empty() {
            self.publish(self.snapshot().changed(changed.into_keys(), segments));
        }
        self.withdrawn.fetch_sub(written.tombstones_replaced, Ordering::Relaxed);
        Ok(written.outcomes)
    }

    fn seal<'a>(&self, entries: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Segment>, StoreError> {
        let failed = |error: entry::EntryError| damaged("(new)", &error);
        let mut segments = Vec::new();
        let mut builder = SegmentBuilder::new(self.dimension);
        for entry in entries {
            builder.push(entry).map_err(failed)?;
            if builder.len() == CAPACITY {
                segments.push(builder.build().map_err(failed)?);
                builder = SegmentBuilder::new(self.dimension);
            }
        }
        if builder.len() > 0 {
            segments.push(builder.build().map_err(failed)?);
        }
        Ok(segments)
    }

    fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let database = writer.as_mut().ok_or_else(|| self.dropped())?;
        let done = database.withdraw(id, revision)?;
        if done == WithdrawalEffect::PaperRemoved {
            self.publish(self.snapshot().changed(std::iter::once(id), Vec::new()));
        }
        if matches!(done, WithdrawalEffect::PaperRemoved | WithdrawalEffect::TombstoneAdded) {
            self.withdrawn.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn search(&self, query: &StoreQuery) -> Result<LegHits, StoreError> {
        for leg in query.legs.values() {
            if let LegQuery::Dense(vector) = leg {
                check_dimension(vector, self.dimension)?;
            }
        }
        let snapshot = self.snapshot();
        let passing = Arc::new(filter::passing(&query.filter, &snapshot));
        let answer = |leg: &LegQuery| match leg {
            LegQuery::Dense(vector) => QueryVector::new(vector.as_slice())
                .map(|vector| self.dense.search(&snapshot, &passing, vector, query.limit))
                .unwrap_or_default(),
            LegQuery::Sparse(vector) => sparse::search(&snapshot, &passing, vector, query.limit),
        };
        Ok(query.legs.iter().map(|(key, leg)| (*key, answer(leg))).collect())
    }

    fn dense_vectors(&self, ids: &[PaperId]) -> Result<Vec<(PaperId, DenseVector)>, StoreError> {
        let snapshot = self.snapshot();
        let mut vectors = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(SlotAddress { segment, slot }) = snapshot.find(id) {
                let values = snapshot.segments[segment].segment.vectors.get(slot).to_vec();
                let vector = DenseVector::new(values).map_err(|error| damaged(id.as_str(), &error))?;
                vectors.push((id.clone(), vector));
            }
        }
        Ok(vectors)
    }

    fn list(&self, filter: &Filter, after: Option<&ListPosition>, limit: usize) -> Vec<PaperId> {
        let snapshot = self.snapshot();
        let mut first = TopK::new(&snapshot, limit);
        for (number, passing) in filter::passing(filter, &snapshot).iter().enumerate() {
            let segment = &snapshot.segments[number].segment;
            for slot in passing.slots() {
                let published = segment.published_ms[slot];
                let is_behind = after.is_none_or(|after| {
                    published < after.published_ms
                        || (published == after.published_ms && segment.ids.get(slot) > after.id.as_str())
                });
                if is_behind {
                    // Milliseconds of all years up to 9999 are exact in double precision, and so is the number for none.
                    let address = SlotAddress { segment: number, slot };
                    first.offer(published as f64, address);
                }
            }
        }
        first.ids()
    }

    fn count(&self, filter: &Filter) -> Count {
        let passing = filter::passing(filter, &self.snapshot());
        Count {
            papers: passing.iter().map(|bits| bits.count() as u64).sum(),
            exact: true,
        }
    }

    fn facet(&self, filter: &Filter, facet: Facet, limit: usize) -> Vec<FacetCount> {
        let snapshot = self.snapshot();
        facets::count(&snapshot, &filter::passing(filter, &snapshot), facet, limit)
    }

    fn describe(&self) -> CollectionDescription {
        CollectionDescription {
            store: NAME,
            collection: collection_name(&self.encoder),
            encoder: self.encoder.clone(),
            dimension: self.dimension,
            papers: self.snapshot().papers() as u64,
            withdrawn: self.withdrawn.load(Ordering::Relaxed),
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<UpsertOutcome>, StoreError> {
        self.blocking(move |collection| collection.upsert(&papers)).await
    }

    async fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError> {
        let id = id.clone();
        self.blocking(move |collection| collection.withdraw(&id, revision))
            .await
    }

    async fn search(&self, query: StoreQuery) -> Result<LegHits, StoreError> {
        self.blocking(move |collection| collection.search(&query)).await
    }

    async fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |collection| collection.reader.get(&ids)).await
    }

    async fn get_with_vectors(&self, ids: &[PaperId]) -> Result<Vec<IndexedPaper>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |collection| collection.reader.get_with_vectors(&ids))
            .await
    }

    async fn dense_vectors(&self, ids: &[PaperId]) -> Result<Vec<(PaperId, DenseVector)>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |collection| collection.dense_vectors(&ids)).await
    }

    async fn revisions_of(&self, ids: &[PaperId]) -> Result<Vec<PaperRevision>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |collection| collection.reader.revisions_of(&ids))
            .await
    }

    async fn list(&self, filter: Filter, after: Option<ListPosition>, limit: usize) -> Result<Vec<Paper>, StoreError> {
        self.blocking(move |collection| collection.reader.get(&collection.list(&filter, after.as_ref(), limit)))
            .await
    }

    async fn count(&self, filter: Filter) -> Result<Count, StoreError> {
        self.blocking(move |collection| Ok(collection.count(&filter))).await
    }

    async fn facet(&self, filter: Filter, facet: Facet, limit: usize) -> Result<Vec<FacetCount>, StoreError> {
        self.blocking(move |collection| Ok(collection.facet(&filter, facet, limit)))
            .await
    }

    async fn scan(&self, after: Option<String>, limit: usize) -> Result<ScanPage<StoreEntry>, StoreError> {
        self.blocking(move |collection| collection.reader.scan(after.as_deref(), limit))
            .await
    }

    async fn revisions(&self, after: Option<String>, limit: usize) -> Result<ScanPage<PaperRevision>, StoreError> {
        self.blocking(move |collection| collection.reader.revisions(after.as_deref(), limit))
            .await
    }

    async fn describe(&self) -> Result<CollectionDescription, StoreError> {
        self.blocking(|collection| Ok(collection.describe())).await
    }
}

/// Refuses a file whose vectors are of another encoder or length.
fn check_holder(
    folder: &Path,
    (holder, length): (&EncoderId, usize),
    (encoder, dimension): (&EncoderId, usize),
) -> Result<(), StoreError> {
    if holder == encoder && length == dimension {
        return Ok(());
    }
    Err(unusable(
        folder,
        format!(
            "it holds vectors of {holder} with {length} values, not of {encoder} with {dimension}; use another folder"
        ),
    ))
}
