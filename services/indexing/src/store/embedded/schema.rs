//! The tables of a collection's file, their version, and how a file of an older version becomes one of this.
//!
//! `papers` holds each paper as protobuf, or the mark of its withdrawal; `entries` holds what memory needs of it, see
//! [`super::entry`], so that opening reads no paper. A row has the same number in both.

use std::path::Path;

use domain::{DenseVector, EncoderId, Paper, PaperVectors, SparseVector};
use prost::Message as _;
use proto::papers::v1 as wire;
use rusqlite::{Connection, Transaction, params};

use super::entry;
use super::failure::{advice, damaged, unusable};
use crate::store::{IndexedPaper, StoreError};

/// The version this release writes. Version 0 had all columns in one table, or is a new file.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS vectors (
        encoder TEXT NOT NULL,
        dimension INTEGER NOT NULL
    );
    CREATE TABLE papers (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        withdrawn INTEGER NOT NULL,
        paper BLOB
    );
    CREATE INDEX withdrawn ON papers (number) WHERE withdrawn = 1;
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        entry BLOB NOT NULL
    );
";

/// Opens or makes a file and brings it to this version.
pub fn prepare(file: &Path) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| unusable(file, advice(&error));
    let mut connection = Connection::open(file).map_err(failed)?;
    // Pages that hold several entries; a file that exists keeps its own. Durable at every commit.
    let settings = "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
    connection.execute_batch(settings).map_err(failed)?;
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    if version > VERSION {
        let problem = format!("it was written by a newer release (version {version} of the file); use that release");
        return Err(unusable(file, problem));
    }
    if version < VERSION {
        let transaction = connection.transaction().map_err(failed)?;
        upgrade(&transaction, file)?;
        transaction
            .pragma_update(None, "user_version", VERSION)
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(connection)
}

/// Whose vectors a file holds, and how long they are: the given ones when it is new, if any are given.
pub fn holder(
    connection: &Connection,
    file: &Path,
    new: Option<(&EncoderId, usize)>,
) -> Result<(EncoderId, usize), StoreError> {
    let failed = |error: rusqlite::Error| unusable(file, advice(&error));
    if let Some((encoder, dimension)) = new {
        let inserted = connection.execute(
            "INSERT INTO vectors (encoder, dimension) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM vectors)",
            params![encoder.as_str(), as_sql(dimension as u64)],
        );
        inserted.map_err(failed)?;
    }
    let found = connection.query_row("SELECT encoder, dimension FROM vectors", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    });
    let (encoder, dimension) = found.map_err(failed)?;
    let encoder = EncoderId::parse(&encoder).map_err(|error| unusable(file, error.to_string()))?;
    let dimension = usize::try_from(dimension).map_err(|error| unusable(file, error.to_string()))?;
    Ok((encoder, dimension))
}

/// SQLite has signed numbers; revisions count from one and never come near the end of either.
pub fn as_sql(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn upgrade(transaction: &Transaction<'_>, file: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| unusable(file, advice(&error));
    let old: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'papers'", [], |row| {
            row.get(0)
        })
        .map_err(failed)?;
    if old == 0 {
        return transaction.execute_batch(TABLES).map_err(failed);
    }
    transaction
        .execute_batch("ALTER TABLE papers RENAME TO old_papers")
        .map_err(failed)?;
    transaction.execute_batch(TABLES).map_err(failed)?;
    move_papers(transaction, file)?;
    transaction.execute_batch("DROP TABLE old_papers").map_err(failed)
}

/// From the one table of version 0, row by row.
fn move_papers(transaction: &Transaction<'_>, file: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| unusable(file, advice(&error));
    let (encoder, _) = holder(transaction, file, None)?;
    let read = "SELECT id, revision, withdrawn, paper, dense, sparse FROM old_papers ORDER BY id";
    let mut statement = transaction.prepare(read).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let id: String = row.get(0).map_err(failed)?;
        let revision: i64 = row.get(1).map_err(failed)?;
        let withdrawn: i64 = row.get(2).map_err(failed)?;
        let column = |at| row.get::<_, Option<Vec<u8>>>(at).map_err(|error| damaged(&id, &error));
        let paper = column(3)?;
        let insert = "INSERT INTO papers (id, revision, withdrawn, paper) VALUES (?1, ?2, ?3, ?4)";
        let mut inserted = transaction.prepare_cached(insert).map_err(failed)?;
        inserted
            .execute(params![id, revision, withdrawn, paper])
            .map_err(failed)?;
        let number = transaction.last_insert_rowid();
        if let (0, Some(paper)) = (withdrawn, paper) {
            let (dense, sparse) = (column(4)?.unwrap_or_default(), column(5)?.unwrap_or_default());
            let one = old_row(&encoder, &paper, &dense, &sparse).map_err(|problem| damaged(&id, &problem))?;
            let insert = "INSERT INTO entries (number, entry) VALUES (?1, ?2)";
            let mut inserted = transaction.prepare_cached(insert).map_err(failed)?;
            inserted.execute(params![number, entry::encode(&one)]).map_err(failed)?;
        }
    }
    Ok(())
}

fn old_row(encoder: &EncoderId, paper: &[u8], dense: &[u8], sparse: &[u8]) -> Result<IndexedPaper, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let paper = wire::Paper::decode(paper).map_err(|error| text(&error))?;
    let sparse = wire::SparseVector::decode(sparse).map_err(|error| text(&error))?;
    let (values, _) = dense.as_chunks();
    let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(IndexedPaper {
        paper: Paper::try_from(paper).map_err(|error| text(&error))?,
        vectors: PaperVectors {
            encoder: encoder.clone(),
            dense: DenseVector::new(values).map_err(|error| text(&error))?,
            sparse: SparseVector::try_from(sparse).map_err(|error| text(&error))?,
            truncated: false,
        },
    })
}
