//! The SQLite file: papers as protobuf, vectors as little-endian numbers, one row per paper.
//!
//! It scores nothing and filters nothing.

use std::path::Path;

use domain::{DenseVector, EncoderId, Paper, PaperId, PaperVectors, SparseVector};
use prost::Message as _;
use proto::papers::v1 as wire;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::store::{IndexedPaper, StoreError, Upserted, collection_name};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS papers (
        id TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        withdrawn INTEGER NOT NULL,
        paper BLOB,
        dense BLOB,
        sparse BLOB
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS vectors (
        encoder TEXT NOT NULL,
        dimension INTEGER NOT NULL
    );
";

/// An open file.
pub struct Database {
    connection: Connection,
}

impl Database {
    /// Opens or makes the encoder's file and keeps other processes out.
    pub fn open(folder: &Path, encoder: &EncoderId, dimension: usize) -> Result<Self, StoreError> {
        let unusable = |problem: String| StoreError::Unusable {
            place: folder.display().to_string(),
            problem,
        };
        std::fs::create_dir_all(folder).map_err(|error| unusable(error.to_string()))?;
        let file = folder.join(format!("{}.sqlite", collection_name(encoder)));
        let connection = prepare(&file).map_err(|error| unusable(advice(&error)))?;
        let (holder, length) = holder(&connection, encoder, dimension).map_err(|error| unusable(advice(&error)))?;
        if holder != encoder.as_str() || length != dimension as u64 {
            return Err(unusable(format!(
                "it holds vectors of {holder} with {length} values, not of {encoder} with {dimension}; use another folder"
            )));
        }
        Ok(Self { connection })
    }

    /// Reads every paper that can be found.
    pub fn load(&self, encoder: &EncoderId, mut each: impl FnMut(IndexedPaper)) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT id, paper, dense, sparse FROM papers WHERE withdrawn = 0")
            .map_err(unavailable)?;
        let mut rows = statement.query([]).map_err(unavailable)?;
        while let Some(row) = rows.next().map_err(unavailable)? {
            let id: String = row.get(0).map_err(unavailable)?;
            let column = |index| row.get::<_, Vec<u8>>(index).map_err(|error| damaged(&id, &error));
            let paper = paper_from(&id, &column(1)?)?;
            let dense = DenseVector::new(floats(&column(2)?)).map_err(|error| damaged(&id, &error))?;
            let sparse = wire::SparseVector::decode(column(3)?.as_slice()).map_err(|error| damaged(&id, &error))?;
            let sparse = SparseVector::try_from(sparse).map_err(|error| damaged(&id, &error))?;
            let vectors = PaperVectors {
                encoder: encoder.clone(),
                dense,
                sparse,
                truncated: false,
            };
            each(IndexedPaper { paper, vectors });
        }
        Ok(())
    }

    /// Writes what is not older than what is there, in one transaction.
    pub fn upsert(&mut self, papers: &[IndexedPaper]) -> Result<Vec<Upserted>, StoreError> {
        let transaction = self.connection.transaction().map_err(unavailable)?;
        let mut outcomes = Vec::with_capacity(papers.len());
        for one in papers {
            outcomes.push(write(&transaction, one)?);
        }
        transaction.commit().map_err(unavailable)?;
        Ok(outcomes)
    }

    /// Leaves the mark of a withdrawal. `false` when a newer revision is there.
    pub fn withdraw(&mut self, id: &PaperId, revision: u64) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction().map_err(unavailable)?;
        let newer = revision_of(&transaction, id)?.is_some_and(|known| known > revision);
        if !newer {
            transaction
                .execute(
                    "INSERT INTO papers (id, revision, withdrawn) VALUES (?1, ?2, 1) ON CONFLICT (id) DO UPDATE \
                     SET revision = ?2, withdrawn = 1, paper = NULL, dense = NULL, sparse = NULL",
                    params![id.as_str(), as_sql(revision)],
                )
                .map_err(unavailable)?;
        }
        transaction.commit().map_err(unavailable)?;
        Ok(!newer)
    }

    /// Papers by id, in the order asked.
    pub fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT paper FROM papers WHERE id = ?1 AND withdrawn = 0")
            .map_err(unavailable)?;
        let mut papers = Vec::with_capacity(ids.len());
        for id in ids {
            let found = statement
                .query_row([id.as_str()], |row| row.get::<_, Vec<u8>>(0))
                .optional();
            if let Some(bytes) = found.map_err(unavailable)? {
                papers.push(paper_from(id.as_str(), &bytes)?);
            }
        }
        Ok(papers)
    }

    /// Papers that can be found, and marks of withdrawn ones.
    pub fn counts(&self) -> Result<(u64, u64), StoreError> {
        let counted = self.connection.query_row(
            "SELECT COALESCE(SUM(withdrawn = 0), 0), COALESCE(SUM(withdrawn), 0) FROM papers",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        );
        let (papers, withdrawn) = counted.map_err(unavailable)?;
        Ok((papers.unsigned_abs(), withdrawn.unsigned_abs()))
    }
}

fn prepare(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

/// Whose vectors the file holds, and how long they are: the given ones when it is new.
fn holder(connection: &Connection, encoder: &EncoderId, dimension: usize) -> rusqlite::Result<(String, u64)> {
    connection.execute(
        "INSERT INTO vectors (encoder, dimension) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM vectors)",
        params![encoder.as_str(), as_sql(dimension as u64)],
    )?;
    connection.query_row("SELECT encoder, dimension FROM vectors", [], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })
}

/// What an operator can do about a file that does not open.
fn advice(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy) => "another process has it open; stop that one first".to_owned(),
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            format!("the file is damaged ({error}); move it away and let the papers be indexed again")
        }
        _ => error.to_string(),
    }
}

fn write(transaction: &Transaction<'_>, one: &IndexedPaper) -> Result<Upserted, StoreError> {
    let known = revision_of(transaction, &one.paper.id)?;
    if known.is_some_and(|known| known > one.paper.revision) {
        return Ok(Upserted::Stale);
    }
    let dense: Vec<u8> = one
        .vectors
        .dense
        .as_slice()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    transaction
        .prepare_cached(
            "INSERT INTO papers (id, revision, withdrawn, paper, dense, sparse) VALUES (?1, ?2, 0, ?3, ?4, ?5) \
             ON CONFLICT (id) DO UPDATE SET revision = ?2, withdrawn = 0, paper = ?3, dense = ?4, sparse = ?5",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                one.paper.id.as_str(),
                as_sql(one.paper.revision),
                wire::Paper::from(&one.paper).encode_to_vec(),
                dense,
                wire::SparseVector::from(&one.vectors.sparse).encode_to_vec(),
            ])
        })
        .map_err(unavailable)?;
    Ok(Upserted::Written)
}

fn revision_of(transaction: &Transaction<'_>, id: &PaperId) -> Result<Option<u64>, StoreError> {
    let known = transaction
        .prepare_cached("SELECT revision FROM papers WHERE id = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([id.as_str()], |row| row.get::<_, i64>(0))
                .optional()
        })
        .map_err(unavailable)?;
    Ok(known.map(i64::unsigned_abs))
}

fn paper_from(id: &str, bytes: &[u8]) -> Result<Paper, StoreError> {
    let paper = wire::Paper::decode(bytes).map_err(|error| damaged(id, &error))?;
    Paper::try_from(paper).map_err(|error| damaged(id, &error))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        .collect()
}

/// SQLite has signed numbers; revisions count from one and never come near the end of either.
fn as_sql(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn damaged(entry: &str, problem: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        entry: entry.to_owned(),
        problem: problem.to_string(),
    }
}

fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
