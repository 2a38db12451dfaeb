//! Hybrid search: embeds the query, asks the store for each leg, fuses the legs, and ranks.
//!
//! A search asks the store twice. First each leg for its best; then, among the candidates these make up, for every score
//! that is not known yet and for likeness to the best of the first round (feedback). It keeps no papers; pages are cut from
//! one list by [`pages`]. The newest papers of a search and similar ones are only those that fit; see [`floors`].

mod explain;
mod expression;
pub mod fields;
mod floors;
mod naming;
mod operands;
pub mod pages;
pub mod plan;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use common::clock::Clock;
use domain::fusion::{self, FusedPaper, Leg};
use domain::ranking::{self, Recency, SetExpression};
use domain::relevance::{self, OperandFloor};
use domain::trending::TrendingWindow;
use domain::vectors::VectorError;
use domain::{DenseVector, EncoderId, Paper, PaperId};

pub use self::explain::TermScores;
use self::floors::RelevanceFloors;
use self::operands::{Operand, OperandHits, QueryOperands, terms_alone};
use self::pages::ResultList;
use self::plan::{SearchOrder, SearchPlan};
use crate::catalogue::{Catalogue, OpenCollection};
use crate::encoders::EncodersError;
use crate::metrics::SEARCH_SECONDS;
use crate::scope::SearchScope;
use crate::store::{Filter, LegHits, LegKey, LegName, LegQuery, ListPosition, StoreError, StoreQuery};
use crate::trending::{Leaderboard, TrendingPapers};

/// Papers of each leg that take part.
const CANDIDATES: usize = 200;
/// The same where the texts of candidates are checked, because many may fail.
const CHECKED_CANDIDATES: usize = 1_000;
/// Most papers in the list of a search.
const LONGEST_LIST: usize = 400;
/// The window of the order TRENDING.
const TRENDING: TrendingWindow = TrendingWindow::Week;

/// Searches the catalogue.
pub struct HybridSearch {
    catalogue: Arc<Catalogue>,
    trending: Arc<TrendingPapers>,
    weights: LegWeights,
    floors: RelevanceFloors,
}

/// Weights of the dense leg for the models that were measured on judged sets, by the beginning of the encoder id; the sparse
/// leg weighs 1. See tests/evaluation/README.md.
const MEASURED: [(&str, f64); 2] = [("all-MiniLM-L6-v2", 1.0), ("potion-base-8M", 0.43)];

/// What the dense leg weighs.
#[derive(Debug, Clone, Copy)]
pub struct LegWeights {
    dense: Option<f64>,
}

impl LegWeights {
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
    /// The query cannot be embedded.
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

impl HybridSearch {
    /// Over the catalogue and what is trending in it.
    pub fn new(catalogue: Arc<Catalogue>, trending: Arc<TrendingPapers>, weights: LegWeights, clock: Clock) -> Self {
        Self {
            catalogue,
            trending,
            weights,
            floors: RelevanceFloors::new(clock),
        }
    }

    /// Everything a plan finds, best first or in the plan's order.
    pub async fn list(&self, plan: &SearchPlan) -> Result<ResultList, SearchError> {
        let index = self.catalogue.view().current.clone();
        let Some(expression) = &plan.expression else {
            let ranking = self.listed(&index, plan).await?;
            return Ok(ResultList {
                ranking,
                notice: "",
                terms: None,
            });
        };
        let (query, set) = QueryOperands::of(expression);
        let (operands, notice) = query.with_vectors(&self.catalogue.encoders, &index, plan.mode).await?;
        let terms = terms_alone(&operands);
        let mut filter = plan.scope.filter.clone();
        filter.without.extend(query.papers.iter().map(|(_, id)| id.clone()));
        let (mut ranked, floors) = self.ranked(&index, plan, &set, operands, filter).await?;
        let fits = |paper: &FusedPaper| relevance::fits(&set, paper, &floors);
        if plan.only_fitting {
            ranked.retain(fits);
        }
        if !plan.scope.checks.is_empty() || plan.recency.is_some() || plan.order == SearchOrder::Newest {
            ranked = by_text(&index, plan, ranked).await?;
        }
        ranked.truncate(LONGEST_LIST);
        if plan.order == SearchOrder::Trending {
            let leaderboard = self.trending.leaderboard(TRENDING, &index.store).await?;
            by_trending(&leaderboard, &mut ranked, fits);
        }
        if plan.diversity > 0.0 {
            let vectors = vectors(&index, &ranked).await?;
            ranked = ranking::diversify(ranked, plan.diversity, &vectors);
        }
        let naming = naming::lead(plan, &mut ranked);
        Ok(ResultList {
            ranking: ranked,
            notice: naming.unwrap_or(notice),
            terms,
        })
    }

    /// What the operands find together, best first, and from what on it fits; nothing where that does not matter.
    async fn ranked(
        &self,
        index: &OpenCollection,
        plan: &SearchPlan,
        set: &SetExpression,
        mut operands: Vec<Operand>,
        filter: Filter,
    ) -> Result<(Vec<FusedPaper>, Vec<OperandFloor>), SearchError> {
        let timer = SEARCH_SECONDS.start_timer();
        let limit = if plan.scope.checks.is_empty() {
            CANDIDATES
        } else {
            CHECKED_CANDIDATES
        };
        let floors = if plan.only_fitting || plan.order == SearchOrder::Trending {
            self.floors.of(&self.catalogue.encoders, index, &operands).await?
        } else {
            Vec::new()
        };
        self.first_round(index, &mut operands, filter, limit).await?;
        let ranked = self.second_round(index, set, operands, limit).await?;
        timer.observe_duration();
        Ok((ranked, floors))
    }

    /// The list of a plan without a query: the newest papers of the scope; where the order says so, behind those that trend.
    async fn listed(&self, index: &OpenCollection, plan: &SearchPlan) -> Result<Vec<FusedPaper>, SearchError> {
        let mut ranking = Vec::new();
        if plan.order == SearchOrder::Trending {
            let leaderboard = self.trending.leaderboard(TRENDING, &index.store).await?;
            let trending = leaderboard.within(&plan.scope, &index.store, LONGEST_LIST).await?;
            ranking.extend(trending.into_iter().map(|one| unranked(one.id)));
        }
        let before: HashSet<PaperId> = ranking.iter().map(|one| one.id.clone()).collect();
        let newest = newest(index, &plan.scope, LONGEST_LIST).await?;
        ranking.extend(newest.into_iter().filter(|one| !before.contains(&one.id)));
        ranking.truncate(LONGEST_LIST);
        Ok(ranking)
    }

    /// The best of each leg, and the centre of the best of both together.
    async fn first_round(
        &self,
        index: &OpenCollection,
        operands: &mut [Operand],
        filter: Filter,
        limit: usize,
    ) -> Result<(), SearchError> {
        let mut selecting: Vec<&mut Operand> = operands.iter_mut().filter(|operand| operand.selects).collect();
        let legs = selecting.iter().flat_map(|operand| operand.first_legs()).collect();
        let mut answers = ask(index, legs, filter, limit).await?;
        for operand in &mut selecting {
            operand.hits.update(operand.number, &mut answers);
            let both = operand.dense.is_some() && operand.sparse.is_some();
            if !both {
                continue;
            }
            let first = fusion::fuse(self.legs(index, operand, operand.hits.clone(), limit));
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
        index: &OpenCollection,
        set: &SetExpression,
        operands: Vec<Operand>,
        limit: usize,
    ) -> Result<Vec<FusedPaper>, SearchError> {
        let candidates = candidates(&operands);
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let alone = operands.len() == 1;
        let legs = operands.iter().flat_map(|operand| operand.second_legs(alone)).collect();
        let within = Filter {
            within: Some(candidates.clone()),
            ..Filter::default()
        };
        let mut answers = ask(index, legs, within, candidates.len()).await?;
        // Beside other operands every candidate was scored by each leg; alone, each leg was cut at its limit.
        let limit = if alone { limit } else { usize::MAX };
        let mut rankings = Vec::with_capacity(operands.len());
        for operand in operands {
            let mut hits = operand.hits.clone();
            hits.update(operand.number, &mut answers);
            let mut legs = self.legs(index, &operand, hits, limit);
            if let Some(hits) = answers.remove(&operand.key(LegName::Feedback)) {
                legs.push(Leg {
                    name: "feedback",
                    weight: fusion::feedback_weight(&legs),
                    hits,
                    unseen: 0.0,
                });
            }
            rankings.push(fusion::fuse(legs));
        }
        Ok(ranking::combine(set, rankings))
    }

    fn legs(&self, index: &OpenCollection, operand: &Operand, hits: OperandHits, limit: usize) -> Vec<Leg> {
        let mut legs = Vec::with_capacity(3);
        if operand.dense.is_some() {
            legs.push(Leg {
                name: "dense",
                weight: self.weights.dense(&index.encoder),
                unseen: fusion::unseen(&hits.dense, limit, 0.0),
                hits: hits.dense,
            });
        }
        if operand.sparse.is_some() {
            legs.push(Leg {
                name: "sparse",
                weight: 1.0,
                unseen: fusion::unseen(&hits.sparse, limit, 0.0),
                hits: hits.sparse,
            });
        }
        legs
    }
}

/// Asks the store for all legs in one call.
async fn ask(
    index: &OpenCollection,
    legs: BTreeMap<LegKey, LegQuery>,
    filter: Filter,
    limit: usize,
) -> Result<LegHits, StoreError> {
    if legs.is_empty() {
        return Ok(LegHits::new());
    }
    let keys: Vec<LegKey> = legs.keys().copied().collect();
    let answers = index.store.search(StoreQuery { legs, filter, limit }).await?;
    all_answered(&keys, answers)
}

/// An answer that lacks a leg is an error, because without its hits papers would be ranked wrongly and nobody would notice.
fn all_answered(keys: &[LegKey], answers: LegHits) -> Result<LegHits, StoreError> {
    match keys.iter().find(|key| !answers.contains_key(key)) {
        Some(unanswered) => Err(StoreError::Unanswered(*unanswered)),
        None => Ok(answers),
    }
}

/// Every paper that some leg found, by id.
fn candidates(operands: &[Operand]) -> Vec<PaperId> {
    let found = operands
        .iter()
        .flat_map(|operand| operand.hits.dense.iter().chain(&operand.hits.sparse));
    let mut ids: Vec<PaperId> = found.map(|hit| hit.id.clone()).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Checks texts, adds recency, and orders by date, as the plan says. All of it needs the papers themselves.
async fn by_text(
    index: &OpenCollection,
    plan: &SearchPlan,
    mut ranked: Vec<FusedPaper>,
) -> Result<Vec<FusedPaper>, SearchError> {
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
        .filter_map(|paper| Some((paper.id.clone(), paper.published?)))
        .collect();
    if let Some(recency) = plan.recency {
        // NOT can leave no score above zero; the bonus must not turn into a penalty.
        let best = ranked.first().map_or(0.0, |fused| fused.score).max(0.0);
        let weight = recency.weight * best;
        ranking::add_recency(&mut ranked, Recency { weight, ..recency }, &published);
    }
    if plan.order == SearchOrder::Newest {
        ranked.truncate(CANDIDATES);
        // What has no date is less than any date.
        ranked.sort_by(|a, b| {
            published
                .get(&b.id)
                .cmp(&published.get(&a.id))
                .then_with(|| a.id.cmp(&b.id))
        });
    }
    Ok(ranked)
}

/// Trending papers that fit first; the others keep their order.
fn by_trending(leaderboard: &Leaderboard, ranked: &mut [FusedPaper], fits: impl Fn(&FusedPaper) -> bool) {
    let place = |fused: &FusedPaper| leaderboard.place(&fused.id).filter(|_| fits(fused));
    ranked.sort_by_cached_key(|fused| place(fused).unwrap_or(usize::MAX));
}

async fn vectors(index: &OpenCollection, ranked: &[FusedPaper]) -> Result<HashMap<PaperId, Vec<f32>>, StoreError> {
    let ids: Vec<PaperId> = ranked.iter().map(|fused| fused.id.clone()).collect();
    let vectors = index.store.dense_vectors(&ids).await?;
    Ok(vectors
        .into_iter()
        .map(|(id, vector)| (id, vector.into_vec()))
        .collect())
}

/// The newest papers of a scope, all of equal score.
async fn newest(index: &OpenCollection, scope: &SearchScope, most: usize) -> Result<Vec<FusedPaper>, StoreError> {
    let (mut ranking, mut after) = (Vec::new(), None);
    loop {
        let papers = index.store.list(scope.filter.clone(), after, most).await?;
        let last = papers.last().map(ListPosition::of);
        let full = papers.len() == most;
        for paper in papers {
            if scope.checks.pass(&paper.title, &paper.abstract_text) {
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

fn unranked(id: PaperId) -> FusedPaper {
    FusedPaper {
        id,
        score: 0.0,
        parts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_lacks_a_leg_is_an_error() {
        let key = |leg| LegKey { operand: 1, leg };
        let keys = [key(LegName::Dense), key(LegName::Sparse)];
        let mut answers = LegHits::from(keys.map(|key| (key, Vec::new())));
        all_answered(&keys, answers.clone()).expect("nothing lacks");
        answers.remove(&keys[1]);
        let error = all_answered(&keys, answers).expect_err("a leg lacks");
        assert_eq!(error.to_string(), "store gave no answer to the sparse leg of operand 1");
    }
}
