//! The port to whatever holds the catalogue, in the words of the domain.
//!
//! An adapter finds candidates and keeps papers; it never fuses legs, breaks ties across them or cuts pages. Every adapter
//! passes the suite in [`conformance`].

pub mod copy;
pub mod embedded;
pub mod qdrant;

#[cfg(test)]
pub(crate) mod conformance;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use domain::fusion::Hit;
use domain::{DenseVector, EncoderId, Paper, PaperId, PaperVectors, SparseVector};
use jiff::Timestamp;

/// A paper with its vectors, as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedPaper {
    /// The paper.
    pub paper: Paper,
    /// Its vectors.
    pub vectors: PaperVectors,
}

/// What became of a paper that was given to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsertOutcome {
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
    /// None of these categories.
    pub without_categories: Vec<String>,
    /// One of these sources.
    pub sources: Vec<String>,
    /// None of these sources.
    pub without_sources: Vec<String>,
    /// At least one of these authors, by [`domain::names::search_keys`]; papers have the [`domain::names::keys`] of theirs.
    pub authors: Vec<String>,
    /// None of these authors.
    pub without_authors: Vec<String>,
    /// One of these languages, BCP 47 tags.
    pub languages: Vec<String>,
    /// Published at or after; none of unknown date.
    pub published_after: Option<Timestamp>,
    /// Published before; none of unknown date.
    pub published_before: Option<Timestamp>,
    /// Whether there must, or must not, be a link to code.
    pub has_code: Option<bool>,
    /// Every one of these terms, by the ids of [`domain::bm25::term_id`].
    pub terms: Vec<u32>,
    /// At least one of these terms.
    pub any_terms: Vec<u32>,
    /// None of these terms.
    pub without_terms: Vec<u32>,
    /// Only these papers, when it is there; an empty list lets nothing pass.
    pub within: Option<Vec<PaperId>>,
    /// None of these papers.
    pub without: Vec<PaperId>,
}

impl Filter {
    /// Whether a time of publication is in the period asked for. An unknown one is in no period that has an end.
    pub fn is_published_within(&self, published: Option<Timestamp>) -> bool {
        let (after, before) = (self.published_after, self.published_before);
        after.is_none_or(|after| published.is_some_and(|time| time >= after))
            && before.is_none_or(|before| published.is_some_and(|time| time < before))
    }
}

/// What one leg of a search asks the vectors of a collection.
#[derive(Debug, Clone, PartialEq)]
pub enum LegQuery {
    /// By meaning: cosine. A zero vector finds nothing, and papers whose own vector is zero are not found.
    Dense(DenseVector),
    /// By words: the sum over shared terms of query weight, document weight and inverse document frequency
    /// ln((N - n + 0.5) / (n + 0.5) + 1), above zero. N counts the papers that have any term, n those that have this one,
    /// whatever the filter. An empty vector finds nothing.
    Sparse(SparseVector),
}

/// Which leg of which operand a leg query belongs to. The answer comes back under the same key; a store reads nothing else
/// into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegKey {
    /// Number of the operand.
    pub operand: usize,
    /// Its leg.
    pub leg: LegName,
}

/// The legs that an operand can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LegName {
    /// Likeness in meaning.
    Dense,
    /// Shared words.
    Sparse,
    /// Likeness to the best papers of the first round.
    Feedback,
    /// One word alone, by the id of [`domain::bm25::term_id`].
    Term(u32),
}

/// Several leg queries under one filter, in one call.
#[derive(Debug, Clone, Default)]
pub struct StoreQuery {
    /// What to look for.
    pub legs: BTreeMap<LegKey, LegQuery>,
    /// Restrictions, applied before scoring.
    pub filter: Filter,
    /// Most hits of each leg.
    pub limit: usize,
}

/// For each leg query its hits, best first, equal scores by paper id.
pub type LegHits = BTreeMap<LegKey, Vec<Hit>>;

/// How many papers pass a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Papers.
    pub papers: u64,
    /// False when it is an estimate.
    pub exact: bool,
}

/// What papers are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Facet {
    /// Each of a paper's categories.
    Category,
    /// The year of publication, UTC.
    Year,
    /// The feed.
    Source,
    /// Each author, as printed.
    Author,
    /// The language; papers of unknown language do not count.
    Language,
}

/// Papers that share a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCount {
    /// The value.
    pub value: String,
    /// Papers that have it.
    pub papers: u64,
}

/// Everything a store holds of one paper, for copies, rebuilds and backups.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreEntry {
    /// Canonical id.
    pub id: PaperId,
    /// Its revision.
    pub revision: u64,
    /// The paper with its vectors; `None` where only a tombstone is left.
    pub content: Option<IndexedPaper>,
}

/// Which revision a store holds of a paper, or of the tombstone that a withdrawal left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperRevision {
    /// Canonical id.
    pub id: PaperId,
    /// Its revision.
    pub revision: u64,
    /// Whether only a tombstone is left.
    pub withdrawn: bool,
}

/// A page of everything a store holds. The order is the store's own.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanPage<T> {
    /// The entries of the page.
    pub entries: Vec<T>,
    /// Where the next page begins; `None` at the end. What was there when reading began and was not changed since is read
    /// exactly once.
    pub next: Option<String>,
}

/// In place of a time for a paper whose date is unknown: before all times, so that it is last where the newest come first.
pub const UNDATED: i64 = i64::MIN;

/// When a paper was published, in milliseconds since the epoch; [`UNDATED`] if unknown.
pub fn published_ms(paper: &Paper) -> i64 {
    paper.published.map_or(UNDATED, Timestamp::as_millisecond)
}

/// A position in a list of papers, newest first: the list goes on behind this paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPosition {
    /// When it was published, by [`published_ms`].
    pub published_ms: i64,
    /// Its id.
    pub id: String,
}

impl ListPosition {
    /// Behind a paper.
    pub fn of(paper: &Paper) -> Self {
        Self {
            published_ms: published_ms(paper),
            id: paper.id.to_string(),
        }
    }
}

/// What the store is and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionDescription {
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
    /// Papers of which only a tombstone is left.
    pub withdrawn: u64,
}

/// What a store cannot do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer, or has no room; the same call may work later.
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
    /// An answer lacks the hits of a leg; a mistake of the adapter or of the server.
    #[error("store gave no answer to the {0}")]
    Unanswered(LegKey),
}

impl fmt::Display for LegKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leg {
            LegName::Dense => f.write_str("dense leg")?,
            LegName::Sparse => f.write_str("sparse leg")?,
            LegName::Feedback => f.write_str("feedback leg")?,
            LegName::Term(id) => write!(f, "leg of term {id}")?,
        }
        write!(f, " of operand {}", self.operand)
    }
}

impl StoreError {
    /// Whether the same call may work later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// One collection of papers.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes papers; durable when it returns. Of two revisions the higher one stays, whichever comes first.
    async fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<UpsertOutcome>, StoreError>;

    /// Takes a paper out and keeps a tombstone, so that a lower revision arriving later stays out. Idempotent.
    async fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError>;

    /// Finds candidates. The answer has the keys of the query's legs and no others.
    async fn search(&self, query: StoreQuery) -> Result<LegHits, StoreError>;

    /// Papers by id, in the order of the ids; unknown and withdrawn ones are left out.
    async fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError>;

    /// Papers with their vectors by id, in the order of the ids; unknown and withdrawn ones are left out.
    async fn get_with_vectors(&self, ids: &[PaperId]) -> Result<Vec<IndexedPaper>, StoreError>;

    /// Dense vectors by id, in the order of the ids; unknown and withdrawn ones are left out.
    async fn dense_vectors(&self, ids: &[PaperId]) -> Result<Vec<(PaperId, DenseVector)>, StoreError>;

    /// Which revisions it holds of papers, in the order of the ids; unknown ones are left out, withdrawn ones are not.
    async fn revisions_of(&self, ids: &[PaperId]) -> Result<Vec<PaperRevision>, StoreError>;

    /// Papers newest first, equal times by id, behind a position.
    async fn list(&self, filter: Filter, after: Option<ListPosition>, limit: usize) -> Result<Vec<Paper>, StoreError>;

    /// How many papers pass a filter.
    async fn count(&self, filter: Filter) -> Result<Count, StoreError>;

    /// Values of the papers that pass a filter, most papers first, equal counts by value.
    async fn facet(&self, filter: Filter, facet: Facet, limit: usize) -> Result<Vec<FacetCount>, StoreError>;

    /// Reads everything, page by page.
    async fn scan(&self, after: Option<String>, limit: usize) -> Result<ScanPage<StoreEntry>, StoreError>;

    /// Like [`Store::scan`], but ids and revisions alone.
    async fn revisions(&self, after: Option<String>, limit: usize) -> Result<ScanPage<PaperRevision>, StoreError>;

    /// What it is and holds.
    async fn describe(&self) -> Result<CollectionDescription, StoreError>;
}

/// A name that stands for one collection at a time, and moves from one to another atomically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alias {
    /// The collection that is searched.
    Current,
    /// The collection that is being built to become the current one; papers are written to both.
    Next,
}

/// All collections of a folder or a server, and which of them the aliases stand for.
#[async_trait]
pub trait Collections: Send + Sync {
    /// Name of the adapter.
    fn adapter(&self) -> &'static str;

    /// Every collection, by name.
    async fn all(&self) -> Result<Vec<CollectionDescription>, StoreError>;

    /// The collection of an encoder, by [`collection_name`]; made where there is none. The same collection opened twice is
    /// one store.
    async fn open(&self, encoder: &EncoderId, dimension: usize) -> Result<Arc<dyn Store>, StoreError>;

    /// The encoder and dimension of the collection an alias stands for.
    async fn alias(&self, alias: Alias) -> Result<Option<(EncoderId, usize)>, StoreError>;

    /// Lets an alias stand for an encoder's collection, which must exist, or for none. Durable and atomic.
    async fn set_alias(&self, alias: Alias, encoder: Option<&EncoderId>) -> Result<(), StoreError>;

    /// Removes an encoder's collection with everything in it. [`StoreError::Refused`] while an alias stands for it or
    /// when there is none.
    async fn remove(&self, encoder: &EncoderId) -> Result<(), StoreError>;
}

/// Checks that vectors belong to a collection.
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
pub fn collection_name(encoder: &EncoderId) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("papers-{}", encoder.as_str().chars().map(safe).collect::<String>())
}
