//! Hybrid search: embeds what is asked, asks the legs of the store, fuses, and ranks.
//!
//! A search asks the store twice. First each leg for its best; then, among the candidates these make up, for every dense
//! score that is not known yet and for likeness to the best of the first round (feedback). It keeps no papers; pages are cut
//! from one list by [`pages`].

mod explain;
mod expression;
pub mod pages;
pub mod plan;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::fusion::{self, Fused, Hit, Leg};
use domain::query::Meaning;
use domain::ranking::{self, Recency, Set};
use domain::trending::Window;
use domain::vectors::VectorError;
use domain::{DenseVector, EncoderId, Paper, PaperId, SparseVector, bm25};

pub use self::explain::Terms;
use self::pages::List;
use self::plan::{Mode, Order, Plan, Scope};
use crate::catalogue::{Catalogue, Index};
use crate::encoders::EncodersError;
use crate::metrics::{SEARCH_SECONDS, SEARCHES_BY_WORDS_ALONE};
use crate::store::{Filter, IndexedPaper, Position, Probe, Query, StoreError};
use crate::trending::{Board, Trending};

/// Papers of each leg that take part.
const CANDIDATES: usize = 200;
/// The same where the texts of candidates are checked, of which many may fail.
const CHECKED_CANDIDATES: usize = 1_000;
/// Where the list of a search ends.
const LONGEST_LIST: usize = 400;
/// The window of the order TRENDING.
const TRENDING: Window = Window::Week;
/// Said when there is no model for the collection.
const WORDS_ALONE: &str = "searching by words alone: the model of this index is not available, and the index for the new \
                           model is being built";

/// Searches the catalogue.
pub struct Search {
    catalogue: Arc<Catalogue>,
    trending: Arc<Trending>,
    weights: Weights,
}

/// What the dense leg weighs for the models that were measured on judged sets, by the beginning of the encoder id; the sparse
/// leg weighs 1. See tests/evaluation/README.md.
const MEASURED: [(&str, f64); 2] = [("all-MiniLM-L6-v2", 1.0), ("potion-base-8M", 0.43)];

/// What the dense leg weighs.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    dense: Option<f64>,
}

impl Weights {
    /// As configured, or as measured.
    pub fn new(dense: Option<f64>) -> Self {
        Self { dense }
    }

    /// For the vectors of an encoder.
    fn dense(self, encoder: &EncoderId) -> f64 {
        let measured = MEASURED.iter().find(|(name, _)| encoder.as_str().starts_with(name));
        self.dense.or(measured.map(|(_, weight)| *weight)).unwrap_or(1.0)
    }
}

/// A search that failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// What is asked cannot be embedded.
    #[error(transparent)]
    Encoders(#[from] EncodersError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A paper that results should be like is not in the catalogue.
    #[error("{0}")]
    UnknownPaper(PaperId),
    /// Vectors that do not fit together.
    #[error("vectors do not fit together: {0}")]
    Vectors(#[from] VectorError),
}

/// One operand of the query, with what its legs ask for.
struct Operand {
    dense: Option<DenseVector>,
    sparse: Option<SparseVector>,
    /// Whether its best are candidates; those of NOT are not.
    finds: bool,
    /// What its legs found in the first round.
    found: Found,
    /// Where the best of the first round lie.
    centre: Option<DenseVector>,
}

#[derive(Default, Clone)]
struct Found {
    dense: Vec<Hit>,
    sparse: Vec<Hit>,
}

/// Operands as they are read off the meaning.
#[derive(Default)]
struct Sought {
    words: Vec<(usize, String)>,
    papers: Vec<(usize, PaperId)>,
    finds: Vec<bool>,
}

impl Search {
    /// Over the catalogue, with what trends in it.
    pub fn new(catalogue: Arc<Catalogue>, trending: Arc<Trending>, weights: Weights) -> Self {
        Self {
            catalogue,
            trending,
            weights,
        }
    }

    /// Everything a plan finds, best first or in the plan's order.
    pub async fn list(&self, plan: &Plan) -> Result<List, SearchError> {
        let index = self.catalogue.view().current.clone();
        let Some(meaning) = &plan.meaning else {
            let ranking = self.listed(&index, plan).await?;
            return Ok(List { ranking, notice: "" });
        };
        let mut sought = Sought::default();
        let set = sought.read(meaning, true);
        let (mut operands, notice) = self.operands(&index, &sought, plan.mode).await?;
        let mut filter = plan.scope.filter.clone();
        filter.without.extend(sought.papers.iter().map(|(_, id)| id.clone()));
        let timer = SEARCH_SECONDS.start_timer();
        let limit = if plan.scope.checks.is_empty() {
            CANDIDATES
        } else {
            CHECKED_CANDIDATES
        };
        self.first_round(&index, &mut operands, filter, limit).await?;
        let mut ranked = self.second_round(&index, &set, operands, limit).await?;
        timer.observe_duration();
        if !plan.scope.checks.is_empty() || plan.recency.is_some() || plan.order == Order::Newest {
            ranked = by_text(&index, plan, ranked).await?;
        }
        ranked.truncate(LONGEST_LIST);
        if plan.order == Order::Trending {
            let board = self.trending.board(TRENDING, &index.store).await?;
            by_trending(&board, &mut ranked);
        }
        if plan.diversity > 0.0 {
            let vectors = vectors(&index, &ranked).await?;
            ranked = ranking::diversify(ranked, plan.diversity, &vectors);
        }
        Ok(List {
            ranking: ranked,
            notice,
        })
    }

    /// Where nothing is looked for: the newest papers of the scope; where the order says so, behind those that trend.
    async fn listed(&self, index: &Index, plan: &Plan) -> Result<Vec<Fused>, SearchError> {
        let mut ranking = Vec::new();
        if plan.order == Order::Trending {
            let board = self.trending.board(TRENDING, &index.store).await?;
            let trending = board.within(&plan.scope, &index.store, LONGEST_LIST).await?;
            ranking.extend(trending.into_iter().map(|one| unranked(one.id)));
        }
        let before: HashSet<PaperId> = ranking.iter().map(|one| one.id.clone()).collect();
        let newest = newest(index, &plan.scope, LONGEST_LIST).await?;
        ranking.extend(newest.into_iter().filter(|one| !before.contains(&one.id)));
        ranking.truncate(LONGEST_LIST);
        Ok(ranking)
    }

    /// Operands with the vectors of their texts and papers. Where nobody offers the collection's encoder, they search by words.
    async fn operands(
        &self,
        index: &Index,
        sought: &Sought,
        mode: Mode,
    ) -> Result<(Vec<Operand>, &'static str), SearchError> {
        let ids: Vec<PaperId> = sought.papers.iter().map(|(_, id)| id.clone()).collect();
        let (mut notice, mut dense, mut sparse) = ("", HashMap::new(), HashMap::new());
        if mode != Mode::Sparse {
            let texts = sought.words.iter().map(|(_, words)| words.clone()).collect();
            match self.catalogue.encoders.queries(&index.encoder, texts).await {
                Ok(vectors) => dense.extend(sought.words.iter().map(|(number, _)| *number).zip(vectors)),
                Err(EncodersError::NotOffered(_)) => {
                    SEARCHES_BY_WORDS_ALONE.inc();
                    notice = WORDS_ALONE;
                }
                Err(error) => return Err(error.into()),
            }
        }
        for (number, words) in &sought.words {
            sparse.insert(*number, bm25::query_vector(words)?);
        }
        if !ids.is_empty() {
            let papers = index.store.get_with_vectors(&ids).await?;
            let papers: HashMap<PaperId, IndexedPaper> =
                papers.into_iter().map(|one| (one.paper.id.clone(), one)).collect();
            for (number, id) in &sought.papers {
                let one = papers.get(id).ok_or_else(|| SearchError::UnknownPaper(id.clone()))?;
                dense.insert(*number, one.vectors.dense.clone());
                sparse.insert(*number, bm25::query_like(std::slice::from_ref(&one.vectors.sparse))?);
            }
        }
        let words_alone = !notice.is_empty();
        let operand = |(number, finds): (usize, &bool)| Operand {
            dense: dense
                .remove(&number)
                .filter(|vector| mode != Mode::Sparse && !vector.is_zero()),
            sparse: sparse.remove(&number).filter(|_| mode != Mode::Dense || words_alone),
            finds: *finds,
            found: Found::default(),
            centre: None,
        };
        Ok((sought.finds.iter().enumerate().map(operand).collect(), notice))
    }

    /// The best of each leg, and where the best of both together lie.
    async fn first_round(
        &self,
        index: &Index,
        operands: &mut [Operand],
        filter: Filter,
        limit: usize,
    ) -> Result<(), SearchError> {
        let mut finding: Vec<&mut Operand> = operands.iter_mut().filter(|operand| operand.finds).collect();
        let probes = finding.iter().flat_map(|operand| operand.probes()).collect();
        let mut lists = ask(index, probes, filter, limit).await?;
        for operand in &mut finding {
            operand.found = operand.take(&mut lists);
            let both = operand.dense.is_some() && operand.sparse.is_some();
            if !both {
                continue;
            }
            let first = fusion::fuse(self.legs(index, operand, operand.found.clone(), limit));
            let best = first.iter().take(fusion::FEEDBACK_PAPERS).map(|fused| fused.id.clone());
            let vectors = index.store.dense_vectors(&best.collect::<Vec<_>>()).await?;
            let vectors: Vec<DenseVector> = vectors.into_iter().map(|(_, vector)| vector).collect();
            operand.centre = fusion::feedback_centre(&vectors);
        }
        Ok(())
    }

    /// What is not known yet of the candidates, and the final ranking.
    async fn second_round(
        &self,
        index: &Index,
        set: &Set,
        operands: Vec<Operand>,
        limit: usize,
    ) -> Result<Vec<Fused>, SearchError> {
        let candidates = candidates(&operands);
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let alone = operands.len() == 1;
        let mut probes = Vec::new();
        for operand in &operands {
            if !alone {
                probes.extend(operand.sparse.clone().map(Probe::Sparse));
            }
            // Alone and without feedback, every candidate comes from the one leg there is.
            if !alone || operand.centre.is_some() {
                probes.extend(operand.dense.clone().map(Probe::Dense));
            }
            probes.extend(operand.centre.clone().map(Probe::Dense));
        }
        let within = Filter {
            within: Some(candidates.clone()),
            ..Filter::default()
        };
        let mut lists = ask(index, probes, within, candidates.len()).await?;
        let mut next = || if lists.is_empty() { Vec::new() } else { lists.remove(0) };
        let mut rankings = Vec::with_capacity(operands.len());
        for operand in operands {
            let mut found = operand.found.clone();
            let mut asked = limit;
            if !alone {
                asked = usize::MAX;
                if operand.sparse.is_some() {
                    found.sparse = next();
                }
            }
            if operand.dense.is_some() && (!alone || operand.centre.is_some()) {
                found.dense = next();
            }
            let mut legs = self.legs(index, &operand, found, asked);
            if operand.centre.is_some() {
                legs.push(Leg {
                    name: "feedback",
                    weight: fusion::feedback_weight(&legs),
                    hits: next(),
                    unseen: 0.0,
                });
            }
            rankings.push(fusion::fuse(legs));
        }
        Ok(ranking::combine(set, rankings))
    }

    fn legs(&self, index: &Index, operand: &Operand, found: Found, limit: usize) -> Vec<Leg> {
        let mut legs = Vec::with_capacity(3);
        if operand.dense.is_some() {
            legs.push(Leg {
                name: "dense",
                weight: self.weights.dense(&index.encoder),
                unseen: fusion::unseen(&found.dense, limit, 0.0),
                hits: found.dense,
            });
        }
        if operand.sparse.is_some() {
            legs.push(Leg {
                name: "sparse",
                weight: 1.0,
                unseen: fusion::unseen(&found.sparse, limit, 0.0),
                hits: found.sparse,
            });
        }
        legs
    }
}

impl Sought {
    /// Numbers the operands of a meaning.
    fn read(&mut self, meaning: &Meaning, finds: bool) -> Set {
        match meaning {
            Meaning::Words(words) => {
                self.words.push((self.finds.len(), words.clone()));
                self.operand(finds)
            }
            Meaning::Like(id) => {
                self.papers.push((self.finds.len(), id.clone()));
                self.operand(finds)
            }
            Meaning::All(members) => Set::All(members.iter().map(|one| self.read(one, finds)).collect()),
            Meaning::Any(members) => Set::Any(members.iter().map(|one| self.read(one, finds)).collect()),
            Meaning::Not(member) => Set::Not(Box::new(self.read(member, false))),
        }
    }

    fn operand(&mut self, finds: bool) -> Set {
        self.finds.push(finds);
        Set::Operand(self.finds.len() - 1)
    }
}

impl Operand {
    fn probes(&self) -> Vec<Probe> {
        let dense = self.dense.clone().map(Probe::Dense);
        dense
            .into_iter()
            .chain(self.sparse.clone().map(Probe::Sparse))
            .collect()
    }

    /// The answers to its probes, which stand first.
    fn take(&self, lists: &mut Vec<Vec<Hit>>) -> Found {
        let mut next = |asked: bool| {
            if asked && !lists.is_empty() {
                lists.remove(0)
            } else {
                Vec::new()
            }
        };
        Found {
            dense: next(self.dense.is_some()),
            sparse: next(self.sparse.is_some()),
        }
    }
}

async fn ask(index: &Index, probes: Vec<Probe>, filter: Filter, limit: usize) -> Result<Vec<Vec<Hit>>, StoreError> {
    if probes.is_empty() {
        return Ok(Vec::new());
    }
    let query = Query { probes, filter, limit };
    index.store.search(query).await
}

/// Every paper that some leg found, by id.
fn candidates(operands: &[Operand]) -> Vec<PaperId> {
    let found = operands
        .iter()
        .flat_map(|operand| operand.found.dense.iter().chain(&operand.found.sparse));
    let mut ids: Vec<PaperId> = found.map(|hit| hit.id.clone()).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Checks texts, counts age, and orders by date, as the plan wants. All of it needs the papers themselves.
async fn by_text(index: &Index, plan: &Plan, mut ranked: Vec<Fused>) -> Result<Vec<Fused>, SearchError> {
    let ids: Vec<PaperId> = ranked.iter().map(|fused| fused.id.clone()).collect();
    let papers = index.store.get(&ids).await?;
    let papers: HashMap<PaperId, Paper> = papers.into_iter().map(|paper| (paper.id.clone(), paper)).collect();
    let passes = |id: &PaperId| {
        let paper = papers.get(id)?;
        Some(plan.scope.checks.pass(&paper.title, &paper.abstract_text))
    };
    ranked.retain(|fused| passes(&fused.id) == Some(true));
    let published: HashMap<PaperId, jiff::Timestamp> = papers
        .values()
        .map(|paper| (paper.id.clone(), paper.published))
        .collect();
    if let Some(recency) = plan.recency {
        // What NOT takes off can leave nothing above zero; a bonus is never a fine.
        let best = ranked.first().map_or(0.0, |fused| fused.score).max(0.0);
        let weight = recency.weight * best;
        ranking::add_recency(&mut ranked, Recency { weight, ..recency }, &published);
    }
    if plan.order == Order::Newest {
        ranked.truncate(CANDIDATES);
        ranked.sort_by(|a, b| {
            published
                .get(&b.id)
                .cmp(&published.get(&a.id))
                .then_with(|| a.id.cmp(&b.id))
        });
    }
    Ok(ranked)
}

/// What trends first; the others stay as they are.
fn by_trending(board: &Board, ranked: &mut [Fused]) {
    ranked.sort_by_key(|fused| board.place(&fused.id).unwrap_or(usize::MAX));
}

async fn vectors(index: &Index, ranked: &[Fused]) -> Result<HashMap<PaperId, Vec<f32>>, StoreError> {
    let ids: Vec<PaperId> = ranked.iter().map(|fused| fused.id.clone()).collect();
    let vectors = index.store.dense_vectors(&ids).await?;
    Ok(vectors
        .into_iter()
        .map(|(id, vector)| (id, vector.into_vec()))
        .collect())
}

/// The newest papers of a scope, all of equal score.
async fn newest(index: &Index, scope: &Scope, most: usize) -> Result<Vec<Fused>, StoreError> {
    let (mut ranking, mut after) = (Vec::new(), None);
    loop {
        let papers = index.store.list(scope.filter.clone(), after, most).await?;
        let last = papers.last().map(Position::of);
        let full = papers.len() == most;
        for paper in papers {
            if scope.checks.is_empty() || scope.checks.pass(&paper.title, &paper.abstract_text) {
                ranking.push(unranked(paper.id));
            }
        }
        if !full || ranking.len() >= most {
            ranking.truncate(most);
            return Ok(ranking);
        }
        after = last;
    }
}

fn unranked(id: PaperId) -> Fused {
    Fused {
        id,
        score: 0.0,
        parts: Vec::new(),
    }
}
