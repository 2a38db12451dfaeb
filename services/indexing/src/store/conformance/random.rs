//! Random sequences of calls, answered by an adapter as the model answers them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::fusion::Hit;
use domain::{Link, LinkKind, PaperId};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::fixtures::{TestCollection, TestPlace, assert_near, assert_same, dense_vector, id, key, sparse};
use super::model::ModelCollections;
use super::scanning::scanned;
use crate::store::{
    Facet, Filter, IndexedPaper, LegKey, LegName, LegQuery, ListPosition, StoreQuery, UNDATED, by_score,
};

const CATEGORIES: [&str; 3] = ["cs.CL", "cs.LG", "math.CO"];
const SOURCES: [&str; 2] = ["arXiv", "other feed"];
const AUTHORS: [&str; 3] = ["Ada K. Lovelace", "Ada Byron", "José Núñez"];
const KEYS: [&str; 4] = ["ada", "ada lovelace", "jose nunez", "nobody"];
const LANGUAGES: [&str; 3] = ["", "en", "pt-BR"];
/// In place of a month.
const UNKNOWN: i64 = 99;
const FACETS: [Facet; 5] = [
    Facet::Category,
    Facet::Year,
    Facet::Source,
    Facet::Author,
    Facet::Language,
];

/// A paper to be.
#[derive(Debug, Clone)]
struct PaperSeed {
    name: u32,
    revision: u64,
    direction: u32,
    terms: BTreeMap<u32, u32>,
    categories: BTreeSet<usize>,
    authors: Vec<usize>,
    source: usize,
    language: usize,
    month: i64,
    code: bool,
}

#[derive(Debug, Clone)]
enum PortCall {
    Upsert(Vec<PaperSeed>),
    Withdraw(u32, u64),
    Search(Vec<(bool, u32)>, Filter, usize),
    List(Filter, Option<(i64, u32)>, usize),
    Count(Filter),
    Facet(Filter, usize, usize),
    Get(Vec<u32>),
    Scan(usize),
}

/// Runs sequences against new collections of a place.
pub fn agrees(place: &TestPlace, runtime: &tokio::runtime::Runtime, cases: u32) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let calls = vec(call(), 1..40);
    let run = |calls: Vec<PortCall>| {
        runtime.block_on(replay(place, calls));
        Ok(())
    };
    TestRunner::new(config)
        .run(&calls, run)
        .expect("the answers are those of the model");
}

async fn replay(place: &TestPlace, calls: Vec<PortCall>) {
    let model = TestPlace::new(Arc::new(ModelCollections::default()));
    let it = place.subject().await;
    let expected = TestCollection {
        store: model.collections.open(&it.encoder, 2).await.expect("a model"),
        encoder: it.encoder.clone(),
    };
    for call in calls {
        compare(&it, &expected, call, place.rarity_follows).await;
    }
    let found = it.store.describe().await.expect("describe");
    let told = expected.store.describe().await.expect("describe");
    assert_eq!((found.papers, found.withdrawn), (told.papers, told.withdrawn));
}

async fn compare(it: &TestCollection, model: &TestCollection, call: PortCall, rarity_follows: bool) {
    match call {
        PortCall::Upsert(seeds) => {
            // Each paper once: whether the lower of two revisions in one batch was ever there is nobody's business.
            let papers: BTreeMap<u32, IndexedPaper> =
                seeds.into_iter().map(|seed| (seed.name, seed.grown(it))).collect();
            let papers: Vec<IndexedPaper> = papers.into_values().collect();
            assert_eq!(it.write(papers.clone()).await, model.write(papers).await);
        }
        PortCall::Withdraw(name, revision) => {
            it.withdraw(&named(name), revision).await;
            model.withdraw(&named(name), revision).await;
        }
        PortCall::Search(legs, filter, limit) => {
            let legs = legs
                .into_iter()
                .enumerate()
                .map(|(operand, seed)| leg(operand, seed))
                .filter(|(_, leg)| rarity_follows || matches!(leg, LegQuery::Dense(_)));
            let query = StoreQuery {
                legs: legs.collect(),
                filter,
                limit,
            };
            let everything = StoreQuery {
                limit: usize::MAX / 4,
                ..query.clone()
            };
            let found = it.store.search(query).await.expect("search");
            let scores = model.store.search(everything).await.expect("search");
            assert!(found.keys().eq(scores.keys()), "{found:?}");
            for (key, found) in &found {
                assert_hits(found, &scores[key], limit);
            }
        }
        PortCall::List(filter, after, limit) => {
            let after = after.map(|(month, name)| ListPosition {
                published_ms: published(month).map_or(UNDATED, Timestamp::as_millisecond),
                id: id(&named(name)).to_string(),
            });
            let found = it.store.list(filter.clone(), after.clone(), limit).await.expect("list");
            assert_eq!(found, model.store.list(filter, after, limit).await.expect("list"));
        }
        PortCall::Count(filter) => {
            let found = it.store.count(filter.clone()).await.expect("count");
            assert_eq!(found, model.store.count(filter).await.expect("count"));
        }
        PortCall::Facet(filter, facet, limit) => {
            let found = it
                .store
                .facet(filter.clone(), FACETS[facet], limit)
                .await
                .expect("facet");
            assert_eq!(
                found,
                model.store.facet(filter, FACETS[facet], limit).await.expect("facet")
            );
        }
        PortCall::Get(names) => compare_papers(it, model, &names).await,
        PortCall::Scan(size) => {
            let (mut found, mut told) = (scanned(it, size).await, scanned(model, size).await);
            found.sort_by(|a, b| a.id.cmp(&b.id));
            told.sort_by(|a, b| a.id.cmp(&b.id));
            let revisions = |all: &[crate::store::StoreEntry]| -> Vec<(PaperId, u64, bool)> {
                all.iter()
                    .map(|one| (one.id.clone(), one.revision, one.content.is_none()))
                    .collect()
            };
            assert_eq!(revisions(&found), revisions(&told));
        }
    }
}

async fn compare_papers(it: &TestCollection, model: &TestCollection, names: &[u32]) {
    let ids: Vec<PaperId> = names.iter().map(|name| id(&named(*name))).collect();
    assert_eq!(
        it.store.get(&ids).await.expect("get"),
        model.store.get(&ids).await.expect("get")
    );
    assert_eq!(
        it.store.revisions_of(&ids).await.expect("revisions"),
        model.store.revisions_of(&ids).await.expect("revisions")
    );
    let told = model.store.get_with_vectors(&ids).await.expect("get");
    assert_same(&it.store.get_with_vectors(&ids).await.expect("get"), &told);
    let vectors = it.store.dense_vectors(&ids).await.expect("vectors");
    assert_eq!(vectors.len(), told.len());
    for ((id, found), told) in vectors.iter().zip(&told) {
        assert_eq!(*id, told.paper.id);
        assert_near(found, &told.vectors.dense);
    }
}

/// The best of what the model scored: near scores may change places, equal ones are by id.
fn assert_hits(found: &[Hit], scores: &[Hit], limit: usize) {
    assert_eq!(found.len(), scores.len().min(limit), "{found:?} of {scores:?}");
    let mut seen = BTreeSet::new();
    for (place, hit) in found.iter().enumerate() {
        assert!(seen.insert(&hit.id), "twice: {found:?}");
        let told = scores
            .iter()
            .find(|one| one.id == hit.id)
            .expect("the model has it too");
        for expected in [told.score, scores[place].score] {
            assert!((hit.score - expected).abs() < 1e-4, "{found:?} of {scores:?}");
        }
    }
    assert!(found.is_sorted_by(|a, b| by_score(a, b).is_lt()), "{found:?}");
}

fn named(name: u32) -> String {
    format!("n{name}")
}

/// Around a turn of years, before 1970, or unknown.
fn published(month: i64) -> Option<Timestamp> {
    (month != UNKNOWN).then(|| Timestamp::from_second(1_700_000_000 + month * 2_592_000).expect("a timestamp"))
}

/// Directions by number; 0 is none.
fn direction(number: u32) -> [f32; 2] {
    if number == 0 {
        return [0.0, 0.0];
    }
    let angle = number as f32 * 0.7;
    [angle.cos(), angle.sin()]
}

fn leg(operand: usize, (dense, number): (bool, u32)) -> (LegKey, LegQuery) {
    if dense {
        let vector = dense_vector(&direction(number));
        return (key(operand, LegName::Dense), LegQuery::Dense(vector));
    }
    let terms: Vec<(u32, f32)> = (0..number % 4).map(|term| (term + number % 3, 1.0)).collect();
    (key(operand, LegName::Sparse), LegQuery::Sparse(sparse(&terms)))
}

impl PaperSeed {
    fn grown(self, it: &TestCollection) -> IndexedPaper {
        let terms: Vec<(u32, f32)> = self
            .terms
            .iter()
            .map(|(term, weight)| (*term, *weight as f32 / 2.0))
            .collect();
        let mut one = it.paper(&named(self.name), self.revision, direction(self.direction), &terms);
        one.paper.categories = self.categories.iter().map(|n| CATEGORIES[*n].to_owned()).collect();
        one.paper.authors = self.authors.iter().map(|n| AUTHORS[*n].into()).collect();
        one.paper.source = SOURCES[self.source].to_owned();
        one.paper.language = LANGUAGES[self.language].to_owned();
        one.paper.published = published(self.month);
        if self.code {
            one.paper.links.push(Link {
                kind: LinkKind::Code,
                url: "https://example.org/code".into(),
            });
        }
        one
    }
}

fn seed() -> impl Strategy<Value = PaperSeed> {
    let words = prop::collection::btree_map(0..5_u32, 1..4_u32, 0..4);
    let lists = (prop::collection::btree_set(0..3_usize, 0..3), vec(0..3_usize, 0..3));
    let rest = (
        0..2_usize,
        0..3_usize,
        prop_oneof![4 => 0..4_i64, 1 => Just(-700), 1 => Just(UNKNOWN)],
        any::<bool>(),
    );
    (0..8_u32, 1..5_u64, 0..5_u32, words, lists, rest).prop_map(
        |(name, revision, direction, terms, (categories, authors), (source, language, month, code))| PaperSeed {
            name,
            revision,
            direction,
            terms,
            categories,
            authors,
            source,
            language,
            month,
            code,
        },
    )
}

fn some_of(values: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        4 => Just(Vec::new()),
        1 => vec(prop::sample::select(values).prop_map(str::to_owned), 1..3),
    ]
}

fn seldom<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.15, of)
}

fn filter() -> impl Strategy<Value = Filter> {
    let lists = (
        (some_of(&CATEGORIES), some_of(&CATEGORIES)),
        (some_of(&SOURCES), some_of(&SOURCES)),
        (some_of(&KEYS), some_of(&KEYS)),
        some_of(&LANGUAGES[1..]),
    );
    let times = (seldom(-1..5_i64), seldom(-1..5_i64), seldom(any::<bool>()));
    let some_terms = || seldom(vec(0..5_u32, 0..3));
    let terms = (some_terms(), some_terms(), some_terms());
    let papers = (seldom(vec(0..9_u32, 0..5)), seldom(vec(0..9_u32, 0..3)));
    (lists, times, terms, papers).prop_map(|(lists, (after, before, has_code), terms, (within, without))| {
        let ids = |names: Vec<u32>| names.into_iter().map(|name| id(&named(name))).collect();
        let ((categories, without_categories), (sources, without_sources), authors, languages) = lists;
        Filter {
            categories,
            without_categories,
            sources,
            without_sources,
            authors: authors.0,
            without_authors: authors.1,
            languages,
            published_after: after.and_then(published),
            published_before: before.and_then(published),
            has_code,
            terms: terms.0.unwrap_or_default(),
            any_terms: terms.1.unwrap_or_default(),
            without_terms: terms.2.unwrap_or_default(),
            within: within.map(ids),
            without: without.map(ids).unwrap_or_default(),
        }
    })
}

fn call() -> impl Strategy<Value = PortCall> {
    let legs = vec((any::<bool>(), 0..12_u32), 0..4);
    let after = prop::option::of((prop_oneof![3 => 0..4_i64, 1 => Just(UNKNOWN)], 0..9_u32));
    prop_oneof![
        4 => vec(seed(), 0..6).prop_map(PortCall::Upsert),
        1 => (0..9_u32, 1..6_u64).prop_map(|(name, revision)| PortCall::Withdraw(name, revision)),
        3 => (legs, filter(), 0..12_usize).prop_map(|(legs, filter, limit)| PortCall::Search(legs, filter, limit)),
        2 => (filter(), after, 0..6_usize).prop_map(|(filter, after, limit)| PortCall::List(filter, after, limit)),
        1 => filter().prop_map(PortCall::Count),
        2 => (filter(), 0..5_usize, 0..6_usize).prop_map(|(filter, facet, limit)| PortCall::Facet(filter, facet, limit)),
        1 => vec(0..10_u32, 0..6).prop_map(PortCall::Get),
        1 => (1..6_usize).prop_map(PortCall::Scan),
    ]
}
