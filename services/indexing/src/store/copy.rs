//! Copies everything from one store to another: every collection, tombstones and aliases included.
//!
//! What is there at the same or a newer revision is skipped, so a copy that was cut off goes on where it ended when it is
//! started again. It never removes a paper of the target; the aliases of the target become those of the source. While papers
//! are written to the source, each paper is as new as when the copy last read it; a copy that cannot catch up says so.

use std::collections::HashMap;

use domain::{EncoderId, PaperId};

use super::{Alias, Collections, PaperRevision, Store, StoreError};

/// Papers read and written at once.
const BATCH: usize = 200;
/// Revisions compared at once.
const COMPARE_BATCH: usize = 1_000;
/// Most passes over a collection that copy something.
const PASSES: usize = 3;

/// How far a copy has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyProgress {
    /// The collection that is being copied.
    pub collection: String,
    /// The number of the pass over it, from 1. The last one only compares.
    pub pass: usize,
    /// Papers and tombstones compared in this pass.
    pub compared: u64,
    /// Papers and tombstones there are.
    pub total: u64,
    /// Papers and tombstones written in this pass.
    pub written: u64,
}

/// What a copy did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopySummary {
    /// Collections.
    pub collections: usize,
    /// Papers written.
    pub papers: u64,
    /// Tombstones written.
    pub withdrawn: u64,
    /// Papers and tombstones that were there already.
    pub skipped: u64,
}

/// A copy that failed. Starting it again goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something still differs after the last pass: the source is being written faster than it is copied, or the target does
    /// not keep what it is given.
    #[error("collection {collection} still differs in {papers} papers, the first of them {first}")]
    Differs {
        /// Name of the collection.
        collection: String,
        /// How many.
        papers: u64,
        /// One of them.
        first: PaperId,
    },
}

/// Copies everything from one store to another, and compares the revisions at the end. Aliases are set last, when all that
/// they may stand for is there.
pub async fn copy(
    from: &dyn Collections,
    to: &dyn Collections,
    mut progress: impl FnMut(&CopyProgress) + Send,
) -> Result<CopySummary, CopyError> {
    let mut copied = CopySummary::default();
    for description in from.all().await? {
        let source = from.open(&description.encoder, description.dimension).await?;
        let target = to.open(&description.encoder, description.dimension).await?;
        let mut state = CopyProgress {
            collection: description.collection,
            pass: 0,
            compared: 0,
            total: description.papers + description.withdrawn,
            written: 0,
        };
        copy_collection(&*source, &*target, &mut state, &mut copied, &mut progress).await?;
        copied.collections += 1;
    }
    for alias in [Alias::Current, Alias::Next] {
        let encoder = from.alias(alias).await?.map(|(encoder, _)| encoder);
        set_alias(to, alias, encoder.as_ref()).await?;
    }
    Ok(copied)
}

async fn set_alias(to: &dyn Collections, alias: Alias, encoder: Option<&EncoderId>) -> Result<(), StoreError> {
    let there = to.alias(alias).await?.map(|(encoder, _)| encoder);
    if there.as_ref() == encoder {
        return Ok(());
    }
    to.set_alias(alias, encoder).await
}

async fn copy_collection(
    source: &dyn Store,
    target: &dyn Store,
    state: &mut CopyProgress,
    copied: &mut CopySummary,
    progress: &mut (impl FnMut(&CopyProgress) + Send),
) -> Result<(), CopyError> {
    loop {
        (state.pass, state.compared, state.written) = (state.pass + 1, 0, 0);
        let mut first = None;
        let mut after = None;
        loop {
            let page = source.revisions(after, COMPARE_BATCH).await?;
            let behind = behind(target, &page.entries).await?;
            if state.pass == 1 {
                copied.skipped += (page.entries.len() - behind.len()) as u64;
            }
            if state.pass <= PASSES {
                for batch in behind.chunks(BATCH) {
                    write(source, target, batch, copied).await?;
                }
            }
            state.compared += page.entries.len() as u64;
            state.written += behind.len() as u64;
            first = first.or_else(|| behind.into_iter().next());
            progress(state);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let Some(first) = first else { return Ok(()) };
        if state.pass > PASSES {
            return Err(CopyError::Differs {
                collection: state.collection.clone(),
                papers: state.written,
                first: first.id,
            });
        }
    }
}

/// What the target does not have yet, or only at an older revision, or with the tombstone on one side only.
async fn behind(target: &dyn Store, revisions: &[PaperRevision]) -> Result<Vec<PaperRevision>, StoreError> {
    let ids: Vec<PaperId> = revisions.iter().map(|one| one.id.clone()).collect();
    let there: HashMap<PaperId, PaperRevision> = target
        .revisions_of(&ids)
        .await?
        .into_iter()
        .map(|one| (one.id.clone(), one))
        .collect();
    let missing = |one: &&PaperRevision| match there.get(&one.id) {
        Some(there) if there.revision == one.revision => there.withdrawn != one.withdrawn,
        Some(there) => there.revision < one.revision,
        None => true,
    };
    Ok(revisions.iter().filter(missing).cloned().collect())
}

/// A paper that has changed since its revision was read is left to the next pass.
async fn write(
    source: &dyn Store,
    target: &dyn Store,
    batch: &[PaperRevision],
    copied: &mut CopySummary,
) -> Result<(), StoreError> {
    let (withdrawn, found): (Vec<&PaperRevision>, Vec<&PaperRevision>) = batch.iter().partition(|one| one.withdrawn);
    let ids: Vec<PaperId> = found.into_iter().map(|one| one.id.clone()).collect();
    let papers = source.get_with_vectors(&ids).await?;
    copied.papers += papers.len() as u64;
    target.upsert(papers).await?;
    for one in withdrawn {
        target.withdraw(&one.id, one.revision).await?;
        copied.withdrawn += 1;
    }
    Ok(())
}
