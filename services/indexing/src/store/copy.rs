//! Copies a whole place into another: every collection, the marks of withdrawals and the aliases with it.
//!
//! What is there at the same or a newer revision is skipped, so a copy that was cut off goes on where it ended when it is
//! started again. No paper of the place that is copied to is ever removed; its aliases become those of the source. While papers are written to the source the
//! copy is as new as its last look at each; it says so when it does not catch up.

use std::collections::HashMap;

use domain::{EncoderId, PaperId};

use super::{Alias, Collections, Mark, Store, StoreError};

/// Papers read and written at once.
const BATCH: usize = 200;
/// Marks compared at once.
const COMPARED: usize = 1_000;
/// How often a collection is looked through until nothing is left to copy.
const LOOKS: usize = 3;

/// How far a copy has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The collection that is being copied.
    pub collection: String,
    /// Which look through it this is, from 1. The last one only compares.
    pub look: usize,
    /// Papers and marks looked at.
    pub seen: u64,
    /// Papers and marks there are.
    pub total: u64,
    /// Papers and marks written in this look.
    pub written: u64,
}

/// What a copy did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Collections.
    pub collections: usize,
    /// Papers written.
    pub papers: u64,
    /// Marks of withdrawals written.
    pub withdrawn: u64,
    /// Papers and marks that were there already.
    pub skipped: u64,
}

/// A copy that did not end well. Starting it again goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something still differs after every look: the source is being written faster than it is copied, or the target does
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

/// Copies everything from one place to another, and compares the marks at the end. Aliases are set last, when all that
/// they may stand for is there.
pub async fn copy(
    from: &dyn Collections,
    to: &dyn Collections,
    mut progress: impl FnMut(&Progress) + Send,
) -> Result<Copied, CopyError> {
    let mut copied = Copied::default();
    for description in from.all().await? {
        let source = from.open(&description.encoder, description.dimension).await?;
        let target = to.open(&description.encoder, description.dimension).await?;
        let mut state = Progress {
            collection: description.collection,
            look: 0,
            seen: 0,
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
    state: &mut Progress,
    copied: &mut Copied,
    progress: &mut (impl FnMut(&Progress) + Send),
) -> Result<(), CopyError> {
    loop {
        (state.look, state.seen, state.written) = (state.look + 1, 0, 0);
        let mut first = None;
        let mut after = None;
        loop {
            let part = source.marks(after, COMPARED).await?;
            let behind = behind(target, &part.entries).await?;
            if state.look == 1 {
                copied.skipped += (part.entries.len() - behind.len()) as u64;
            }
            if state.look <= LOOKS {
                for batch in behind.chunks(BATCH) {
                    write(source, target, batch, copied).await?;
                }
            }
            state.seen += part.entries.len() as u64;
            state.written += behind.len() as u64;
            first = first.or_else(|| behind.into_iter().next());
            progress(state);
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        let Some(first) = first else { return Ok(()) };
        if state.look > LOOKS {
            return Err(CopyError::Differs {
                collection: state.collection.clone(),
                papers: state.written,
                first: first.id,
            });
        }
    }
}

/// What the target does not have yet, or only at an older revision, or with the mark of a withdrawal on one side only.
async fn behind(target: &dyn Store, marks: &[Mark]) -> Result<Vec<Mark>, StoreError> {
    let ids: Vec<PaperId> = marks.iter().map(|mark| mark.id.clone()).collect();
    let there: HashMap<PaperId, Mark> = target
        .marks_of(&ids)
        .await?
        .into_iter()
        .map(|mark| (mark.id.clone(), mark))
        .collect();
    let missing = |mark: &&Mark| match there.get(&mark.id) {
        Some(there) if there.revision == mark.revision => there.withdrawn != mark.withdrawn,
        Some(there) => there.revision < mark.revision,
        None => true,
    };
    Ok(marks.iter().filter(missing).cloned().collect())
}

/// A paper that is no longer there as its mark said is left to the next look.
async fn write(source: &dyn Store, target: &dyn Store, batch: &[Mark], copied: &mut Copied) -> Result<(), StoreError> {
    let (withdrawn, found): (Vec<&Mark>, Vec<&Mark>) = batch.iter().partition(|mark| mark.withdrawn);
    let ids: Vec<PaperId> = found.into_iter().map(|mark| mark.id.clone()).collect();
    let papers = source.get_with_vectors(&ids).await?;
    copied.papers += papers.len() as u64;
    target.upsert(papers).await?;
    for mark in withdrawn {
        target.withdraw(&mark.id, mark.revision).await?;
        copied.withdrawn += 1;
    }
    Ok(())
}
