//! Reads everything part by part, in the order of point ids: the one order in which the server loses nothing while other
//! points are written.

use qdrant_client::qdrant::{RetrievedPoint, ScrollPointsBuilder};

use super::{QdrantStore, payload, points};
use crate::store::{Mark, Part, StoreError, Stored};

/// Most papers with their vectors in one answer: a few megabytes.
const MOST_PAPERS: usize = 500;
/// Most marks in one answer.
const MOST_MARKS: usize = 10_000;

impl QdrantStore {
    pub(super) async fn stored(&self, after: Option<&str>, limit: usize) -> Result<Part<Stored>, StoreError> {
        let request = self
            .part(after, limit.min(MOST_PAPERS))?
            .with_payload(true)
            .with_vectors(true);
        self.read(request, |point| {
            let mark = payload::mark_of(point.payload.clone())?;
            Ok(Stored {
                id: mark.id,
                revision: mark.revision,
                content: points::indexed_of(point, &self.encoder, self.dimension)?,
            })
        })
        .await
    }

    pub(super) async fn all_marks(&self, after: Option<&str>, limit: usize) -> Result<Part<Mark>, StoreError> {
        let request = self
            .part(after, limit.min(MOST_MARKS))?
            .with_payload(payload::of_marks());
        self.read(request, |point| payload::mark_of(point.payload)).await
    }

    /// At least one entry is asked for: a part without any could not say where the rest begins.
    fn part(&self, after: Option<&str>, limit: usize) -> Result<ScrollPointsBuilder, StoreError> {
        let request = ScrollPointsBuilder::new(&self.collection)
            .limit(u32::try_from(limit.max(1)).unwrap_or(u32::MAX))
            .timeout(self.server.seconds());
        Ok(match after {
            Some(after) => request.offset(points::place(after)?),
            None => request,
        })
    }

    async fn read<T>(
        &self,
        request: ScrollPointsBuilder,
        entry: impl Fn(RetrievedPoint) -> Result<T, StoreError>,
    ) -> Result<Part<T>, StoreError> {
        let request = request.build();
        let page = self.server.ask(|| self.server.reader().scroll(request.clone())).await?;
        let entries: Result<Vec<T>, StoreError> = page.result.into_iter().map(entry).collect();
        Ok(Part {
            entries: entries?,
            next: page.next_page_offset.and_then(points::cursor),
        })
    }
}
