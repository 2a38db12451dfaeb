//! The tables of a collection's file, and their version.
//!
//! `papers` holds each paper as protobuf, or its tombstone; `entries` holds what memory needs of it, see [`super::entry`], so
//! that opening reads no paper. A row has the same number in both.

use std::path::Path;

use domain::EncoderId;
use rusqlite::{Connection, params};

use super::errors::{advice, unusable};
use crate::store::StoreError;

/// The version this release writes and reads. A new file has version 0.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE vectors (
        encoder TEXT NOT NULL,
        dimension INTEGER NOT NULL
    );
    CREATE TABLE papers (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        withdrawn INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),
        paper BLOB
    );
    CREATE INDEX withdrawn ON papers (number) WHERE withdrawn = 1;
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        entry BLOB NOT NULL
    );
";

/// Opens or makes a file. Blocks.
pub fn prepare(file: &Path) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| unusable(file, advice(&error));
    let mut connection = Connection::open(file).map_err(failed)?;
    // Pages that hold several entries; an existing file keeps its page size. Durable at every commit.
    let settings = "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
    connection.execute_batch(settings).map_err(failed)?;
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    match version {
        VERSION => {}
        0 => {
            let transaction = connection.transaction().map_err(failed)?;
            transaction.execute_batch(TABLES).map_err(failed)?;
            transaction
                .pragma_update(None, "user_version", VERSION)
                .map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        other => {
            let problem =
                format!("the file has version {other}, this release reads {VERSION}; use the release that wrote it");
            return Err(unusable(file, problem));
        }
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
