//! Lists ids newest first, each exactly once.
//!
//! The server orders by time but breaks ties in its own way, and gives no cursor. So papers of one moment are always read
//! together, by point id, which the server does page without loss, and are ordered here. So are those of unknown date, which
//! the server leaves out where it orders by time.

use domain::PaperId;
use qdrant_client::qdrant::{Direction, Filter as Conditions, OrderByBuilder, PointId, ScrollPointsBuilder};

use super::{QdrantStore, filter, payload};
use crate::store::{Filter, ListPosition, StoreError, UNDATED};

/// Ids read at once; so few in tests that they need several pages.
const PAGE: u32 = if cfg!(test) { 3 } else { 1_000 };

impl QdrantStore {
    /// Ids of papers newest first, those of unknown date last, equal times by id, behind a position.
    pub(super) async fn newest(
        &self,
        filter: &Filter,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<Vec<PaperId>, StoreError> {
        let Some(all) = filter::conditions(filter) else {
            return Ok(Vec::new());
        };
        let (mut found, mut rest) = (Vec::new(), all.clone());
        let mut dated = true;
        if let Some(after) = after {
            found = self.at_once(&all, after.published_ms).await?;
            found.retain(|id| id.as_str() > after.id.as_str());
            rest = filter::before(rest, after.published_ms);
            dated = after.published_ms != UNDATED;
        }
        if dated && found.len() < limit {
            let mut older = self.older(rest, limit - found.len()).await?;
            // The last moment may hold more papers than fit, and not the first by id.
            if let Some((last, _)) = older.last().cloned() {
                older.retain(|(published_ms, _)| *published_ms != last);
                found.extend(older.into_iter().map(|(_, id)| id));
                found.extend(self.at_once(&all, last).await?);
            }
        }
        if dated && found.len() < limit {
            found.extend(self.at_once(&all, UNDATED).await?);
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The newest, equal times by id as far as they are complete.
    async fn older(&self, conditions: Conditions, limit: usize) -> Result<Vec<(i64, PaperId)>, StoreError> {
        let request = ScrollPointsBuilder::new(&self.collection)
            .filter(conditions)
            .order_by(OrderByBuilder::new(payload::PUBLISHED_MS).direction(Direction::Desc.into()))
            .limit(u32::try_from(limit).unwrap_or(u32::MAX))
            .with_payload(payload::only([payload::ID, payload::PUBLISHED_MS]))
            .timeout(self.server.seconds())
            .build();
        let mut found = Vec::new();
        let page = self.server.ask(|| self.server.reader().scroll(request.clone())).await?;
        for point in page.result {
            found.push(payload::published_of(point.payload)?);
        }
        found.sort_by(|(a, a_id), (b, b_id)| b.cmp(a).then_with(|| a_id.cmp(b_id)));
        Ok(found)
    }

    /// All papers of one moment, or of none, by id.
    async fn at_once(&self, conditions: &Conditions, published_ms: i64) -> Result<Vec<PaperId>, StoreError> {
        let mut found = Vec::new();
        let mut offset: Option<PointId> = None;
        loop {
            let mut request = ScrollPointsBuilder::new(&self.collection)
                .filter(filter::at(conditions.clone(), published_ms))
                .limit(PAGE)
                .with_payload(payload::only([payload::ID]))
                .timeout(self.server.seconds());
            if let Some(offset) = offset {
                request = request.offset(offset);
            }
            let request = request.build();
            let page = self.server.ask(|| self.server.reader().scroll(request.clone())).await?;
            for point in page.result {
                found.push(payload::id_of(point.payload)?);
            }
            offset = page.next_page_offset;
            if offset.is_none() {
                break;
            }
        }
        found.sort();
        Ok(found)
    }
}
