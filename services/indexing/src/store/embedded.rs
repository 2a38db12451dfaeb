//! The embedded store: exact search in memory over SQLite files. For one process and up to a few hundred thousand papers.
//!
//! A folder holds a file for each encoder ([`schema`]), a file that says which of them is the current one, and a lock that
//! keeps other processes out ([`folder`]). SQLite holds everything (WAL, one transaction per batch, synced); memory holds
//! what scoring and filtering read, in immutable segments ([`segment`]) under a snapshot that is exchanged as a whole
//! ([`snapshot`]):
//!
//! * Readers take the snapshot of the moment and keep it: they never wait for a writer and see only whole batches. Papers
//!   themselves are read from the file, on connections of their own ([`reader`]).
//! * Writers come one after the other. Memory changes after the transaction, so a reader never finds a paper that a crash
//!   could take back; what is in memory is only ever what the file says, read anew at each start.
//!
//! It never estimates: every paper that passes the filter is considered ([`dense`], [`sparse`]), every count is exact.

mod best;
mod bits;
mod collections;
mod database;
mod dense;
mod entry;
mod facets;
mod failure;
mod filter;
mod folder;
mod kernel;
mod reader;
mod schema;
mod segment;
mod snapshot;
mod sparse;
mod terms;
#[cfg(test)]
mod tests;
mod values;
mod vectors;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use domain::fusion::Hit;
use domain::{DenseVector, EncoderId, Paper, PaperId};

use self::best::Best;
pub use self::collections::EmbeddedCollections;
use self::database::{Database, Withdrawn};
use self::failure::{damaged, unusable};
use self::folder::Folder;
use self::reader::Reader;
use self::segment::{Builder, CAPACITY, Segment};
use self::snapshot::{Place, Snapshot};
use self::vectors::Question;
use super::{
    Count, Description, Facet, FacetCount, Filter, IndexedPaper, Mark, Part, Position, Probe, Query, Store, StoreError,
    Stored, Upserted, check_dimension, check_vectors, collection_name,
};

const NAME: &str = "embedded";

/// One collection; clones share it.
#[derive(Clone)]
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

struct Inner {
    encoder: EncoderId,
    dimension: usize,
    file: PathBuf,
    // Dropped before the writer, for the last connection to a file tidies it up, and only one that may write can.
    reader: Reader,
    /// `None` once the collection was dropped.
    writer: Mutex<Option<Database>>,
    snapshot: RwLock<Arc<Snapshot>>,
    withdrawn: AtomicU64,
    dense: dense::Searcher,
    /// Held as long as anything of it is open.
    _folder: Arc<Folder>,
}

impl EmbeddedStore {
    /// Opens or makes the collection of an encoder, and holds the folder for it alone; [`EmbeddedCollections`] opens
    /// several. Blocks.
    pub fn open(folder: &Path, encoder: &EncoderId, dimension: usize) -> Result<Self, StoreError> {
        let inner = Inner::open(&Arc::new(Folder::open(folder)?), encoder, dimension)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || {
            if inner.reader.is_closed() {
                return Err(inner.dropped());
            }
            work(&inner)
        });
        done.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

impl Inner {
    fn open(folder: &Arc<Folder>, encoder: &EncoderId, dimension: usize) -> Result<Self, StoreError> {
        let file = folder.file(encoder);
        let connection = schema::prepare(&file)?;
        let (holder, length) = schema::holder(&connection, &file, Some((encoder, dimension)))?;
        check_holder(folder.path(), (&holder, length), (encoder, dimension))?;
        let reader = Reader::new(&file, encoder, dimension);
        let snapshot = Snapshot::of(reader.load()?);
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
            dense: dense::Searcher::new(),
            _folder: Arc::clone(folder),
        })
    }

    fn check_holder(&self, encoder: &EncoderId, dimension: usize) -> Result<(), StoreError> {
        let folder = self.file.parent().unwrap_or(&self.file);
        check_holder(folder, (&self.encoder, self.dimension), (encoder, dimension))
    }

    /// Refuses everything from now on: the collection is going. The connection that writes must be closed before the files
    /// go, for closing it removes the log by its name, which may be that of a new collection by then.
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

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, snapshot: Snapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    fn upsert(&self, papers: &[IndexedPaper]) -> Result<Vec<Upserted>, StoreError> {
        for one in papers {
            check_vectors(&one.vectors, &self.encoder, self.dimension)?;
        }
        let entries: Vec<Vec<u8>> = papers.iter().map(entry::encode).collect();
        let mut writer = self.writer();
        let database = writer.as_mut().ok_or_else(|| self.dropped())?;
        let written = database.upsert(papers, &entries)?;
        // Of a paper that came twice the last one written holds.
        let mut changed: HashMap<&PaperId, &[u8]> = HashMap::new();
        for ((one, entry), outcome) in papers.iter().zip(&entries).zip(&written.outcomes) {
            if *outcome == Upserted::Written {
                changed.insert(&one.paper.id, entry);
            }
        }
        let segments = self.seal(changed.values().copied())?;
        if !segments.is_empty() {
            self.publish(self.snapshot().changed(changed.into_keys(), segments));
        }
        self.withdrawn.fetch_sub(written.marks_replaced, Ordering::Relaxed);
        Ok(written.outcomes)
    }

    fn seal<'a>(&self, entries: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Segment>, StoreError> {
        let failed = |error: entry::EntryError| damaged("(new)", &error);
        let mut segments = Vec::new();
        let mut builder = Builder::new(self.dimension);
        for entry in entries {
            builder.push(entry).map_err(failed)?;
            if builder.len() == CAPACITY {
                segments.push(builder.build().map_err(failed)?);
                builder = Builder::new(self.dimension);
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
        if done == Withdrawn::Paper {
            self.publish(self.snapshot().changed(std::iter::once(id), Vec::new()));
        }
        if matches!(done, Withdrawn::Paper | Withdrawn::NewMark) {
            self.withdrawn.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn search(&self, query: &Query) -> Result<Vec<Vec<Hit>>, StoreError> {
        for probe in &query.probes {
            if let Probe::Dense(vector) = probe {
                check_dimension(vector, self.dimension)?;
            }
        }
        let snapshot = self.snapshot();
        let passing = Arc::new(filter::passing(&query.filter, &snapshot));
        let answer = |probe: &Probe| match probe {
            Probe::Dense(vector) => Question::new(vector.as_slice())
                .map(|question| self.dense.search(&snapshot, &passing, question, query.limit))
                .unwrap_or_default(),
            Probe::Sparse(asked) => sparse::search(&snapshot, &passing, asked, query.limit),
        };
        Ok(query.probes.iter().map(answer).collect())
    }

    fn dense_vectors(&self, ids: &[PaperId]) -> Result<Vec<(PaperId, DenseVector)>, StoreError> {
        let snapshot = self.snapshot();
        let mut vectors = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(Place { part, slot }) = snapshot.find(id) {
                let values = snapshot.parts[part].segment.vectors.get(slot).to_vec();
                let vector = DenseVector::new(values).map_err(|error| damaged(id.as_str(), &error))?;
                vectors.push((id.clone(), vector));
            }
        }
        Ok(vectors)
    }

    fn list(&self, filter: &Filter, after: Option<&Position>, limit: usize) -> Vec<PaperId> {
        let snapshot = self.snapshot();
        let mut first = Best::new(&snapshot, limit);
        for (part, passing) in filter::passing(filter, &snapshot).iter().enumerate() {
            let segment = &snapshot.parts[part].segment;
            for slot in passing.slots() {
                let published = segment.published_ms[slot];
                let is_behind = after.is_none_or(|after| {
                    published < after.published_ms
                        || (published == after.published_ms && segment.ids.get(slot) > after.id.as_str())
                });
                if is_behind {
                    // Milliseconds of all years up to 9999 are exact in double precision.
                    first.offer(published as f64, Place { part, slot });
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

    fn describe(&self) -> Description {
        Description {
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
    async fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<Upserted>, StoreError> {
        self.blocking(move |inner| inner.upsert(&papers)).await
    }

    async fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError> {
        let id = id.clone();
        self.blocking(move |inner| inner.withdraw(&id, revision)).await
    }

    async fn search(&self, query: Query) -> Result<Vec<Vec<Hit>>, StoreError> {
        self.blocking(move |inner| inner.search(&query)).await
    }

    async fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |inner| inner.reader.get(&ids)).await
    }

    async fn get_with_vectors(&self, ids: &[PaperId]) -> Result<Vec<IndexedPaper>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |inner| inner.reader.get_with_vectors(&ids)).await
    }

    async fn dense_vectors(&self, ids: &[PaperId]) -> Result<Vec<(PaperId, DenseVector)>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |inner| inner.dense_vectors(&ids)).await
    }

    async fn marks_of(&self, ids: &[PaperId]) -> Result<Vec<Mark>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |inner| inner.reader.marks_of(&ids)).await
    }

    async fn list(&self, filter: Filter, after: Option<Position>, limit: usize) -> Result<Vec<Paper>, StoreError> {
        self.blocking(move |inner| inner.reader.get(&inner.list(&filter, after.as_ref(), limit)))
            .await
    }

    async fn count(&self, filter: Filter) -> Result<Count, StoreError> {
        self.blocking(move |inner| Ok(inner.count(&filter))).await
    }

    async fn facet(&self, filter: Filter, facet: Facet, limit: usize) -> Result<Vec<FacetCount>, StoreError> {
        self.blocking(move |inner| Ok(inner.facet(&filter, facet, limit))).await
    }

    async fn scan(&self, after: Option<String>, limit: usize) -> Result<Part<Stored>, StoreError> {
        self.blocking(move |inner| inner.reader.scan(after.as_deref(), limit))
            .await
    }

    async fn marks(&self, after: Option<String>, limit: usize) -> Result<Part<Mark>, StoreError> {
        self.blocking(move |inner| inner.reader.marks(after.as_deref(), limit))
            .await
    }

    async fn describe(&self) -> Result<Description, StoreError> {
        self.blocking(|inner| Ok(inner.describe())).await
    }
}

/// Keeps vectors of another encoder or length out of a file.
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
