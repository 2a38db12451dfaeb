//! What every adapter must do, as tests over the port.

use std::future::Future;

use domain::{DenseVector, EncoderId, Paper, PaperId, PaperVectors, SparseVector};
use jiff::Timestamp;

use super::embedded::EmbeddedStore;
use super::{Filter, IndexedPaper, Position, Query, Store, StoreError, Upserted};

fn encoder() -> EncoderId {
    EncoderId::parse("test@1").expect("an encoder id")
}

fn id(name: &str) -> PaperId {
    PaperId::parse(&format!("x:{name}")).expect("an id")
}

fn sparse(terms: &[(u32, f32)]) -> SparseVector {
    SparseVector::new(terms.iter().map(|t| t.0).collect(), terms.iter().map(|t| t.1).collect()).expect("sparse")
}

fn paper(name: &str, revision: u64, dense: [f32; 2], terms: &[(u32, f32)]) -> IndexedPaper {
    let day = format!("2026-01-{:02}T00:00:00Z", 1 + name.len() % 28);
    IndexedPaper {
        paper: Paper {
            id: id(name),
            title: format!("{name} at {revision}"),
            abstract_text: "Text.".into(),
            authors: vec!["José Núñez".into()],
            categories: vec![if revision % 2 == 1 { "cs.CL" } else { "math.CO" }.into()],
            published: day.parse().expect("a timestamp"),
            updated: None,
            links: Vec::new(),
            source: "test".into(),
            revision,
            content_hash: "hash".into(),
            language: "en".into(),
            accepted: Timestamp::UNIX_EPOCH,
        },
        vectors: PaperVectors {
            encoder: encoder(),
            dense: DenseVector::new(dense.to_vec()).expect("dense"),
            sparse: sparse(terms),
            truncated: false,
        },
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

async fn revisions_hold(store: &dyn Store) {
    let new = paper("a", 2, [1.0, 0.0], &[(1, 1.0)]);
    let old = paper("a", 1, [0.0, 1.0], &[(2, 1.0)]);
    assert_eq!(
        store.upsert(vec![new.clone()]).await.expect("upsert"),
        [Upserted::Written]
    );
    assert_eq!(store.upsert(vec![old]).await.expect("upsert"), [Upserted::Stale]);
    assert_eq!(
        store.upsert(vec![new.clone()]).await.expect("upsert"),
        [Upserted::Written],
        "again is harmless"
    );
    assert_eq!(store.get(&[id("a")]).await.expect("get"), [new.paper]);
    let legs = store
        .search(query([0.0, 1.0], &[(2, 1.0)], Filter::default()))
        .await
        .expect("search");
    assert!(legs.sparse.is_empty(), "terms of the older revision are gone");
}

async fn withdrawals_hold(store: &dyn Store) {
    store
        .upsert(vec![paper("w", 1, [1.0, 0.0], &[(1, 1.0)])])
        .await
        .expect("upsert");
    store.withdraw(&id("w"), 2).await.expect("withdraw");
    store.withdraw(&id("w"), 2).await.expect("again is harmless");
    store.withdraw(&id("early"), 2).await.expect("before the paper");
    let late = store
        .upsert(vec![paper("early", 1, [1.0, 0.0], &[]), paper("w", 1, [1.0, 0.0], &[])])
        .await;
    assert_eq!(late.expect("upsert"), [Upserted::Stale, Upserted::Stale]);
    assert!(store.get(&[id("w"), id("early")]).await.expect("get").is_empty());
    let legs = store
        .search(query([1.0, 0.0], &[(1, 1.0)], Filter::default()))
        .await
        .expect("search");
    assert!(legs.dense.is_empty() && legs.sparse.is_empty());
    assert_eq!(
        store
            .upsert(vec![paper("w", 3, [1.0, 0.0], &[])])
            .await
            .expect("upsert"),
        [Upserted::Written]
    );
    store.withdraw(&id("w"), 2).await.expect("an old withdrawal");
    assert_eq!(
        store.get(&[id("w")]).await.expect("get").len(),
        1,
        "a newer revision stays"
    );
    let description = store.describe().await.expect("describe");
    assert_eq!((description.papers, description.withdrawn), (1, 1));
}

async fn legs_score_exactly(store: &dyn Store) {
    let papers = vec![
        paper("b", 1, [1.0, 0.0], &[(1, 2.0), (7, 1.0)]),
        paper("a", 1, [1.0, 0.0], &[(1, 2.0)]),
        paper("c", 1, [0.6, 0.8], &[(2, 1.0)]),
    ];
    store.upsert(papers).await.expect("upsert");
    let legs = store
        .search(query([1.0, 0.0], &[(1, 1.0), (9, 1.0)], Filter::default()))
        .await
        .expect("search");
    assert_eq!(names(&legs.dense), ["x:a", "x:b", "x:c"], "equal scores by id");
    assert!((legs.dense[2].score - 0.6).abs() < 1e-6);
    assert_eq!(names(&legs.sparse), ["x:a", "x:b"]);
    let rarity = ((3.0_f64 - 2.0 + 0.5) / (2.0 + 0.5) + 1.0).ln();
    assert!((legs.sparse[0].score - 2.0 * rarity).abs() < 1e-4, "{:?}", legs.sparse);
    let nothing = store
        .search(query([0.0, 0.0], &[], Filter::default()))
        .await
        .expect("search");
    assert!(nothing.dense.is_empty() && nothing.sparse.is_empty());
}

async fn filters_hold(store: &dyn Store) {
    store
        .upsert(vec![
            paper("a", 1, [1.0, 0.0], &[(1, 1.0)]),
            paper("bb", 2, [1.0, 0.0], &[(1, 1.0)]),
        ])
        .await
        .expect("upsert");
    let day = |text: &str| Some(text.parse().expect("a timestamp"));
    let cases: [(Filter, &[&str]); 7] = [
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
        let legs = store
            .search(query([1.0, 0.0], &[(1, 1.0)], filter.clone()))
            .await
            .expect("search");
        assert_eq!(names(&legs.dense), expected, "{filter:?}");
        assert_eq!(names(&legs.sparse), expected, "{filter:?}");
        let mut listed: Vec<String> = store
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

async fn lists_page_without_loss(store: &dyn Store) {
    let all: Vec<IndexedPaper> = (0..23)
        .map(|n| paper(&format!("{}{n}", "p".repeat(n % 3)), 1, [1.0, 0.0], &[]))
        .collect();
    store.upsert(all).await.expect("upsert");
    let whole = store.list(Filter::default(), None, 100).await.expect("list");
    assert_eq!(whole.len(), 23);
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(Filter::default(), after, 5).await.expect("list");
        let Some(last) = page.last() else { break };
        after = Some(Position {
            published_ms: last.published.as_millisecond(),
            id: last.id.to_string(),
        });
        paged.extend(page);
    }
    assert_eq!(paged, whole);
}

async fn strangers_are_refused(store: &dyn Store) {
    let mut other = paper("a", 1, [1.0, 0.0], &[]);
    other.vectors.encoder = EncoderId::parse("other@2").expect("an encoder id");
    assert!(matches!(
        store.upsert(vec![other]).await,
        Err(StoreError::OtherEncoder { .. })
    ));
    let mut long = paper("a", 1, [1.0, 0.0], &[]);
    long.vectors.dense = DenseVector::new(vec![1.0, 0.0, 0.0]).expect("dense");
    assert!(matches!(
        store.upsert(vec![long]).await,
        Err(StoreError::Dimension { expected: 2, found: 3 })
    ));
}

async fn on_embedded<F: Future<Output = ()>>(test: impl FnOnce(EmbeddedStore) -> F) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(folder.path(), &encoder(), 2).expect("a store");
    test(store).await;
}

#[tokio::test]
async fn embedded_conforms() {
    on_embedded(async |store| revisions_hold(&store).await).await;
    on_embedded(async |store| withdrawals_hold(&store).await).await;
    on_embedded(async |store| legs_score_exactly(&store).await).await;
    on_embedded(async |store| filters_hold(&store).await).await;
    on_embedded(async |store| lists_page_without_loss(&store).await).await;
    on_embedded(async |store| strangers_are_refused(&store).await).await;
}

#[tokio::test]
async fn embedded_finds_everything_after_reopening_and_keeps_others_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || EmbeddedStore::open(folder.path(), &encoder(), 2);
    let store = open().expect("a store");
    store
        .upsert(vec![
            paper("a", 1, [1.0, 0.0], &[(1, 1.0)]),
            paper("b", 1, [0.0, 1.0], &[]),
        ])
        .await
        .expect("upsert");
    store.withdraw(&id("b"), 2).await.expect("withdraw");
    let refused = open().err().expect("a second opener is refused").to_string();
    assert!(refused.contains("another process has it open"), "{refused}");
    let asked = query([1.0, 0.0], &[(1, 1.0)], Filter::default());
    let before = store.search(asked.clone()).await.expect("search");
    drop(store);
    let again = open().expect("a store");
    assert_eq!(again.search(asked).await.expect("search"), before);
    assert_eq!(again.describe().await.expect("describe").withdrawn, 1);
}
