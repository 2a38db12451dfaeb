//! Counts papers: those that pass a filter, and those that share a value. Both are exact.

use qdrant_client::qdrant::facet_value::Variant;
use qdrant_client::qdrant::{CountPointsBuilder, FacetCountsBuilder, FacetHit, Filter as Conditions};

use super::{QdrantStore, payload};
use crate::store::{Facet, FacetCount, StoreError};

impl QdrantStore {
    pub(super) async fn counted(&self, conditions: Conditions) -> Result<u64, StoreError> {
        let request = CountPointsBuilder::new(&self.collection)
            .filter(conditions)
            .exact(true)
            .timeout(self.server.seconds())
            .build();
        let answer = self.server.ask(|| self.server.reader().count(request.clone())).await?;
        Ok(answer.result.map_or(0, |counted| counted.count))
    }

    pub(super) async fn values(
        &self,
        conditions: Conditions,
        facet: Facet,
        limit: usize,
    ) -> Result<Vec<FacetCount>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let request = FacetCountsBuilder::new(&self.collection, field(facet))
            .filter(conditions)
            .limit(limit as u64)
            .exact(true)
            .timeout(self.server.seconds())
            .build();
        let answer = self.server.ask(|| self.server.reader().facet(request.clone())).await?;
        let mut counts: Vec<FacetCount> = answer.hits.into_iter().filter_map(counted).collect();
        counts.sort_by(|a, b| b.papers.cmp(&a.papers).then_with(|| a.value.cmp(&b.value)));
        counts.truncate(limit);
        Ok(counts)
    }
}

fn field(facet: Facet) -> &'static str {
    match facet {
        Facet::Category => payload::CATEGORIES,
        Facet::Year => payload::YEAR,
        Facet::Source => payload::SOURCE,
        Facet::Author => payload::AUTHORS,
        Facet::Language => payload::LANGUAGE,
    }
}

fn counted(hit: FacetHit) -> Option<FacetCount> {
    let value = match hit.value?.variant? {
        Variant::StringValue(text) => text,
        Variant::IntegerValue(number) => number.to_string(),
        Variant::BoolValue(_) => return None,
    };
    (hit.count > 0).then_some(FacetCount {
        value,
        papers: hit.count,
    })
}
