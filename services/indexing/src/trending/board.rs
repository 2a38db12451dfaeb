//! One list: the warm papers of the whole catalogue, best first, and what of it lies within a scope.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::PaperId;
use domain::trending::Scored;

use crate::search::plan::Scope;
use crate::store::{Filter, Store, StoreError};

/// Papers whose filter is looked at together.
const CHUNK: usize = 500;

/// A list.
pub struct Board {
    ranking: Vec<Scored>,
    places: HashMap<PaperId, usize>,
}

impl Board {
    /// Of a ranking.
    pub fn new(ranking: Vec<Scored>) -> Self {
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

    /// The first papers that a scope lets pass and that the store holds, in their order.
    pub async fn within(&self, scope: &Scope, store: &Arc<dyn Store>, most: usize) -> Result<Vec<Scored>, StoreError> {
        let mut found = Vec::new();
        for chunk in self.ranking.chunks(CHUNK) {
            let filter = Filter {
                within: Some(chunk.iter().map(|one| one.id.clone()).collect()),
                ..scope.filter.clone()
            };
            let papers = store.list(filter, None, chunk.len()).await?;
            let passes = |title: &str, text: &str| scope.checks.is_empty() || scope.checks.pass(title, text);
            let passing = papers
                .into_iter()
                .filter(|paper| passes(&paper.title, &paper.abstract_text));
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
