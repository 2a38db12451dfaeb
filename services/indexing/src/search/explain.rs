//! Which terms a sparse score comes from.
//!
//! Asks the store for each term alone, so that the parts are those of the very scores the store gave.

use std::collections::{BTreeMap, HashMap};

use domain::query::QueryExpression;
use domain::{PaperId, SparseVector, bm25};

use super::operands::QueryOperands;
use super::{HybridSearch, SearchError, ask};
use crate::store::{Filter, LegKey, LegName, LegQuery};

/// For each operand and paper, what each word adds to its sparse score, most first.
pub type TermScores = HashMap<(usize, PaperId), Vec<(String, f64)>>;

impl HybridSearch {
    /// The terms of a query's words, for some of the results.
    pub async fn terms(&self, expression: &QueryExpression, papers: &[PaperId]) -> Result<TermScores, SearchError> {
        let (query, _) = QueryOperands::of(expression);
        let (mut legs, mut stems) = (BTreeMap::new(), HashMap::new());
        for (operand, words) in &query.words {
            for (id, weight) in bm25::query_vector(words)?.iter() {
                let key = LegKey {
                    operand: *operand,
                    leg: LegName::Term(id),
                };
                legs.insert(key, LegQuery::Sparse(SparseVector::new(vec![id], vec![weight])?));
            }
            stems.extend(bm25::terms(words).into_iter().map(|term| (bm25::term_id(&term), term)));
        }
        let within = Filter {
            within: Some(papers.to_vec()),
            ..Filter::default()
        };
        let index = self.catalogue.view().current.clone();
        let mut explained = TermScores::new();
        for (key, hits) in ask(&index, legs, within, papers.len()).await? {
            let LegName::Term(id) = key.leg else { continue };
            let stem = stems.get(&id).cloned().unwrap_or_default();
            for hit in hits {
                let parts = explained.entry((key.operand, hit.id)).or_default();
                parts.push((stem.clone(), hit.score));
            }
        }
        for parts in explained.values_mut() {
            parts.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
        }
        Ok(explained)
    }
}
