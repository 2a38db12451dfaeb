//! Writes to a collection's file, one transaction per batch.
//!
//! It reads nothing but revisions; `super::reader` does.

use std::path::{Path, PathBuf};

use domain::PaperId;
use prost::Message as _;
use proto::papers::v1 as wire;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::failure;
use super::schema::as_sql;
use crate::store::{IndexedPaper, StoreError, Upserted};

/// An open file.
pub struct Database {
    file: PathBuf,
    connection: Connection,
}

/// What a withdrawal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawn {
    /// A paper that could be found is gone.
    Paper,
    /// Nothing could be found before; the mark is new.
    NewMark,
    /// Nothing could be found before; a mark was there already.
    OldMark,
    /// A newer revision stays.
    Nothing,
}

/// What a batch did.
pub struct Written {
    /// For each paper.
    pub outcomes: Vec<Upserted>,
    /// Marks of withdrawals that papers took the place of.
    pub marks_replaced: u64,
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
    pub fn upsert(&mut self, papers: &[IndexedPaper], entries: &[Vec<u8>]) -> Result<Written, StoreError> {
        let failed = |error: rusqlite::Error| failure::failed(&self.file, &error);
        let transaction = self.connection.transaction().map_err(failed)?;
        let mut written = Written {
            outcomes: Vec::with_capacity(papers.len()),
            marks_replaced: 0,
        };
        for (one, entry) in papers.iter().zip(entries) {
            write(&transaction, one, entry, &mut written).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(written)
    }

    /// Leaves the mark of a withdrawal unless a newer revision is there.
    pub fn withdraw(&mut self, id: &PaperId, revision: u64) -> Result<Withdrawn, StoreError> {
        let failed = |error: rusqlite::Error| failure::failed(&self.file, &error);
        let transaction = self.connection.transaction().map_err(failed)?;
        let done = mark(&transaction, id, revision).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

fn write(
    transaction: &Transaction<'_>,
    one: &IndexedPaper,
    entry: &[u8],
    written: &mut Written,
) -> rusqlite::Result<()> {
    let known = known(transaction, &one.paper.id)?;
    if known.is_some_and(|known| known.revision > one.paper.revision) {
        written.outcomes.push(Upserted::Stale);
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
    written.marks_replaced += u64::from(known.is_some_and(|known| known.withdrawn));
    written.outcomes.push(Upserted::Written);
    Ok(())
}

fn mark(transaction: &Transaction<'_>, id: &PaperId, revision: u64) -> rusqlite::Result<Withdrawn> {
    let known = known(transaction, id)?;
    if known.is_some_and(|known| known.revision > revision) {
        return Ok(Withdrawn::Nothing);
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
    Ok(match known {
        None => Withdrawn::NewMark,
        Some(known) if known.withdrawn => Withdrawn::OldMark,
        Some(_) => Withdrawn::Paper,
    })
}

#[derive(Clone, Copy)]
struct Known {
    revision: u64,
    withdrawn: bool,
}

fn known(transaction: &Transaction<'_>, id: &PaperId) -> rusqlite::Result<Option<Known>> {
    transaction
        .prepare_cached("SELECT revision, withdrawn FROM papers WHERE id = ?1")?
        .query_row([id.as_str()], |row| {
            Ok(Known {
                revision: row.get::<_, i64>(0)?.unsigned_abs(),
                withdrawn: row.get(1)?,
            })
        })
        .optional()
}
