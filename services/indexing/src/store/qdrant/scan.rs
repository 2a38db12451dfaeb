//! Reads everything page by page, in the order of point ids: the only order in which the server loses nothing while other
//! points are written.

use qdrant_client::qdrant::{RetrievedPoint, ScrollPointsBuilder};

use super::{QdrantStore, payload, points};
use crate::store::{PaperRevision, ScanPage, StoreEntry, StoreError};

/// Most papers with their vectors in one answer: a few megabytes.
const MOST_PAPERS: usize = 500;
/// Most revisions in one answer.
const MOST_REVISIONS: usize = 10_000;

impl QdrantStore {
    pub(super) async fn entries(&self, after: Option<&str>, limit: usize) -> Result<ScanPage<StoreEntry>, StoreError> {
        let request = self
            .page(after, limit.min(MOST_PAPERS))?
            .with_payload(true)
            .with_vectors(true);
        self.read(request, |point| {
            let one = payload::revision_of(point.payload.clone())?;
            Ok(StoreEntry {
                id: one.id,
                revision: one.revision,
                content: points::indexed_of(point, &self.encoder, self.dimension)?,
            })
        })
        .await
    }

    pub(super) async fn all_revisions(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage<PaperRevision>, StoreError> {
        let request = self
            .page(after, limit.min(MOST_REVISIONS))?
            .with_payload(payload::revision_fields());
        self.read(request, |point| payload::revision_of(point.payload)).await
    }

    /// At least one entry is asked for, because a page without any could not say where the next one begins.
    fn page(&self, after: Option<&str>, limit: usize) -> Result<ScrollPointsBuilder, StoreError> {
        let request = ScrollPointsBuilder::new(&self.collection)
            .limit(u32::try_from(limit.max(1)).unwrap_or(u32::MAX))
            .timeout(self.server.seconds());
        Ok(match after {
            Some(after) => request.offset(points::point_of(after)?),
            None => request,
        })
    }

    async fn read<T>(
        &self,
        request: ScrollPointsBuilder,
        entry: impl Fn(RetrievedPoint) -> Result<T, StoreError>,
    ) -> Result<ScanPage<T>, StoreError> {
        let request = request.build();
        let page = self.server.ask(|| self.server.reader().scroll(request.clone())).await?;
        let entries: Result<Vec<T>, StoreError> = page.result.into_iter().map(entry).collect();
        Ok(ScanPage {
            entries: entries?,
            next: page.next_page_offset.and_then(points::cursor),
        })
    }
}
