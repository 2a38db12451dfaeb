//! A leaderboard: the papers of the catalogue that trend in one window, best first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::PaperId;
use domain::trending::TrendingScore;

use crate::scope::SearchScope;
use crate::store::{Filter, Store, StoreError};

/// Papers that are filtered together.
const CHUNK: usize = 500;

/// The ranking of one window.
pub struct Leaderboard {
    ranking: Vec<TrendingScore>,
    places: HashMap<PaperId, usize>,
}

impl Leaderboard {
    /// Over a ranking, best first.
    pub fn new(ranking: Vec<TrendingScore>) -> Self {
        let places = ranking.iter().enumerate();
        Self {
            places: places.map(|(place, one)| (one.id.clone(), place)).collect(),
            ranking,
        }
    }

    /// The place of a paper, from 0; `None` where it does not trend.
    pub fn place(&self, id: &PaperId) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// The first papers that are in a scope and in the store, best first.
    pub async fn within(
        &self,
        scope: &SearchScope,
        store: &Arc<dyn Store>,
        most: usize,
    ) -> Result<Vec<TrendingScore>, StoreError> {
        let mut found = Vec::new();
        for chunk in self.ranking.chunks(CHUNK) {
            let filter = Filter {
                within: Some(chunk.iter().map(|one| one.id.clone()).collect()),
                ..scope.filter.clone()
            };
            let papers = store.list(filter, None, chunk.len()).await?;
            let passing = papers
                .into_iter()
                .filter(|paper| scope.checks.pass(&paper.title, &paper.abstract_text));
            let passing: HashSet<PaperId> = passing.map(|paper| paper.id).collect();
            found.extend(chunk.iter().filter(|one| passing.contains(&one.id)).cloned());
            if found.len() >= most {
                break;
            }
        }
        found.truncate(most);
        Ok(found)
    }
}
