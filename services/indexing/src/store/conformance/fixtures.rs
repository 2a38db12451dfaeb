//! Papers, questions and collections for the checks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use domain::fusion::Hit;
use domain::{DenseVector, EncoderId, Link, LinkKind, Paper, PaperId, PaperVectors, SparseVector};
use jiff::Timestamp;
use uuid::Uuid;

use crate::store::{
    Alias, Collections, Filter, IndexedPaper, LegKey, LegName, LegQuery, Store, StoreQuery, UpsertOutcome,
};

/// Keys of the legs of [`query`].
pub const DENSE: LegKey = key(0, LegName::Dense);
pub const SPARSE: LegKey = key(0, LegName::Sparse);

pub const fn key(operand: usize, leg: LegName) -> LegKey {
    LegKey { operand, leg }
}

/// A place to make collections in.
pub struct TestPlace {
    pub collections: Arc<dyn Collections>,
    /// Whether rarity follows a removal at once. A real Qdrant server counts what was removed until it next tidies up.
    pub rarity_follows: bool,
    made: Mutex<Vec<EncoderId>>,
}

impl TestPlace {
    pub fn new(collections: Arc<dyn Collections>) -> Self {
        Self {
            collections,
            rarity_follows: true,
            made: Mutex::default(),
        }
    }

    /// An encoder that nobody else has.
    pub fn encoder(&self) -> EncoderId {
        let encoder = encoder(&format!("test-{}@1", Uuid::new_v4().simple()));
        self.made.lock().expect("one thread").push(encoder.clone());
        encoder
    }

    /// An empty collection of vectors of two values.
    pub async fn subject(&self) -> TestCollection {
        let encoder = self.encoder();
        let store = self.collections.open(&encoder, 2).await.expect("a store");
        TestCollection { store, encoder }
    }

    /// Removes what was made here.
    pub async fn clean(&self) {
        for alias in [Alias::Current, Alias::Next] {
            self.collections.set_alias(alias, None).await.expect("no alias");
        }
        let made = std::mem::take(&mut *self.made.lock().expect("one thread"));
        for encoder in made {
            // It may have been dropped by its check.
            let _ = self.collections.remove(&encoder).await;
        }
    }
}

/// An empty store, and whose vectors it takes.
pub struct TestCollection {
    pub store: Arc<dyn Store>,
    pub encoder: EncoderId,
}

impl TestCollection {
    pub fn paper(&self, name: &str, revision: u64, dense: [f32; 2], terms: &[(u32, f32)]) -> IndexedPaper {
        IndexedPaper {
            paper: paper(name, revision),
            vectors: PaperVectors {
                encoder: self.encoder.clone(),
                dense: dense_vector(&dense),
                sparse: sparse(terms),
                truncated: revision % 2 == 1,
            },
        }
    }

    pub async fn write(&self, papers: Vec<IndexedPaper>) -> Vec<UpsertOutcome> {
        self.store.upsert(papers).await.expect("upsert")
    }

    pub async fn withdraw(&self, name: &str, revision: u64) {
        self.store.withdraw(&id(name), revision).await.expect("withdraw");
    }

    /// The hits of a dense and of a sparse leg.
    pub async fn find(&self, dense: [f32; 2], terms: &[(u32, f32)], filter: Filter) -> (Vec<Hit>, Vec<Hit>) {
        let mut found = self.store.search(query(dense, terms, filter)).await.expect("search");
        let mut hits = |key| found.remove(&key).expect("an answer for each leg");
        (hits(DENSE), hits(SPARSE))
    }

    pub async fn listed(&self, filter: Filter) -> Vec<String> {
        let papers = self.store.list(filter, None, 1_000).await.expect("list");
        papers.iter().map(|paper| paper.id.to_string()).collect()
    }
}

pub fn encoder(id: &str) -> EncoderId {
    EncoderId::parse(id).expect("an encoder id")
}

pub fn id(name: &str) -> PaperId {
    PaperId::parse(&format!("x:{name}")).expect("an id")
}

pub fn ids(names: &[&str]) -> Vec<PaperId> {
    names.iter().map(|name| id(name)).collect()
}

pub fn dense_vector(values: &[f32]) -> DenseVector {
    DenseVector::new(values.to_vec()).expect("dense")
}

pub fn sparse(terms: &[(u32, f32)]) -> SparseVector {
    SparseVector::new(terms.iter().map(|t| t.0).collect(), terms.iter().map(|t| t.1).collect()).expect("sparse")
}

pub fn time(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

pub fn paper(name: &str, revision: u64) -> Paper {
    let day = format!("2026-01-{:02}T00:00:00.000000123Z", 1 + name.len() % 28);
    Paper {
        id: id(name),
        title: format!("{name} at {revision}"),
        abstract_text: "Text.\nMore.".into(),
        authors: vec!["José Núñez".into()],
        categories: vec![if revision % 2 == 1 { "cs.CL" } else { "math.CO" }.into()],
        published: Some(time(&day)),
        updated: revision.is_multiple_of(2).then_some(Timestamp::UNIX_EPOCH),
        links: vec![Link {
            kind: LinkKind::Pdf,
            url: "https://example.org/a.pdf".into(),
        }],
        source: "test feed".into(),
        revision,
        content_hash: "hash".into(),
        language: String::new(),
        accepted: Timestamp::UNIX_EPOCH,
        revised: Timestamp::UNIX_EPOCH,
    }
}

pub fn query(dense: [f32; 2], terms: &[(u32, f32)], filter: Filter) -> StoreQuery {
    StoreQuery {
        legs: BTreeMap::from([
            (DENSE, LegQuery::Dense(dense_vector(&dense))),
            (SPARSE, LegQuery::Sparse(sparse(terms))),
        ]),
        filter,
        limit: 10,
    }
}

pub fn names(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.id.as_str()).collect()
}

/// Equal but for the last digits of the dense vector, which a store may bring to length one.
pub fn assert_same(found: &[IndexedPaper], expected: &[IndexedPaper]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.paper, expected.paper);
        assert_eq!(found.vectors.encoder, expected.vectors.encoder);
        assert_eq!(found.vectors.sparse, expected.vectors.sparse);
        assert_eq!(
            found.vectors.truncated, expected.vectors.truncated,
            "{}",
            found.paper.id
        );
        assert_near(&found.vectors.dense, &expected.vectors.dense);
    }
}

pub fn assert_near(found: &DenseVector, expected: &DenseVector) {
    assert_eq!(found.dimension(), expected.dimension());
    for (found, expected) in found.as_slice().iter().zip(expected.as_slice()) {
        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }
}
