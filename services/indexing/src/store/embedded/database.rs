//! Writes to a collection's file, one transaction per batch.
//!
//! It reads nothing but revisions; `super::file_reader` does.

use std::path::{Path, PathBuf};

use domain::PaperId;
use prost::Message as _;
use proto::papers::v1 as wire;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::errors;
use super::schema::as_sql;
use crate::store::{IndexedPaper, StoreError, UpsertOutcome};

/// An open file.
pub struct Database {
    file: PathBuf,
    connection: Connection,
}

/// What a withdrawal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithdrawalEffect {
    /// A tombstone took the place of a paper.
    PaperRemoved,
    /// There was nothing before; a tombstone was added.
    TombstoneAdded,
    /// There was a tombstone already.
    TombstoneKept,
    /// There is a newer revision, which stays.
    Outdated,
}

/// What a batch did.
pub struct BatchOutcome {
    /// For each paper.
    pub outcomes: Vec<UpsertOutcome>,
    /// Tombstones that papers took the place of.
    pub tombstones_replaced: u64,
}

impl Database {
    /// Over a prepared connection.
    pub fn new(file: &Path, connection: Connection) -> Self {
        Self {
            file: file.to_owned(),
            connection,
        }
    }

    /// Writes what is not older than what is there, in one transaction. As many entries as papers.
    pub fn upsert(&mut self, papers: &[IndexedPaper], entries: &[Vec<u8>]) -> Result<BatchOutcome, StoreError> {
        let failed = |error: rusqlite::Error| errors::failed(&self.file, &error);
        let transaction = self.connection.transaction().map_err(failed)?;
        let mut written = BatchOutcome {
            outcomes: Vec::with_capacity(papers.len()),
            tombstones_replaced: 0,
        };
        for (one, entry) in papers.iter().zip(entries) {
            write(&transaction, one, entry, &mut written).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(written)
    }

    /// Leaves a tombstone unless a newer revision is there.
    pub fn withdraw(&mut self, id: &PaperId, revision: u64) -> Result<WithdrawalEffect, StoreError> {
        let failed = |error: rusqlite::Error| errors::failed(&self.file, &error);
        let transaction = self.connection.transaction().map_err(failed)?;
        let done = write_tombstone(&transaction, id, revision).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

fn write(
    transaction: &Transaction<'_>,
    one: &IndexedPaper,
    entry: &[u8],
    written: &mut BatchOutcome,
) -> rusqlite::Result<()> {
    let stored = stored_revision(transaction, &one.paper.id)?;
    if stored.is_some_and(|stored| stored.revision > one.paper.revision) {
        written.outcomes.push(UpsertOutcome::Stale);
        return Ok(());
    }
    let number: i64 = transaction
        .prepare_cached(
            "INSERT INTO papers (id, revision, withdrawn, paper) VALUES (?1, ?2, 0, ?3) ON CONFLICT (id) DO UPDATE \
             SET revision = ?2, withdrawn = 0, paper = ?3 RETURNING number",
        )?
        .query_row(
            params![
                one.paper.id.as_str(),
                as_sql(one.paper.revision),
                wire::Paper::from(&one.paper).encode_to_vec()
            ],
            |row| row.get(0),
        )?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO entries (number, entry) VALUES (?1, ?2)")?
        .execute(params![number, entry])?;
    written.tombstones_replaced += u64::from(stored.is_some_and(|stored| stored.withdrawn));
    written.outcomes.push(UpsertOutcome::Written);
    Ok(())
}

fn write_tombstone(transaction: &Transaction<'_>, id: &PaperId, revision: u64) -> rusqlite::Result<WithdrawalEffect> {
    let stored = stored_revision(transaction, id)?;
    if stored.is_some_and(|stored| stored.revision > revision) {
        return Ok(WithdrawalEffect::Outdated);
    }
    let number: i64 = transaction
        .prepare_cached(
            "INSERT INTO papers (id, revision, withdrawn) VALUES (?1, ?2, 1) ON CONFLICT (id) DO UPDATE \
             SET revision = ?2, withdrawn = 1, paper = NULL RETURNING number",
        )?
        .query_row(params![id.as_str(), as_sql(revision)], |row| row.get(0))?;
    transaction
        .prepare_cached("DELETE FROM entries WHERE number = ?1")?
        .execute([number])?;
    Ok(match stored {
        None => WithdrawalEffect::TombstoneAdded,
        Some(stored) if stored.withdrawn => WithdrawalEffect::TombstoneKept,
        Some(_) => WithdrawalEffect::PaperRemoved,
    })
}

#[derive(Clone, Copy)]
struct StoredRevision {
    revision: u64,
    withdrawn: bool,
}

fn stored_revision(transaction: &Transaction<'_>, id: &PaperId) -> rusqlite::Result<Option<StoredRevision>> {
    transaction
        .prepare_cached("SELECT revision, withdrawn FROM papers WHERE id = ?1")?
        .query_row([id.as_str()], |row| {
            Ok(StoredRevision {
                revision: row.get::<_, i64>(0)?.unsigned_abs(),
                withdrawn: row.get(1)?,
            })
        })
        .optional()
}
