//! The port to whatever holds the catalogue, in the words of the domain.
//!
//! An adapter finds candidates and keeps papers; fusion, ties and paging are not its business. Every adapter passes the
//! suite in [`conformance`].

pub mod embedded;
pub mod qdrant;

#[cfg(test)]
mod conformance;

use std::cmp::Ordering;

use async_trait::async_trait;
use domain::fusion::Hit;
use domain::{DenseVector, EncoderId, Paper, PaperId, PaperVectors, SparseVector};
use jiff::Timestamp;

/// A paper with its vectors, as the store keeps it.
#[derive(Debug, Clone)]
pub struct IndexedPaper {
    /// The paper.
    pub paper: Paper,
    /// Its vectors.
    pub vectors: PaperVectors,
}

/// What became of a paper that was given to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upserted {
    /// It is durable.
    Written,
    /// The store holds a newer revision, which stays.
    Stale,
}

/// Restricts which papers are considered. All given restrictions must hold; an empty list restricts nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// At least one of these categories.
    pub categories: Vec<String>,
    /// One of these sources.
    pub sources: Vec<String>,
    /// At least one of these authors, folded by [`domain::text::fold`].
    pub authors: Vec<String>,
    /// Published at or after.
    pub published_after: Option<Timestamp>,
    /// Published before.
    pub published_before: Option<Timestamp>,
}

/// A search by both kinds of vector.
#[derive(Debug, Clone)]
pub struct Query {
    /// By meaning; a zero vector finds nothing.
    pub dense: DenseVector,
    /// By words; an empty vector finds nothing.
    pub sparse: SparseVector,
    /// Restrictions, applied before scoring.
    pub filter: Filter,
    /// Most hits of each leg.
    pub limit: usize,
}

/// What each leg found, best first; equal scores by paper id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Legs {
    /// Cosine; papers whose own vector is zero are not among them.
    pub dense: Vec<Hit>,
    /// Sum over shared terms of query weight, document weight and inverse document frequency
    /// ln((N - n + 0.5) / (n + 0.5) + 1), above zero. N counts the papers that have any term, n those that have this one.
    pub sparse: Vec<Hit>,
}

/// Where a list goes on: behind this paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// When it was published, in milliseconds since the epoch.
    pub published_ms: i64,
    /// Its id.
    pub id: String,
}

/// What the store is and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name of the adapter.
    pub store: &'static str,
    /// Name of the collection.
    pub collection: String,
    /// Whose vectors it holds.
    pub encoder: EncoderId,
    /// Values in a dense vector.
    pub dimension: usize,
    /// Papers that can be found.
    pub papers: u64,
    /// Papers of which only the mark of their withdrawal is kept.
    pub withdrawn: u64,
}

/// A store that cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer or has no room; the same call may work later.
    #[error("store does not answer: {0}")]
    Unavailable(String),
    /// It cannot be opened as it is; an operator must act.
    #[error("store in {place} cannot be used: {problem}")]
    Unusable {
        /// Folder or URL.
        place: String,
        /// Why, with what to do.
        problem: String,
    },
    /// The paper's vectors were made by another encoder; no retry helps.
    #[error("vectors of encoder {found} do not go into a collection of {expected}")]
    OtherEncoder {
        /// The collection's.
        expected: EncoderId,
        /// The paper's.
        found: EncoderId,
    },
    /// The store does not take what it was given; no retry helps.
    #[error("store refuses: {0}")]
    Refused(String),
    /// What the store keeps of a paper cannot be read; an operator must act, or the paper must be indexed again.
    #[error("entry {entry} of the store cannot be read: {problem}")]
    Damaged {
        /// Id of the paper.
        entry: String,
        /// Why.
        problem: String,
    },
    /// The vector has another length than the collection's; no retry helps.
    #[error("dense vector has {found} values, the collection has {expected}")]
    Dimension {
        /// The collection's.
        expected: usize,
        /// The vector's.
        found: usize,
    },
}

impl StoreError {
    /// Whether the same call may work later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Holds the catalogue.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes papers; durable when it returns. Of two revisions the higher one stays, whichever comes first.
    async fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<Upserted>, StoreError>;

    /// Takes a paper out and keeps the mark, so that a lower revision arriving later stays out. Idempotent.
    async fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError>;

    /// Finds candidates.
    async fn search(&self, query: Query) -> Result<Legs, StoreError>;

    /// Papers by id, in the order asked; unknown and withdrawn ones are left out.
    async fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError>;

    /// Papers newest first, equal times by id, behind a position.
    async fn list(&self, filter: Filter, after: Option<Position>, limit: usize) -> Result<Vec<Paper>, StoreError>;

    /// What it is and holds.
    async fn describe(&self) -> Result<Description, StoreError>;
}

/// Checks that vectors belong into a collection.
pub(crate) fn check_vectors(vectors: &PaperVectors, encoder: &EncoderId, dimension: usize) -> Result<(), StoreError> {
    if vectors.encoder != *encoder {
        return Err(StoreError::OtherEncoder {
            expected: encoder.clone(),
            found: vectors.encoder.clone(),
        });
    }
    check_dimension(&vectors.dense, dimension)
}

/// Checks the length of a vector.
pub(crate) fn check_dimension(vector: &DenseVector, expected: usize) -> Result<(), StoreError> {
    let found = vector.dimension();
    if found != expected {
        return Err(StoreError::Dimension { expected, found });
    }
    Ok(())
}

/// Best first, equal scores by id.
pub(crate) fn by_score(a: &Hit, b: &Hit) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id))
}

/// Name of the collection that holds an encoder's vectors.
pub(crate) fn collection_name(encoder: &EncoderId) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("papers-{}", encoder.as_str().chars().map(safe).collect::<String>())
}
