//! The store and the encoder without anything around them: what a search costs at least.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use domain::{DenseVector, PaperId, bm25};
use encoder::{Model, TextKind};
use indexing::store::embedded::EmbeddedCollections;
use indexing::store::{Alias, Collections, Filter, LegKey, LegName, LegQuery, Store, StoreQuery};

use crate::load::Run;

pub struct Bare {
    store: Arc<dyn Store>,
    model: Arc<dyn Model>,
}

impl Bare {
    /// Over the data of a platform that has ended.
    pub async fn open(folder: PathBuf, model: &str) -> anyhow::Result<Self> {
        let began = Instant::now();
        let opening = tokio::task::spawn_blocking(move || EmbeddedCollections::open(&folder.join("index")));
        let collections = opening.await??;
        let (id, dimension) = collections
            .alias(Alias::Current)
            .await?
            .context("a collection in use")?;
        let store = collections.open(&id, dimension).await?;
        println!("bare store: open after {} ms", began.elapsed().as_millis());
        let name = if model == "static" {
            "potion-base-8M"
        } else {
            "all-MiniLM-L6-v2"
        };
        let model = standalone::Toolbox::from_env().model(name)?;
        let model = encoder::load(&model, &encoder::LoadOptions::default())?;
        Ok(Self {
            store,
            model: Arc::from(model),
        })
    }

    /// Each query once, by so many threads: the same questions to encoder and store as a search asks.
    pub async fn run(&self, queries: Vec<String>, threads: usize) -> anyhow::Result<Run> {
        let (queries, next) = (Arc::new(queries), Arc::new(AtomicUsize::new(0)));
        let began = Instant::now();
        let thread = |_| {
            let (queries, next) = (Arc::clone(&queries), Arc::clone(&next));
            let (store, model) = (Arc::clone(&self.store), Arc::clone(&self.model));
            tokio::spawn(async move {
                let mut times = Vec::new();
                while let Some(query) = queries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let asked = Instant::now();
                    search(store.as_ref(), model.as_ref(), query).await?;
                    times.push(asked.elapsed().as_secs_f64());
                }
                Ok::<_, anyhow::Error>(times)
            })
        };
        let running: Vec<_> = (0..threads).map(thread).collect();
        let mut times = Vec::new();
        for one in running {
            times.extend(one.await??);
        }
        Ok(Run::of(times, began.elapsed().as_secs_f64()))
    }

    /// The share of the ten nearest by exact cosine that the platform found.
    pub async fn recall(&self, answers: &[(String, Vec<String>)]) -> anyhow::Result<f64> {
        let mut all: Vec<(PaperId, DenseVector)> = Vec::new();
        let mut after = None;
        loop {
            let part = self.store.scan(after, 2_000).await?;
            let papers = part.entries.into_iter().filter_map(|stored| stored.content);
            all.extend(papers.map(|one| (one.paper.id, one.vectors.dense)));
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        let (mut found, mut wanted) = (0, 0);
        for (query, ids) in answers {
            let query = embed(self.model.as_ref(), query)?;
            let dot = |vector: &DenseVector| -> f64 {
                let pairs = vector.as_slice().iter().zip(query.as_slice());
                pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let mut scored: Vec<(f64, &PaperId)> = all.iter().map(|(id, vector)| (dot(vector), id)).collect();
            scored.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.cmp(y)));
            wanted += 10;
            found += scored
                .iter()
                .take(10)
                .filter(|(_, id)| ids.iter().any(|one| one == id.as_str()))
                .count();
        }
        Ok(f64::from(u32::try_from(found)?) / f64::from(wanted))
    }
}

fn embed(model: &dyn Model, query: &str) -> anyhow::Result<DenseVector> {
    let tokens = model.tokenize(TextKind::Query, query)?;
    let mut vector = vec![0.0; model.description().dimension];
    model.encode(&[&tokens.ids], &mut encoder::Workspace::default(), &mut vector)?;
    Ok(DenseVector::new(vector)?)
}

async fn search(store: &dyn Store, model: &dyn Model, query: &str) -> anyhow::Result<()> {
    let dense = embed(model, query)?;
    let ask = |legs, filter, limit| store.search(StoreQuery { legs, filter, limit });
    let key = |leg| LegKey { operand: 0, leg };
    let legs = BTreeMap::from([
        (key(LegName::Dense), LegQuery::Dense(dense.clone())),
        (key(LegName::Sparse), LegQuery::Sparse(bm25::query_vector(query)?)),
    ]);
    let hits = ask(legs, Filter::default(), 200).await?;
    let mut candidates: Vec<PaperId> = hits.into_values().flatten().map(|hit| hit.id).collect();
    let best: Vec<PaperId> = candidates.iter().take(10).cloned().collect();
    let page: Vec<PaperId> = candidates.iter().take(20).cloned().collect();
    candidates.sort();
    candidates.dedup();
    let vectors = store.dense_vectors(&best).await?;
    let centre = vectors.into_iter().next().map_or(dense.clone(), |(_, vector)| vector);
    let (count, within) = (candidates.len(), Some(candidates));
    let filter = Filter {
        within,
        ..Filter::default()
    };
    let legs = BTreeMap::from([
        (key(LegName::Dense), LegQuery::Dense(dense)),
        (key(LegName::Feedback), LegQuery::Dense(centre)),
    ]);
    ask(legs, filter, count).await?;
    store.get(&page).await?;
    Ok(())
}
