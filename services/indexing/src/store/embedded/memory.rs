//! What scoring and filtering read: dense vectors in one block, an inverted list per term, a few columns per paper.
//!
//! Exact: every paper that passes the filter is scored. It knows no file.

use std::collections::HashMap;

use domain::fusion::Hit;
use domain::{DenseVector, PaperId, SparseVector, text};

use crate::store::{Filter, IndexedPaper, Legs, Position, Query};

/// The index in memory. A paper has a slot; the slot of a paper that went is used again.
pub struct Memory {
    dimension: usize,
    dense: Vec<f32>,
    columns: Vec<Option<Columns>>,
    slots: HashMap<PaperId, usize>,
    free: Vec<usize>,
    terms: HashMap<u32, Vec<(u32, f32)>>,
}

struct Columns {
    id: PaperId,
    published_ms: i64,
    categories: Vec<String>,
    source: String,
    authors: Vec<String>,
    terms: Vec<u32>,
}

impl Memory {
    /// Empty, for vectors of a length.
    pub fn new(dimension: usize) -> Self {
        Self {
            dimension,
            dense: Vec::new(),
            columns: Vec::new(),
            slots: HashMap::new(),
            free: Vec::new(),
            terms: HashMap::new(),
        }
    }

    /// Puts a paper in the place of its older self.
    pub fn put(&mut self, one: IndexedPaper) {
        self.remove(&one.paper.id);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.columns.push(None);
            self.dense.resize(self.dense.len() + self.dimension, 0.0);
            self.columns.len() - 1
        });
        let begin = slot * self.dimension;
        self.dense[begin..begin + self.dimension].copy_from_slice(one.vectors.dense.as_slice());
        let mark = u32::try_from(slot).unwrap_or(u32::MAX);
        for (term, weight) in one.vectors.sparse.iter() {
            self.terms.entry(term).or_default().push((mark, weight));
        }
        self.slots.insert(one.paper.id.clone(), slot);
        self.columns[slot] = Some(Columns {
            published_ms: one.paper.published.as_millisecond(),
            authors: one.paper.authors.iter().map(|author| text::fold(author)).collect(),
            categories: one.paper.categories,
            source: one.paper.source,
            id: one.paper.id,
            terms: one.vectors.sparse.indices().to_vec(),
        });
    }

    /// Takes a paper out.
    pub fn remove(&mut self, id: &PaperId) {
        let Some(slot) = self.slots.remove(id) else { return };
        let terms = self.columns[slot]
            .take()
            .map(|columns| columns.terms)
            .unwrap_or_default();
        let mark = u32::try_from(slot).unwrap_or(u32::MAX);
        for term in terms {
            if let Some(postings) = self.terms.get_mut(&term) {
                postings.retain(|(other, _)| *other != mark);
                if postings.is_empty() {
                    self.terms.remove(&term);
                }
            }
        }
        self.free.push(slot);
    }

    /// Both legs.
    pub fn search(&self, query: &Query) -> Legs {
        let passing: Vec<bool> = self
            .columns
            .iter()
            .map(|one| one.as_ref().is_some_and(|columns| passes(columns, &query.filter)))
            .collect();
        Legs {
            dense: self.best(self.dense_scores(&query.dense, &passing), query.limit),
            sparse: self.best(self.sparse_scores(&query.sparse, &passing), query.limit),
        }
    }

    /// Ids newest first, equal times by id, behind a position.
    pub fn list(&self, filter: &Filter, after: Option<&Position>, limit: usize) -> Vec<PaperId> {
        let mut found: Vec<&Columns> = self
            .columns
            .iter()
            .flatten()
            .filter(|columns| passes(columns, filter))
            .filter(|columns| {
                after.is_none_or(|after| {
                    let (published, id) = (columns.published_ms, columns.id.as_str());
                    published < after.published_ms || (published == after.published_ms && id > after.id.as_str())
                })
            })
            .collect();
        found.sort_by(|a, b| b.published_ms.cmp(&a.published_ms).then_with(|| a.id.cmp(&b.id)));
        found
            .into_iter()
            .take(limit)
            .map(|columns| columns.id.clone())
            .collect()
    }

    fn dense_scores(&self, query: &DenseVector, passing: &[bool]) -> Vec<(usize, f64)> {
        if query.is_zero() {
            return Vec::new();
        }
        let query = query.as_slice();
        let rows = self.dense.chunks_exact(self.dimension).enumerate();
        rows.filter(|(slot, _)| passing[*slot])
            .map(|(slot, row)| (slot, f64::from(dot(query, row))))
            .collect()
    }

    fn sparse_scores(&self, query: &SparseVector, passing: &[bool]) -> Vec<(usize, f64)> {
        let papers = self.slots.len() as f64;
        let mut scores: HashMap<usize, f64> = HashMap::new();
        for (term, asked) in query.iter() {
            let Some(postings) = self.terms.get(&term) else {
                continue;
            };
            let holding = postings.len() as f64;
            let rarity = ((papers - holding + 0.5) / (holding + 0.5)).ln_1p();
            for (slot, weight) in postings {
                let slot = *slot as usize;
                if passing[slot] {
                    *scores.entry(slot).or_default() += f64::from(asked) * f64::from(*weight) * rarity;
                }
            }
        }
        scores.into_iter().filter(|(_, score)| *score > 0.0).collect()
    }

    fn best(&self, mut scores: Vec<(usize, f64)>, limit: usize) -> Vec<Hit> {
        let id = |slot: usize| self.columns[slot].as_ref().map(|columns| &columns.id);
        scores.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| id(*a).cmp(&id(*b))));
        let best = scores.into_iter().take(limit);
        best.filter_map(|(slot, score)| {
            Some(Hit {
                id: id(slot)?.clone(),
                score,
            })
        })
        .collect()
    }
}

fn passes(columns: &Columns, filter: &Filter) -> bool {
    let any = |asked: &[String], held: &[String]| asked.is_empty() || asked.iter().any(|one| held.contains(one));
    any(&filter.categories, &columns.categories)
        && any(&filter.authors, &columns.authors)
        && (filter.sources.is_empty() || filter.sources.contains(&columns.source))
        && filter
            .published_after
            .is_none_or(|time| columns.published_ms >= time.as_millisecond())
        && filter
            .published_before
            .is_none_or(|time| columns.published_ms < time.as_millisecond())
}

/// Dot product in eight lanes, which the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_blocks
        .remainder()
        .iter()
        .zip(b_blocks.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_blocks.zip(b_blocks) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}
