//! The embedded store: exact search in memory over a SQLite file. For one process and up to a few hundred thousand papers.
//!
//! SQLite holds everything (WAL, one transaction per batch, synced); memory holds what scoring and filtering read. Memory
//! changes after the transaction, so a reader never sees a paper that a crash could take back.

mod database;
mod memory;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use domain::{EncoderId, Paper, PaperId};

use self::database::Database;
use self::memory::Memory;
use super::{
    Description, Filter, IndexedPaper, Legs, Position, Query, Store, StoreError, Upserted, check_dimension,
    check_vectors, collection_name,
};

/// The store; clones share it.
#[derive(Clone)]
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

struct Inner {
    encoder: EncoderId,
    dimension: usize,
    database: Mutex<Database>,
    memory: RwLock<Memory>,
}

impl EmbeddedStore {
    /// Opens or makes the store in a folder and reads it into memory. Blocks; a second process is refused.
    pub fn open(folder: &Path, encoder: &EncoderId, dimension: usize) -> Result<Self, StoreError> {
        let database = Database::open(folder, encoder, dimension)?;
        let mut memory = Memory::new(dimension);
        database.load(encoder, |row| memory.put(row))?;
        Ok(Self {
            inner: Arc::new(Inner {
                encoder: encoder.clone(),
                dimension,
                database: Mutex::new(database),
                memory: RwLock::new(memory),
            }),
        })
    }

    /// Collections of other encoders in a folder, by name. Their papers are not found by this one.
    pub fn others(folder: &Path, encoder: &EncoderId) -> Vec<String> {
        let ours = collection_name(encoder);
        let Ok(files) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        let mut names: Vec<String> = files
            .flatten()
            .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".sqlite")?.to_owned()))
            .filter(|name| *name != ours)
            .collect();
        names.sort();
        names
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

impl Inner {
    fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Memory) -> T) -> T {
        read(&self.memory.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<Upserted>, StoreError> {
        for one in &papers {
            check_vectors(&one.vectors, &self.encoder, self.dimension)?;
        }
        let mut database = self.database();
        let outcomes = database.upsert(&papers)?;
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        for (one, outcome) in papers.into_iter().zip(&outcomes) {
            if *outcome == Upserted::Written {
                memory.put(one);
            }
        }
        Ok(outcomes)
    }

    fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError> {
        let mut database = self.database();
        if database.withdraw(id, revision)? {
            self.memory.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
        Ok(())
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<Upserted>, StoreError> {
        self.blocking(|inner| inner.upsert(papers)).await
    }

    async fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError> {
        let id = id.clone();
        self.blocking(move |inner| inner.withdraw(&id, revision)).await
    }

    async fn search(&self, query: Query) -> Result<Legs, StoreError> {
        self.blocking(move |inner| {
            check_dimension(&query.dense, inner.dimension)?;
            Ok(inner.read(|memory| memory.search(&query)))
        })
        .await
    }

    async fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |inner| inner.database().get(&ids)).await
    }

    async fn list(&self, filter: Filter, after: Option<Position>, limit: usize) -> Result<Vec<Paper>, StoreError> {
        self.blocking(move |inner| {
            let ids = inner.read(|memory| memory.list(&filter, after.as_ref(), limit));
            inner.database().get(&ids)
        })
        .await
    }

    async fn describe(&self) -> Result<Description, StoreError> {
        self.blocking(|inner| {
            let (papers, withdrawn) = inner.database().counts()?;
            Ok(Description {
                store: "embedded",
                collection: collection_name(&inner.encoder),
                encoder: inner.encoder.clone(),
                dimension: inner.dimension,
                papers,
                withdrawn,
            })
        })
        .await
    }
}
