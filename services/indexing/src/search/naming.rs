//! A query that names a paper leads to that paper, and then to similar ones; if it is not here, the query searches by words.

use domain::fusion::FusedPaper;
use domain::query::QueryExpression;
use domain::{Paper, PaperId};

use super::plan::SearchPlan;
use super::{HybridSearch, unranked};
use crate::store::{Filter, StoreError};

/// The notice where the paper was found.
const FOUND: &str = "the first paper is the one with this id; the others are similar to it";
/// The notice where a query is certainly an id and no paper here has it.
const ABSENT: &str = "no paper here has this id; these papers fit its words";

impl HybridSearch {
    /// Looks for the paper that a plan names, among the papers that it considers.
    ///
    /// # Errors
    /// The store's.
    pub async fn with_lead(&self, mut plan: SearchPlan) -> Result<SearchPlan, StoreError> {
        let Some(named) = &plan.named else { return Ok(plan) };
        let filter = Filter {
            within: Some(named.ids.clone()),
            ..plan.scope.filter.clone()
        };
        let store = &self.catalogue.view().current.store;
        let found = store.list(filter, None, named.ids.len()).await?;
        let passes = |paper: &&Paper| plan.scope.checks.pass(&paper.title, &paper.abstract_text);
        let found: Vec<PaperId> = found.iter().filter(passes).map(|paper| paper.id.clone()).collect();
        plan.lead = named.ids.iter().find(|id| found.contains(id)).cloned();
        if let Some(lead) = &plan.lead {
            plan.expression = Some(QueryExpression::Like(lead.clone()));
        }
        Ok(plan)
    }
}

/// Puts the named paper at the beginning of a list. The notice says what the list is.
pub(super) fn lead(plan: &SearchPlan, ranking: &mut Vec<FusedPaper>) -> Option<&'static str> {
    if let Some(lead) = &plan.lead {
        ranking.insert(0, unranked(lead.clone()));
        return Some(FOUND);
    }
    plan.named.as_ref().filter(|named| named.is_certain).map(|_| ABSENT)
}
