//! What scoring and filtering read: dense vectors in one block, an inverted list per term, a few columns per paper.
//!
//! Exact: every paper that passes the filter is scored. It knows no file.

use std::cmp::Ordering;
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
    with_terms: usize,
    names: Names,
}

/// What a filter, a list and a removal read of a paper.
struct Columns {
    id: PaperId,
    published_ms: i64,
    categories: Box<[u32]>,
    source: u32,
    authors: Box<[u32]>,
    terms: Box<[u32]>,
    has_meaning: bool,
}

/// Numbers for the categories, sources and folded authors that ever came.
#[derive(Default)]
struct Names(HashMap<Box<str>, u32>);

/// A filter in numbers. `None` restricts nothing; a list without known names lets nothing pass.
struct Wanted<'a> {
    filter: &'a Filter,
    categories: Option<Vec<u32>>,
    sources: Option<Vec<u32>>,
    authors: Option<Vec<u32>>,
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
            with_terms: 0,
            names: Names::default(),
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
        let (dense, sparse) = (one.vectors.dense, one.vectors.sparse);
        let begin = slot * self.dimension;
        self.dense[begin..begin + self.dimension].copy_from_slice(&unit(&dense));
        for (term, weight) in sparse.iter() {
            self.terms.entry(term).or_default().push((number(slot), weight));
        }
        self.with_terms += usize::from(!sparse.is_empty());
        let names = &mut self.names;
        self.columns[slot] = Some(Columns {
            published_ms: one.paper.published.as_millisecond(),
            authors: (one.paper.authors.iter())
                .map(|author| names.enter(&text::fold(author)))
                .collect(),
            categories: one.paper.categories.iter().map(|name| names.enter(name)).collect(),
            source: names.enter(&one.paper.source),
            id: one.paper.id.clone(),
            terms: sparse.indices().into(),
            has_meaning: !dense.is_zero(),
        });
        self.slots.insert(one.paper.id, slot);
    }

    /// Takes a paper out.
    pub fn remove(&mut self, id: &PaperId) {
        let Some(slot) = self.slots.remove(id) else { return };
        let Some(columns) = self.columns[slot].take() else {
            return;
        };
        self.with_terms -= usize::from(!columns.terms.is_empty());
        for term in columns.terms {
            if let Some(postings) = self.terms.get_mut(&term) {
                postings.retain(|(other, _)| *other != number(slot));
                if postings.is_empty() {
                    self.terms.remove(&term);
                }
            }
        }
        self.free.push(slot);
    }

    /// Both legs.
    pub fn search(&self, query: &Query) -> Legs {
        let wanted = self.names.translate(&query.filter);
        let passing: Vec<Option<&Columns>> = self
            .columns
            .iter()
            .map(|one| one.as_ref().filter(|columns| wanted.lets_pass(columns)))
            .collect();
        Legs {
            dense: best(self.dense_scores(&query.dense, &passing), query.limit),
            sparse: best(self.sparse_scores(&query.sparse, &passing), query.limit),
        }
    }

    /// Ids newest first, equal times by id, behind a position.
    pub fn list(&self, filter: &Filter, after: Option<&Position>, limit: usize) -> Vec<PaperId> {
        let wanted = self.names.translate(filter);
        let mut found: Vec<&Columns> = self
            .columns
            .iter()
            .flatten()
            .filter(|columns| wanted.lets_pass(columns) && after.is_none_or(|after| columns.is_behind(after)))
            .collect();
        first(&mut found, limit, |a, b| {
            b.published_ms.cmp(&a.published_ms).then_with(|| a.id.cmp(&b.id))
        });
        found.into_iter().map(|columns| columns.id.clone()).collect()
    }

    fn dense_scores<'a>(&self, query: &DenseVector, passing: &[Option<&'a Columns>]) -> Vec<(&'a Columns, f64)> {
        if query.is_zero() {
            return Vec::new();
        }
        let query = unit(query);
        let mut scores = Vec::new();
        for (row, columns) in self.dense.chunks_exact(self.dimension).zip(passing) {
            if let Some(columns) = columns.filter(|columns| columns.has_meaning) {
                scores.push((columns, f64::from(dot(&query, row))));
            }
        }
        scores
    }

    fn sparse_scores<'a>(&self, query: &SparseVector, passing: &[Option<&'a Columns>]) -> Vec<(&'a Columns, f64)> {
        let papers = self.with_terms as f64;
        // One cell per slot is several times faster than a map: common words are in most papers.
        let mut scores = vec![0.0_f64; passing.len()];
        for (term, asked) in query.iter() {
            let Some(postings) = self.terms.get(&term) else {
                continue;
            };
            let holding = postings.len() as f64;
            let rarity = ((papers - holding + 0.5) / (holding + 0.5)).ln_1p();
            for (slot, weight) in postings {
                scores[*slot as usize] += f64::from(asked) * f64::from(*weight) * rarity;
            }
        }
        let mut found = Vec::new();
        for (columns, score) in passing.iter().zip(scores) {
            if let Some(columns) = columns.filter(|_| score > 0.0) {
                found.push((columns, score));
            }
        }
        found
    }
}

impl Columns {
    fn is_behind(&self, position: &Position) -> bool {
        self.published_ms < position.published_ms
            || (self.published_ms == position.published_ms && self.id.as_str() > position.id.as_str())
    }
}

impl Names {
    fn enter(&mut self, name: &str) -> u32 {
        if let Some(known) = self.0.get(name) {
            return *known;
        }
        let next = number(self.0.len());
        self.0.insert(name.into(), next);
        next
    }

    fn translate<'a>(&self, filter: &'a Filter) -> Wanted<'a> {
        let known = |names: &[String]| {
            let numbers = || names.iter().filter_map(|name| self.0.get(name.as_str()).copied());
            (!names.is_empty()).then(|| numbers().collect::<Vec<_>>())
        };
        Wanted {
            categories: known(&filter.categories),
            sources: known(&filter.sources),
            authors: known(&filter.authors),
            filter,
        }
    }
}

impl Wanted<'_> {
    fn lets_pass(&self, columns: &Columns) -> bool {
        let any = |wanted: &Option<Vec<u32>>, held: &[u32]| {
            wanted
                .as_ref()
                .is_none_or(|wanted| held.iter().any(|one| wanted.contains(one)))
        };
        let published = columns.published_ms;
        let (after, before) = (self.filter.published_after, self.filter.published_before);
        after.is_none_or(|time| published >= time.as_millisecond())
            && before.is_none_or(|time| published < time.as_millisecond())
            && any(&self.categories, &columns.categories)
            && any(&self.sources, &[columns.source])
            && any(&self.authors, &columns.authors)
    }
}

fn best(mut scores: Vec<(&Columns, f64)>, limit: usize) -> Vec<Hit> {
    first(&mut scores, limit, |(a, x), (b, y)| {
        y.total_cmp(x).then_with(|| a.id.cmp(&b.id))
    });
    let hit = |(columns, score): (&Columns, f64)| Hit {
        id: columns.id.clone(),
        score,
    };
    scores.into_iter().map(hit).collect()
}

/// Keeps the first of an order, sorted, without sorting the rest.
fn first<T>(all: &mut Vec<T>, limit: usize, order: impl Fn(&T, &T) -> Ordering) {
    if limit < all.len() {
        all.select_nth_unstable_by(limit, &order);
        all.truncate(limit);
    }
    all.sort_by(order);
}

/// Slots and names are far fewer than this can count.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// At length one, so that a dot product is a cosine; zeros stay zeros.
fn unit(vector: &DenseVector) -> Vec<f32> {
    let values = vector.as_slice();
    let norm = dot(values, values).sqrt();
    let scale = if norm > 0.0 { norm.recip() } else { 0.0 };
    values.iter().map(|value| value * scale).collect()
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
