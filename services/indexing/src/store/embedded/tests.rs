//! The store against a plain one that does everything in the simplest way; readers beside a writer; what a crash, another
//! release and damage leave behind.

mod collections;
mod files;
mod plain;
mod readers;

use std::collections::BTreeMap;
use std::path::Path;

use domain::{DenseVector, EncoderId, Link, LinkKind, Paper, PaperId, PaperVectors, SparseVector};
use jiff::Timestamp;
use proptest::prelude::*;

use self::plain::Plain;
use super::EmbeddedStore;
use crate::store::{
    Count, Facet, Filter, IndexedPaper, LegKey, LegName, LegQuery, ListPosition, PaperRevision, Store, StoreEntry,
    StoreError, StoreQuery, UpsertOutcome,
};

const DIMENSION: usize = 3;
const DENSE: LegKey = key(LegName::Dense);
const SPARSE: LegKey = key(LegName::Sparse);

const fn key(leg: LegName) -> LegKey {
    LegKey { operand: 0, leg }
}

fn encoder() -> EncoderId {
    EncoderId::parse("test@1").expect("an encoder id")
}

fn id(number: u64) -> PaperId {
    PaperId::parse(&format!("x:{number}")).expect("an id")
}

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(folder, &encoder(), DIMENSION).expect("a store")
}

fn dense(seed: u64) -> DenseVector {
    let direction = [
        [0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [0.6, 0.8, 0.0],
        [0.0, 0.6, -0.8],
        [0.48, 0.6, 0.64],
    ];
    // Lengths other than one are allowed within a hundredth.
    let length = 1.0 + (seed % 3) as f32 / 300.0;
    let values = direction[usize::try_from(seed % 5).expect("small")].map(|value| value * length);
    DenseVector::new(values.to_vec()).expect("a vector")
}

fn sparse(seed: u64) -> SparseVector {
    let terms: Vec<u32> = (1..8).filter(|term| seed >> term & 1 == 1).collect();
    let weights = terms
        .iter()
        .map(|term| 0.25 + (seed % u64::from(*term + 2)) as f32 / 4.0)
        .collect();
    SparseVector::new(terms, weights).expect("a vector")
}

/// A paper whose every property comes from a seed.
fn paper(number: u64, revision: u64, seed: u64) -> IndexedPaper {
    let pick = |names: &[&str], at: u64| names[usize::try_from(at % names.len() as u64).expect("small")].to_owned();
    let names = ["Ada K. Lovelace", "José Núñez", "Plato", "ada lovelace"];
    let authors = (0..seed % 4)
        .map(|at| pick(&names, seed / 7 + at * at).into())
        .collect();
    let categories = (0..=seed % 2)
        .map(|at| pick(&["cs.CL", "cs.LG", "math.CO"], seed / 3 + at))
        .collect();
    let day = i64::try_from(seed % 1_000).expect("small");
    let code = Link {
        kind: LinkKind::Code,
        url: "https://example.org/code".into(),
    };
    IndexedPaper {
        paper: Paper {
            id: id(number),
            title: format!("{number} at {revision}"),
            abstract_text: "Text.".into(),
            authors,
            categories,
            published: (!seed.is_multiple_of(17))
                .then(|| Timestamp::from_second((day - 300) * 86_400).expect("a time")),
            updated: None,
            links: if seed.is_multiple_of(3) { vec![code] } else { Vec::new() },
            source: pick(&["arxiv", "feed"], seed / 11),
            revision,
            content_hash: "hash".into(),
            language: pick(&["en", "", "pt-BR"], seed / 13),
            accepted: Timestamp::UNIX_EPOCH,
            revised: Timestamp::UNIX_EPOCH,
        },
        vectors: PaperVectors {
            encoder: encoder(),
            dense: dense(seed),
            sparse: sparse(seed / 5),
            truncated: seed.is_multiple_of(2),
        },
    }
}

/// A change of the catalogue.
#[derive(Debug, Clone)]
enum StoreChange {
    Upsert(Vec<(u64, u64, u64)>),
    Withdraw(u64, u64),
    Reopen,
}

fn changes() -> impl Strategy<Value = Vec<StoreChange>> {
    let paper = (0..60_u64, 1..4_u64, any::<u32>().prop_map(u64::from));
    let change = prop_oneof![
        6 => prop::collection::vec(paper, 1..12).prop_map(StoreChange::Upsert),
        2 => (0..60_u64, 1..5_u64).prop_map(|(number, revision)| StoreChange::Withdraw(number, revision)),
        1 => Just(StoreChange::Reopen),
    ];
    prop::collection::vec(change, 1..40)
}

fn filters() -> impl Strategy<Value = Filter> {
    let some = |names: &'static [&'static str]| {
        let names = prop::sample::subsequence(names, 0..=names.len().min(2));
        let names = names.prop_map(|names| names.into_iter().map(str::to_owned).collect::<Vec<String>>());
        prop_oneof![3 => Just(Vec::new()), 1 => names]
    };
    let time = || {
        prop::option::weighted(
            0.2,
            (-300..700_i64).prop_map(|day| Timestamp::from_second(day * 86_400).expect("a time")),
        )
    };
    let terms = || prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(1..9_u32, 1..3)];
    let ids = || prop::collection::vec((0..70_u64).prop_map(id), 0..30);
    let names = (
        some(&["cs.CL", "math.CO", "none"]),
        some(&["cs.LG", "none"]),
        some(&["arxiv", "none"]),
        some(&["feed"]),
        some(&["ada lovelace", "ada", "jose nunez", "none"]),
        some(&["plato"]),
        some(&["en", "pt-BR"]),
    );
    let rest = (
        time(),
        time(),
        prop::option::weighted(0.3, any::<bool>()),
        (terms(), terms()),
        terms(),
        prop::option::weighted(0.2, ids()),
        prop_oneof![3 => Just(Vec::new()), 1 => ids()],
    );
    (names, rest).prop_map(|(names, rest)| Filter {
        categories: names.0,
        without_categories: names.1,
        sources: names.2,
        without_sources: names.3,
        authors: names.4,
        without_authors: names.5,
        languages: names.6,
        published_after: rest.0,
        published_before: rest.1,
        has_code: rest.2,
        terms: rest.3.0,
        any_terms: rest.3.1,
        without_terms: rest.4,
        within: rest.5,
        without: rest.6,
    })
}

async fn apply(store: &mut EmbeddedStore, plain: &mut Plain, folder: &Path, change: &StoreChange) {
    match change {
        StoreChange::Upsert(papers) => {
            let papers: Vec<IndexedPaper> = papers
                .iter()
                .map(|(number, revision, seed)| paper(*number, *revision, *seed))
                .collect();
            let expected: Vec<UpsertOutcome> = papers.iter().map(|one| plain.upsert(one)).collect();
            assert_eq!(store.upsert(papers).await.expect("upsert"), expected);
        }
        StoreChange::Withdraw(number, revision) => {
            plain.withdraw(&id(*number), *revision);
            store.withdraw(&id(*number), *revision).await.expect("withdraw");
        }
        StoreChange::Reopen => {
            // The folder is free again only when nothing holds it.
            let closed = std::mem::replace(store, elsewhere());
            drop(closed);
            *store = open(folder);
        }
    }
}

/// Something to put in the place of a store that is closed.
fn elsewhere() -> EmbeddedStore {
    open(tempfile::tempdir().expect("a folder").path())
}

async fn same_answers(store: &EmbeddedStore, plain: &Plain, filter: &Filter, seed: u64, limit: usize) {
    let query = StoreQuery {
        legs: BTreeMap::from([
            (DENSE, LegQuery::Dense(dense(seed))),
            (SPARSE, LegQuery::Sparse(sparse(seed))),
            (key(LegName::Feedback), LegQuery::Dense(dense(seed + 1))),
        ]),
        filter: filter.clone(),
        limit,
    };
    let found = store.search(query.clone()).await.expect("search");
    assert_eq!(
        found,
        store.search(query.clone()).await.expect("search"),
        "equal requests give equal scores"
    );
    assert!(found.keys().eq(query.legs.keys()), "an answer for each leg");
    for (key, leg) in &query.legs {
        plain.check(leg, filter, limit, &found[key]);
    }
    let count = store.count(filter.clone()).await.expect("count");
    assert_eq!(
        count,
        Count {
            papers: plain.count(filter),
            exact: true
        }
    );
    for facet in [
        Facet::Category,
        Facet::Year,
        Facet::Source,
        Facet::Author,
        Facet::Language,
    ] {
        let counts = store.facet(filter.clone(), facet, limit).await.expect("facet");
        assert_eq!(counts, plain.facet(filter, facet, limit), "{facet:?}");
    }
    let mut after = None;
    let mut listed = Vec::new();
    loop {
        let page = store.list(filter.clone(), after, limit.max(1)).await.expect("list");
        let Some(last) = page.last() else { break };
        after = Some(ListPosition::of(last));
        listed.extend(page);
    }
    assert_eq!(listed, plain.list(filter));
}

async fn same_contents(store: &EmbeddedStore, plain: &Plain) {
    let (mut scanned, mut revisions) = (Vec::new(), Vec::new());
    let mut after = None;
    loop {
        let page = store.scan(after, 7).await.expect("scan");
        scanned.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    loop {
        let page = store.revisions(after, 7).await.expect("revisions");
        revisions.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<StoreEntry> = plain.stored().cloned().collect();
    assert_eq!(scanned, expected);
    let expected: Vec<PaperRevision> = plain.revisions();
    assert_eq!(revisions, expected);
    let ids: Vec<PaperId> = (0..70).rev().map(id).collect();
    let asked = |all: Vec<PaperRevision>| {
        let by_id: BTreeMap<PaperId, PaperRevision> = all.into_iter().map(|held| (held.id.clone(), held)).collect();
        ids.iter().filter_map(|id| by_id.get(id).cloned()).collect::<Vec<_>>()
    };
    assert_eq!(store.revisions_of(&ids).await.expect("revisions"), asked(revisions));
    let held: Vec<IndexedPaper> = ids.iter().filter_map(|id| plain.get(id)).cloned().collect();
    let vectors: Vec<(PaperId, DenseVector)> = held
        .iter()
        .map(|one| (one.paper.id.clone(), one.vectors.dense.clone()))
        .collect();
    assert_eq!(store.dense_vectors(&ids).await.expect("vectors"), vectors);
    let papers: Vec<Paper> = held.iter().map(|one| one.paper.clone()).collect();
    assert_eq!(store.get(&ids).await.expect("papers"), papers);
    let description = store.describe().await.expect("describe");
    assert_eq!(description.papers, held.len() as u64);
    assert_eq!(description.withdrawn, expected_withdrawn(plain));
    assert_eq!(store.get_with_vectors(&ids).await.expect("papers"), held);
}

fn expected_withdrawn(plain: &Plain) -> u64 {
    plain.revisions().iter().filter(|held| held.withdrawn).count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_a_plain_store_does(
        changes in changes(),
        asked in prop::collection::vec((filters(), any::<u32>().prop_map(u64::from), 0..80_usize), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            let (mut store, mut plain) = (open(folder.path()), Plain::default());
            for change in &changes {
                apply(&mut store, &mut plain, folder.path(), change).await;
            }
            same_contents(&store, &plain).await;
            same_answers(&store, &plain, &Filter::default(), 12, 5).await;
            for (filter, seed, limit) in &asked {
                same_answers(&store, &plain, filter, *seed, *limit).await;
            }
        });
    }
}

#[tokio::test]
async fn large_writes_and_many_small_ones_are_all_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut plain) = (open(folder.path()), Plain::default());
    let written: Vec<IndexedPaper> = (0..17_000).map(|number| paper(number, 1, number * 31)).collect();
    for one in &written {
        plain.upsert(one);
    }
    store.upsert(written).await.expect("upsert");
    for number in 0..200 {
        let again = vec![paper(number * 80, 2, number), paper(30_000 + number, 1, number)];
        for one in &again {
            plain.upsert(one);
        }
        store.upsert(again).await.expect("upsert");
    }
    let only = Filter {
        categories: vec!["cs.CL".into()],
        ..Filter::default()
    };
    for filter in [Filter::default(), only] {
        for leg in [LegQuery::Dense(dense(4)), LegQuery::Sparse(sparse(0xff))] {
            let query = StoreQuery {
                legs: BTreeMap::from([(DENSE, leg.clone())]),
                filter: filter.clone(),
                limit: 300,
            };
            let found = store.search(query).await.expect("search");
            plain.check(&leg, &filter, 300, &found[&DENSE]);
        }
    }
    assert_eq!(store.count(Filter::default()).await.expect("count").papers, 17_200);
}

#[tokio::test]
async fn what_does_not_belong_is_refused_and_nothing_of_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let mut other = paper(2, 1, 1);
    other.vectors.encoder = EncoderId::parse("other@1").expect("an id");
    let refused = store.upsert(vec![paper(1, 1, 1), other]).await;
    assert!(matches!(refused, Err(StoreError::OtherEncoder { .. })));
    assert_eq!(store.describe().await.expect("describe").papers, 0);
    assert!(store.get(&[id(1)]).await.expect("get").is_empty());
}
