//! What the embedded store takes: time to open, memory, and latencies, over papers that are made up but shaped like those
//! of arXiv (terms and authors are as uneven, vectors are random directions about a thousand topics).
//!
//! `cargo bench -p indexing --bench embedded`; `PAPERS` and `DIMENSION` change the size, `TO` keeps the file of papers under a
//! name, and `FROM` begins with such a file.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::unwrap_used, reason = "nothing is to be handled")]
#![expect(
    clippy::disallowed_methods,
    reason = "tasks of a benchmark are awaited where they start"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers are made up"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::{DenseVector, EncoderId, Link, LinkKind, Paper, PaperId, PaperVectors, SparseVector};
use indexing::store::embedded::EmbeddedStore;
use indexing::store::{Facet, Filter, IndexedPaper, LegKey, LegName, LegQuery, Store, StoreQuery};
use jiff::Timestamp;

const SEARCHES: usize = 400;

struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() * limit as f64) as usize
    }

    /// Few numbers often, most seldom.
    fn uneven(&mut self, limit: usize) -> usize {
        (limit as f64).powf(self.next()) as usize - 1
    }

    fn direction(&mut self, dimension: usize) -> Vec<f32> {
        let topic = self.below(1_000) as u64;
        let mut around = Random(topic * 7_919 + 12_345);
        let values: Vec<f64> = (0..dimension)
            .map(|_| {
                let own: f64 = (0..4).map(|_| self.next() - 0.5).sum();
                let common: f64 = (0..4).map(|_| around.next() - 0.5).sum();
                own + 1.2 * common
            })
            .collect();
        let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        values.iter().map(|value| (value / norm) as f32).collect()
    }

    fn terms(&mut self, count: usize) -> SparseVector {
        let mut terms: Vec<u32> = (0..count)
            .map(|_| (self.uneven(80_000) as u32).wrapping_mul(2_654_435_761))
            .collect();
        terms.sort_unstable();
        terms.dedup();
        let weights = terms.iter().map(|_| (0.5 + self.next()) as f32).collect();
        SparseVector::new(terms, weights).unwrap()
    }

    fn name(&mut self) -> String {
        let (given, family) = (self.uneven(20_000), self.uneven(60_000));
        format!("Given{given} K. Family{family}")
    }
}

fn encoder() -> EncoderId {
    EncoderId::parse("bench@1").unwrap()
}

fn paper(number: usize, dimension: usize, random: &mut Random) -> IndexedPaper {
    let link = |kind| Link {
        kind,
        url: format!("https://example.org/{number}"),
    };
    let mut links = vec![link(LinkKind::Abstract), link(LinkKind::Pdf)];
    links.extend(number.is_multiple_of(4).then(|| link(LinkKind::Code)));
    IndexedPaper {
        paper: Paper {
            id: PaperId::parse(&format!(
                "x:{:04}.{:05}",
                2_401 + number / 10_000,
                number * 7_919 % 100_000
            ))
            .unwrap(),
            title: format!("The title of paper {number}, which is about as long as titles are"),
            abstract_text: "An abstract of twelve hundred characters. ".repeat(28),
            authors: (0..=random.uneven(24)).map(|_| random.name().into()).collect(),
            categories: (0..=random.below(3))
                .map(|_| format!("cs.{}", random.uneven(150)))
                .collect(),
            published: Some(Timestamp::from_second(1_735_689_600 + number.cast_signed() as i64 * 600).unwrap()),
            updated: None,
            links,
            source: "arxiv".to_owned(),
            revision: 1,
            content_hash: format!("{number:064x}"),
            language: "en".to_owned(),
            accepted: Timestamp::UNIX_EPOCH,
            revised: Timestamp::UNIX_EPOCH,
        },
        vectors: PaperVectors {
            encoder: encoder(),
            dense: DenseVector::new(random.direction(dimension)).unwrap(),
            sparse: random.terms(155),
            truncated: false,
        },
    }
}

fn number_from(name: &str, otherwise: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// Resident memory in MiB: now, and at most.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |field: &str| {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<u64>().ok())
            .unwrap_or(0)
            / 1_024
    };
    format!("{} MiB resident, {} MiB at most", of("VmRSS:"), of("VmHWM:"))
}

fn show(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!("{name:<44} p50 {:>10.3?}  p99 {:>10.3?}", at(50), at(99));
}

async fn searches(store: &EmbeddedStore, tasks: usize, name: &str, make: fn(&mut Random, usize) -> StoreQuery) {
    let dimension = store.describe().await.unwrap().dimension;
    let began = Instant::now();
    let mut running = Vec::new();
    for task in 0..tasks {
        let store = store.clone();
        running.push(tokio::spawn(async move {
            let mut random = Random(99 + task as u64);
            let mut times = Vec::new();
            for _ in 0..SEARCHES / tasks {
                let query = make(&mut random, dimension);
                let began = Instant::now();
                store.search(query).await.unwrap();
                times.push(began.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for one in running {
        times.extend(one.await.unwrap());
    }
    let each_second = times.len() as f64 / began.elapsed().as_secs_f64();
    show(&format!("{name}, {tasks} at a time ({each_second:.0}/s)"), times);
}

fn query(leg: LegName, query: LegQuery) -> StoreQuery {
    StoreQuery {
        legs: BTreeMap::from([(LegKey { operand: 0, leg }, query)]),
        filter: Filter::default(),
        limit: 200,
    }
}

fn dense(random: &mut Random, dimension: usize) -> StoreQuery {
    let vector = DenseVector::new(random.direction(dimension)).unwrap();
    query(LegName::Dense, LegQuery::Dense(vector))
}

fn sparse(random: &mut Random, _: usize) -> StoreQuery {
    query(LegName::Sparse, LegQuery::Sparse(random.terms(8)))
}

fn both(random: &mut Random, dimension: usize) -> StoreQuery {
    let mut both = dense(random, dimension);
    both.legs.extend(sparse(random, dimension).legs);
    both
}

fn filtered(random: &mut Random, dimension: usize) -> StoreQuery {
    let mut filtered = both(random, dimension);
    filtered.filter.categories = vec![format!("cs.{}", random.uneven(150))];
    filtered.filter.published_after = Some(Timestamp::from_second(1_755_689_600).unwrap());
    filtered
}

async fn fill(store: &EmbeddedStore, papers: usize, dimension: usize, random: &mut Random) {
    let (began, mut times) = (Instant::now(), Vec::new());
    for begin in (0..papers).step_by(128) {
        let batch = (begin..papers.min(begin + 128))
            .map(|number| paper(number, dimension, random))
            .collect();
        let began = Instant::now();
        store.upsert(batch).await.unwrap();
        times.push(began.elapsed());
    }
    println!(
        "{papers} papers of {dimension} values made and written in {:.1?}",
        began.elapsed()
    );
    show("writing 128 papers while it fills", times);
    println!("{}", memory());
}

async fn writes(store: EmbeddedStore, papers: usize, dimension: usize) -> Vec<Duration> {
    let mut random = Random(7);
    let mut times = Vec::new();
    for round in 0..40_usize {
        let number = |at: usize| (round * 128 + at) * 13 % papers;
        let batch = (0..128).map(|at| paper(number(at), dimension, &mut random)).collect();
        let began = Instant::now();
        store.upsert(batch).await.unwrap();
        times.push(began.elapsed());
    }
    times
}

async fn figures(papers: usize, dimension: usize) {
    let folder = tempfile::tempdir().unwrap();
    let open = || EmbeddedStore::open(folder.path(), &encoder(), dimension).unwrap();
    if let Ok(from) = std::env::var("FROM") {
        std::fs::copy(from, folder.path().join("papers-bench-1.sqlite")).unwrap();
    } else {
        fill(&open(), papers, dimension, &mut Random(42)).await;
    }
    let file = folder.path().join("papers-bench-1.sqlite");
    println!("file of {} MiB", std::fs::metadata(&file).unwrap().len() >> 20);
    if let Ok(to) = std::env::var("TO") {
        std::fs::copy(&file, to).unwrap();
    }
    let before = memory();
    let began = Instant::now();
    let store = open();
    println!(
        "opened in {:.3?}; before: {before}; after: {}",
        began.elapsed(),
        memory()
    );
    for tasks in [1, 8] {
        searches(&store, tasks, "dense", dense).await;
        searches(&store, tasks, "sparse", sparse).await;
        searches(&store, tasks, "both", both).await;
        searches(&store, tasks, "both, by category and time", filtered).await;
    }
    println!("{}", memory());
    show(
        "writing 128 papers anew",
        writes(store.clone(), papers, dimension).await,
    );
    for facet in [Facet::Category, Facet::Year, Facet::Author] {
        let began = Instant::now();
        store.facet(Filter::default(), facet, 20).await.unwrap();
        println!("facet {facet:?} over everything {:.3?}", began.elapsed());
    }
    let began = Instant::now();
    store.list(Filter::default(), None, 50).await.unwrap();
    println!("list of 50 over everything {:.3?}", began.elapsed());
    let writer = tokio::spawn(writes(store.clone(), papers, dimension));
    searches(&store, 1, "both, while papers are written", both).await;
    show("writing 128 papers while it is searched", writer.await.unwrap());
    println!("{}", memory());
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(figures(number_from("PAPERS", 74_728), number_from("DIMENSION", 384)));
}
