//! What every adapter must do, as tests over the port.

use domain::{DenseVector, EncoderId, Link, LinkKind, Paper, PaperId, PaperVectors, SparseVector};
use jiff::Timestamp;
use qdrant_client::Qdrant;
use tempfile::TempDir;
use tests::qdrant::Server;
use uuid::Uuid;

use super::embedded::EmbeddedStore;
use super::qdrant::QdrantStore;
use super::{Filter, IndexedPaper, Position, Query, Store, StoreError, Upserted, collection_name};

/// An empty store, and whose vectors it takes.
struct Subject {
    store: Box<dyn Store>,
    encoder: EncoderId,
    /// Where an embedded one is; removed with the subject.
    folder: Option<TempDir>,
}

impl Subject {
    fn embedded() -> Self {
        let (folder, encoder) = (tempfile::tempdir().expect("a folder"), encoder("embedded@1"));
        Self {
            store: Box::new(EmbeddedStore::open(folder.path(), &encoder, 2).expect("a store")),
            encoder,
            folder: Some(folder),
        }
    }

    async fn qdrant(server: &Server) -> Self {
        let encoder = encoder(&format!("test-{}@1", Uuid::new_v4().simple()));
        let store = connect(server, &encoder, 2).await.expect("a store");
        Self {
            store: Box::new(store),
            encoder,
            folder: None,
        }
    }

    fn paper(&self, name: &str, revision: u64, dense: [f32; 2], terms: &[(u32, f32)]) -> IndexedPaper {
        IndexedPaper {
            paper: paper(name, revision),
            vectors: PaperVectors {
                encoder: self.encoder.clone(),
                dense: DenseVector::new(dense.to_vec()).expect("dense"),
                sparse: sparse(terms),
                truncated: false,
            },
        }
    }

    async fn write(&self, papers: Vec<IndexedPaper>) -> Vec<Upserted> {
        self.store.upsert(papers).await.expect("upsert")
    }

    async fn find(&self, dense: [f32; 2], terms: &[(u32, f32)], filter: Filter) -> super::Legs {
        self.store.search(query(dense, terms, filter)).await.expect("search")
    }
}

async fn connect(server: &Server, encoder: &EncoderId, dimension: usize) -> Result<QdrantStore, StoreError> {
    QdrantStore::connect(&server.url, server.api_key.as_deref(), encoder, dimension).await
}

fn encoder(id: &str) -> EncoderId {
    EncoderId::parse(id).expect("an encoder id")
}

fn id(name: &str) -> PaperId {
    PaperId::parse(&format!("x:{name}")).expect("an id")
}

fn sparse(terms: &[(u32, f32)]) -> SparseVector {
    SparseVector::new(terms.iter().map(|t| t.0).collect(), terms.iter().map(|t| t.1).collect()).expect("sparse")
}

fn paper(name: &str, revision: u64) -> Paper {
    let day = format!("2026-01-{:02}T00:00:00.000000123Z", 1 + name.len() % 28);
    Paper {
        id: id(name),
        title: format!("{name} at {revision}"),
        abstract_text: "Text.\nMore.".into(),
        authors: vec!["José Núñez".into()],
        categories: vec![if revision % 2 == 1 { "cs.CL" } else { "math.CO" }.into()],
        published: day.parse().expect("a timestamp"),
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
    }
}

fn query(dense: [f32; 2], terms: &[(u32, f32)], filter: Filter) -> Query {
    Query {
        dense: DenseVector::new(dense.to_vec()).expect("dense"),
        sparse: sparse(terms),
        filter,
        limit: 10,
    }
}

fn names(hits: &[domain::fusion::Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.id.as_str()).collect()
}

async fn revisions_hold(it: Subject) {
    let new = it.paper("a", 2, [1.0, 0.0], &[(1, 1.0)]);
    let old = it.paper("a", 1, [0.0, 1.0], &[(2, 1.0)]);
    assert_eq!(it.write(Vec::new()).await, []);
    assert_eq!(it.write(vec![new.clone()]).await, [Upserted::Written]);
    let other = it.paper("b", 1, [0.0, 1.0], &[(3, 1.0)]);
    assert_eq!(
        it.write(vec![old, other.clone()]).await,
        [Upserted::Stale, Upserted::Written],
        "each by its own revision"
    );
    assert_eq!(
        it.write(vec![new.clone()]).await,
        [Upserted::Written],
        "again is harmless"
    );
    let got = it.store.get(&[id("b"), id("unknown"), id("a")]).await.expect("get");
    assert_eq!(got, [other.paper, new.paper], "complete, in the order asked");
    let legs = it.find([0.0, 1.0], &[(2, 1.0)], Filter::default()).await;
    assert!(legs.sparse.is_empty(), "terms of the older revision are gone");
    let description = it.store.describe().await.expect("describe");
    assert_eq!((description.papers, description.withdrawn), (2, 0));
    assert_eq!(description.collection, collection_name(&it.encoder));
}

async fn withdrawals_hold(it: Subject) {
    let withdraw = async |name: &str, revision| it.store.withdraw(&id(name), revision).await.expect("withdraw");
    it.write(vec![it.paper("w", 1, [1.0, 0.0], &[(1, 1.0)])]).await;
    withdraw("w", 2).await;
    withdraw("w", 2).await;
    withdraw("early", 2).await;
    let late = vec![
        it.paper("early", 1, [1.0, 0.0], &[(1, 1.0)]),
        it.paper("w", 1, [1.0, 0.0], &[(1, 1.0)]),
    ];
    assert_eq!(it.write(late).await, [Upserted::Stale, Upserted::Stale]);
    assert!(it.store.get(&[id("w"), id("early")]).await.expect("get").is_empty());
    assert!(
        it.store
            .list(Filter::default(), None, 10)
            .await
            .expect("list")
            .is_empty()
    );
    let legs = it.find([1.0, 0.0], &[(1, 1.0)], Filter::default()).await;
    assert!(legs.dense.is_empty() && legs.sparse.is_empty());
    let back = vec![it.paper("w", 3, [1.0, 0.0], &[])];
    assert_eq!(it.write(back).await, [Upserted::Written]);
    withdraw("w", 2).await;
    let there = it.store.get(&[id("w")]).await.expect("get");
    assert_eq!(there.len(), 1, "an old withdrawal leaves a newer revision");
    let description = it.store.describe().await.expect("describe");
    assert_eq!((description.papers, description.withdrawn), (1, 1));
}

async fn legs_score_exactly(it: Subject) {
    it.write(vec![
        it.paper("b", 1, [1.0, 0.0], &[(1, 2.0), (7, 1.0)]),
        it.paper("a", 1, [1.0, 0.0], &[(1, 2.0)]),
        it.paper("c", 1, [0.6, 0.8], &[(2, 1.0)]),
        it.paper("empty", 1, [0.0, 0.0], &[]),
    ])
    .await;
    let legs = it.find([1.0, 0.0], &[(1, 1.0), (9, 1.0)], Filter::default()).await;
    assert_eq!(names(&legs.dense), ["x:a", "x:b", "x:c"], "equal scores by id");
    assert!((legs.dense[2].score - 0.6).abs() < 1e-6);
    assert_eq!(names(&legs.sparse), ["x:a", "x:b"]);
    let rarity = ((3.0_f64 - 2.0 + 0.5) / (2.0 + 0.5) + 1.0).ln();
    assert!((legs.sparse[0].score - 2.0 * rarity).abs() < 1e-5, "{:?}", legs.sparse);
    let nothing = it.find([0.0, 0.0], &[], Filter::default()).await;
    assert!(nothing.dense.is_empty() && nothing.sparse.is_empty());
    for (limit, expected) in [(0, 0), (1, 1)] {
        let mut asked = query([0.6, 0.8], &[(2, 1.0)], Filter::default());
        asked.limit = limit;
        let legs = it.store.search(asked).await.expect("search");
        assert_eq!((legs.dense.len(), legs.sparse.len()), (expected, expected));
    }
    it.store.withdraw(&id("a"), 2).await.expect("withdraw");
    let legs = it.find([1.0, 0.0], &[(1, 1.0)], Filter::default()).await;
    let rarity_of_one_in_two = std::f64::consts::LN_2;
    assert!(
        (legs.sparse[0].score - 2.0 * rarity_of_one_in_two).abs() < 1e-5,
        "{:?}",
        legs.sparse
    );
}

async fn filters_hold(it: Subject) {
    it.write(vec![
        it.paper("a", 1, [1.0, 0.0], &[(1, 1.0)]),
        it.paper("bb", 2, [1.0, 0.0], &[(1, 1.0)]),
    ])
    .await;
    let day = |text: &str| Some(text.parse().expect("a timestamp"));
    let cases: [(Filter, &[&str]); 9] = [
        (
            Filter {
                categories: vec!["cs.CL".into()],
                ..Filter::default()
            },
            &["x:a"],
        ),
        (
            Filter {
                categories: vec!["cs.CL".into(), "math.CO".into()],
                ..Filter::default()
            },
            &["x:a", "x:bb"],
        ),
        (
            Filter {
                sources: vec!["other".into()],
                ..Filter::default()
            },
            &[],
        ),
        (
            Filter {
                sources: vec!["other".into(), "test feed".into()],
                ..Filter::default()
            },
            &["x:a", "x:bb"],
        ),
        (
            Filter {
                authors: vec!["jose".into()],
                ..Filter::default()
            },
            &[],
        ),
        (
            Filter {
                authors: vec![domain::text::fold("jose nunez")],
                ..Filter::default()
            },
            &["x:a", "x:bb"],
        ),
        (
            Filter {
                published_after: day("2026-01-03T00:00:00Z"),
                ..Filter::default()
            },
            &["x:bb"],
        ),
        (
            Filter {
                published_before: day("2026-01-03T00:00:00Z"),
                ..Filter::default()
            },
            &["x:a"],
        ),
        (
            Filter {
                categories: vec!["cs.CL".into()],
                published_after: day("2026-01-03T00:00:00Z"),
                ..Filter::default()
            },
            &[],
        ),
    ];
    for (filter, expected) in cases {
        let legs = it.find([1.0, 0.0], &[(1, 1.0)], filter.clone()).await;
        assert_eq!(names(&legs.dense), expected, "{filter:?}");
        assert_eq!(names(&legs.sparse), expected, "{filter:?}");
        let mut listed: Vec<String> = it
            .store
            .list(filter, None, 10)
            .await
            .expect("list")
            .iter()
            .map(|p| p.id.to_string())
            .collect();
        listed.sort();
        assert_eq!(listed, expected);
    }
}

async fn lists_page_without_loss(it: Subject) {
    let named = |n: usize| format!("{}{n:02}", "p".repeat(n % 3));
    // Backwards, so that the order of arrival is not the one asked for.
    it.write((0..23).rev().map(|n| it.paper(&named(n), 1, [1.0, 0.0], &[])).collect())
        .await;
    let mut sorted: Vec<(usize, String)> = (0..23).map(|n| (n % 3, format!("x:{}", named(n)))).collect();
    sorted.sort_by(|(a, a_id), (b, b_id)| b.cmp(a).then_with(|| a_id.cmp(b_id)));
    for size in [1, 5, 8, 23, 100] {
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = it.store.list(Filter::default(), after, size).await.expect("list");
            let Some(last) = page.last() else { break };
            assert!(page.len() <= size);
            after = Some(Position {
                published_ms: last.published.as_millisecond(),
                id: last.id.to_string(),
            });
            paged.extend(page.into_iter().map(|paper| paper.id.to_string()));
        }
        let ids: Vec<&String> = sorted.iter().map(|(_, id)| id).collect();
        assert_eq!(paged.iter().collect::<Vec<_>>(), ids, "pages of {size}");
    }
    let none = it.store.list(Filter::default(), None, 0).await.expect("list");
    assert!(none.is_empty());
}

async fn strangers_are_refused(it: Subject) {
    let mut other = it.paper("a", 1, [1.0, 0.0], &[]);
    other.vectors.encoder = encoder("other@2");
    let refused = it.store.upsert(vec![other]).await;
    assert!(matches!(refused, Err(StoreError::OtherEncoder { .. })));
    let mut long = it.paper("a", 1, [1.0, 0.0], &[]);
    long.vectors.dense = DenseVector::new(vec![1.0, 0.0, 0.0]).expect("dense");
    let refused = it.store.upsert(vec![long.clone()]).await;
    assert!(matches!(refused, Err(StoreError::Dimension { expected: 2, found: 3 })));
    let mut asked = query([1.0, 0.0], &[], Filter::default());
    asked.dense = long.vectors.dense;
    let refused = it.store.search(asked).await;
    assert!(matches!(refused, Err(StoreError::Dimension { expected: 2, found: 3 })));
    assert_eq!(it.store.describe().await.expect("describe").papers, 0);
}

/// Every check on a store of its own.
async fn conforms(open: impl AsyncFn() -> Subject) {
    revisions_hold(open().await).await;
    withdrawals_hold(open().await).await;
    legs_score_exactly(open().await).await;
    filters_hold(open().await).await;
    lists_page_without_loss(open().await).await;
    strangers_are_refused(open().await).await;
}

#[tokio::test]
async fn embedded_conforms() {
    conforms(async || Subject::embedded()).await;
}

#[tokio::test]
async fn embedded_finds_everything_after_reopening_and_keeps_others_out() {
    let mut it = Subject::embedded();
    let folder = it.folder.take().expect("a folder");
    let open = |encoder: &EncoderId, dimension| EmbeddedStore::open(folder.path(), encoder, dimension);
    let refusal = |encoder: &EncoderId, dimension| {
        let refused = open(encoder, dimension).err().expect("it is refused");
        assert!(!refused.is_transient());
        refused.to_string()
    };
    it.write(vec![
        it.paper("a", 1, [1.0, 0.0], &[(1, 1.0)]),
        it.paper("b", 1, [0.0, 1.0], &[]),
    ])
    .await;
    it.store.withdraw(&id("b"), 2).await.expect("withdraw");
    let refused = refusal(&it.encoder, 2);
    assert!(refused.contains("another process has it open"), "{refused}");
    let before = it.find([1.0, 0.0], &[(1, 1.0)], Filter::default()).await;
    let asked = query([1.0, 0.0], &[(1, 1.0)], Filter::default());
    let killed = copy_of(folder.path());
    let survived = EmbeddedStore::open(killed.path(), &it.encoder, 2).expect("a store");
    assert_eq!(survived.search(asked.clone()).await.expect("search"), before);

    let encoder_id = it.encoder.clone();
    drop(it);
    let refused = refusal(&encoder_id, 3);
    assert!(refused.contains("embedded@1 with 2 values"), "{refused}");
    let refused = refusal(&encoder("embedded-1"), 2);
    assert!(refused.contains("embedded@1 with 2 values"), "{refused}");
    let again = open(&encoder_id, 2).expect("a store");
    assert_eq!(again.search(asked).await.expect("search"), before);
    assert_eq!(again.describe().await.expect("describe").withdrawn, 1);
}

/// The files as they are while the store is open, which is how a killed process leaves them.
fn copy_of(folder: &std::path::Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    copy
}

#[test]
fn embedded_names_a_folder_it_cannot_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("taken");
    std::fs::write(&file, "not a folder").expect("a file");
    let refused = EmbeddedStore::open(&file, &encoder("test@1"), 2).err();
    let refused = refused.expect("it is refused").to_string();
    assert!(refused.contains(&file.display().to_string()), "{refused}");
}

#[tokio::test]
async fn qdrant_conforms() {
    let mut server = Server::start().await;
    let made = std::sync::Mutex::new(Vec::new());
    let open = async || {
        let subject = Subject::qdrant(&server).await;
        made.lock().expect("one thread").push(subject.encoder.clone());
        subject
    };
    conforms(open).await;
    both_find_the_same(&Subject::embedded(), &open().await).await;
    let made = made.into_inner().expect("one thread");
    qdrant_opens_only_what_fits(&server, &made[0]).await;

    let store = connect(&server, &made[0], 2).await.expect("a store");
    for encoder in &made {
        delete(&server, encoder).await;
    }
    let error = store.describe().await.expect_err("the collection is gone");
    assert!(error.is_transient(), "{error}");
    if server.stop().await {
        let error = store.describe().await.expect_err("the server is gone");
        assert!(error.is_transient(), "{error}");
        let error = connect(&server, &made[0], 2).await.err().expect("the server is gone");
        assert!(error.is_transient(), "{error}");
    }
}

async fn qdrant_opens_only_what_fits(server: &Server, there: &EncoderId) {
    connect(server, there, 2).await.expect("again is harmless");
    let refused = connect(server, there, 3).await.err().expect("another length");
    assert!(!refused.is_transient());
    assert!(refused.to_string().contains("a vector of 2 values"), "{refused}");
    let alike = encoder(&there.as_str().replace('@', "-"));
    assert_eq!(collection_name(&alike), collection_name(there));
    let refused = connect(server, &alike, 2).await.err().expect("another encoder");
    assert!(refused.to_string().contains(there.as_str()), "{refused}");
}

/// The embedded store is exact, so it says what the other one must find.
async fn both_find_the_same(embedded: &Subject, qdrant: &Subject) {
    for it in [embedded, qdrant] {
        let papers = (0..120_u32).map(|n| {
            let angle = (n * n % 97) as f32 / 15.0;
            let terms = [(n % 7, 1.0 + (n % 5) as f32), (10 + n % 11, 0.5)];
            let direction = [angle.cos(), angle.sin()];
            it.paper(&format!("n{n}"), u64::from(1 + n % 2), direction, &terms)
        });
        it.write(papers.collect()).await;
    }
    for n in 0..20_u32 {
        let angle = n as f32 / 3.0;
        let mut asked = query(
            [angle.cos(), angle.sin()],
            &[(n % 7, 1.0), (10 + n % 11, 1.0)],
            Filter::default(),
        );
        asked.limit = 200;
        if n % 2 == 1 {
            asked.filter.categories = vec!["cs.CL".into()];
        }
        let exact = embedded.store.search(asked.clone()).await.expect("search");
        let found = qdrant.store.search(asked).await.expect("search");
        for (exact, found) in [(exact.dense, found.dense), (exact.sparse, found.sparse)] {
            assert_eq!(exact.len(), found.len());
            for (exact, found) in exact.iter().zip(&found) {
                assert!((exact.score - found.score).abs() < 1e-5, "{exact:?} {found:?}");
            }
        }
    }
}

async fn delete(server: &Server, encoder: &EncoderId) {
    let client = Qdrant::from_url(&server.url)
        .api_key(server.api_key.clone())
        .skip_compatibility_check()
        .build()
        .expect("a client");
    client
        .delete_collection(collection_name(encoder))
        .await
        .expect("the collection is deleted");
}
