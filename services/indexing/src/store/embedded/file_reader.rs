//! Reads from a collection's file, over connections of its own, so that no reader waits for a write.
//!
//! It reads what is committed and never writes. Connections are kept for the next reader.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use domain::{EncoderId, Paper, PaperId};
use prost::Message as _;
use proto::papers::v1 as wire;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use super::entry::IndexEntry;
use super::errors::{self, damaged};
use super::segment::{CAPACITY, Segment, SegmentBuilder};
use crate::store::{IndexedPaper, PaperRevision, ScanPage, StoreEntry, StoreError};

/// Connections that are kept.
const KEPT: usize = 4;
/// Numbers that are read into one segment when the store opens.
const LOADED_TOGETHER: i64 = 8_192;
const _: () = assert!(LOADED_TOGETHER.unsigned_abs() <= CAPACITY as u64);

/// Reads a file.
pub struct FileReader {
    file: PathBuf,
    encoder: EncoderId,
    dimension: usize,
    idle: Mutex<Vec<Connection>>,
    closed: AtomicBool,
}

impl FileReader {
    /// Of a file that is prepared.
    pub fn new(file: &Path, encoder: &EncoderId, dimension: usize) -> Self {
        Self {
            file: file.to_owned(),
            encoder: encoder.clone(),
            dimension,
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Closes the file; reads that have begun go on to their end.
    pub fn close(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::Release);
        idle.clear();
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Papers by id, in the order of the ids.
    pub fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError> {
        let sql = "SELECT paper FROM papers WHERE id = ?1 AND withdrawn = 0";
        self.each(ids, sql, |id, row| paper_of(id.as_str(), &self.blob(row, 0)?))
    }

    /// Papers with their vectors by id, in the order of the ids.
    pub fn get_with_vectors(&self, ids: &[PaperId]) -> Result<Vec<IndexedPaper>, StoreError> {
        let sql = "SELECT paper, entry FROM papers JOIN entries USING (number) WHERE id = ?1";
        self.each(ids, sql, |id, row| {
            self.content(id.as_str(), &self.blob(row, 0)?, &self.blob(row, 1)?)
        })
    }

    /// Which revisions there are of papers, in the order of the ids.
    pub fn revisions_of(&self, ids: &[PaperId]) -> Result<Vec<PaperRevision>, StoreError> {
        let sql = "SELECT revision, withdrawn FROM papers WHERE id = ?1";
        self.each(ids, sql, |id, row| {
            let read = || Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?));
            let (revision, withdrawn) = read().map_err(|error| self.failed(&error))?;
            Ok(PaperRevision {
                id: id.clone(),
                revision,
                withdrawn,
            })
        })
    }

    /// Everything by id, behind an id.
    pub fn scan(&self, after: Option<&str>, limit: usize) -> Result<ScanPage<StoreEntry>, StoreError> {
        let sql = "SELECT id, revision, withdrawn, paper, entry FROM papers LEFT JOIN entries USING (number) \
                   WHERE id > ?1 ORDER BY id LIMIT ?2";
        self.page(after, limit, sql, |row| {
            let one = self.revision_row(row)?;
            let content = if one.withdrawn {
                None
            } else {
                Some(self.content(one.id.as_str(), &self.blob(row, 3)?, &self.blob(row, 4)?)?)
            };
            Ok(StoreEntry {
                id: one.id,
                revision: one.revision,
                content,
            })
        })
    }

    /// Like [`FileReader::scan`], but ids and revisions alone.
    pub fn revisions(&self, after: Option<&str>, limit: usize) -> Result<ScanPage<PaperRevision>, StoreError> {
        let sql = "SELECT id, revision, withdrawn FROM papers WHERE id > ?1 ORDER BY id LIMIT ?2";
        self.page(after, limit, sql, |row| self.revision_row(row))
    }

    /// How many papers there are, and how many tombstones.
    pub fn counts(&self) -> Result<(u64, u64), StoreError> {
        self.with(|connection| {
            let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            let all = count("SELECT count(*) FROM papers")?;
            let withdrawn = count("SELECT count(*) FROM papers WHERE withdrawn = 1")?;
            Ok(Ok((all.abs_diff(withdrawn), withdrawn.unsigned_abs())))
        })
    }

    /// All entries in segments, read by all cores.
    pub fn load(&self) -> Result<Vec<Segment>, StoreError> {
        let last = self.with(|connection| {
            let max = connection.query_row("SELECT max(number) FROM entries", [], |row| {
                row.get::<_, Option<i64>>(0)
            });
            Ok(Ok(max?.unwrap_or(0)))
        })?;
        let next = Mutex::new(0_i64);
        let sealed = Mutex::new(Vec::new());
        let work = || -> Result<(), StoreError> {
            let connection = self.connect()?;
            loop {
                let begin = {
                    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                    let begin = *next;
                    *next = begin.saturating_add(LOADED_TOGETHER);
                    begin
                };
                if begin > last {
                    return Ok(());
                }
                if let Some(segment) = self.load_range(&connection, begin)? {
                    sealed.lock().unwrap_or_else(PoisonError::into_inner).push(segment);
                }
            }
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        std::thread::scope(|scope| {
            let started: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let mut outcome = work();
            for one in started {
                let stopped = || StoreError::Unavailable("a thread that read the file stopped".to_owned());
                outcome = outcome.and(one.join().map_err(|_| stopped()).flatten());
            }
            outcome
        })?;
        Ok(sealed.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The entries whose numbers follow each other from one on.
    fn load_range(&self, connection: &Connection, begin: i64) -> Result<Option<Segment>, StoreError> {
        let failed = |error: rusqlite::Error| self.failed(&error);
        let mut builder = SegmentBuilder::new(self.dimension);
        let sql = "SELECT number, entry FROM entries WHERE number > ?1 AND number <= ?2";
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement
            .query(params![begin, begin + LOADED_TOGETHER])
            .map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let value = row.get_ref(1).map_err(failed)?;
            let bytes = value.as_blob().map_err(|error| damaged("(entry)", &error))?;
            if let Err(problem) = builder.push(bytes) {
                let number: i64 = row.get(0).map_err(failed)?;
                let id = connection.query_row("SELECT id FROM papers WHERE number = ?1", [number], |row| row.get(0));
                return Err(damaged(&id.unwrap_or_else(|_| format!("(number {number})")), &problem));
            }
        }
        if builder.len() == 0 {
            return Ok(None);
        }
        builder
            .build()
            .map(Some)
            .map_err(|problem| damaged("(segment)", &problem))
    }

    fn each<T>(
        &self,
        ids: &[PaperId],
        sql: &str,
        read: impl Fn(&PaperId, &Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                match statement.query_row([id.as_str()], |row| Ok(read(id, row))).optional()? {
                    Some(Ok(one)) => found.push(one),
                    Some(Err(error)) => return Ok(Err(error)),
                    None => {}
                }
            }
            Ok(Ok(found))
        })
    }

    fn page<T>(
        &self,
        after: Option<&str>,
        limit: usize,
        sql: &str,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<ScanPage<T>, StoreError> {
        let limit = limit.max(1);
        self.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![after.unwrap_or(""), i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let (mut entries, mut last) = (Vec::new(), None);
            while let Some(row) = rows.next()? {
                last = Some(row.get::<_, String>(0)?);
                match read(row) {
                    Ok(one) => entries.push(one),
                    Err(error) => return Ok(Err(error)),
                }
            }
            let next = last.filter(|_| entries.len() == limit);
            Ok(Ok(ScanPage { entries, next }))
        })
    }

    fn revision_row(&self, row: &Row<'_>) -> Result<PaperRevision, StoreError> {
        let read = || Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?));
        let (id, revision, withdrawn) = read().map_err(|error| self.failed(&error))?;
        Ok(PaperRevision {
            id: PaperId::parse(&id).map_err(|error| damaged(&id, &error))?,
            revision: revision.unsigned_abs(),
            withdrawn,
        })
    }

    fn content(&self, id: &str, paper: &[u8], entry: &[u8]) -> Result<IndexedPaper, StoreError> {
        let entry = IndexEntry::read(entry, self.dimension).map_err(|error| damaged(id, &error))?;
        Ok(IndexedPaper {
            paper: paper_of(id, paper)?,
            vectors: entry.vectors(&self.encoder).map_err(|error| damaged(id, &error))?,
        })
    }

    fn blob(&self, row: &Row<'_>, at: usize) -> Result<Vec<u8>, StoreError> {
        row.get(at).map_err(|error| self.failed(&error))
    }

    fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let connection = kept.map_or_else(|| self.connect(), Ok)?;
        let answer = read(&connection).map_err(|error| self.failed(&error))?;
        let mut idle = idle();
        if idle.len() < KEPT && !self.is_closed() {
            idle.push(connection);
        }
        answer
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(&self.file, flags).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        errors::failed(&self.file, error)
    }
}

fn paper_of(id: &str, bytes: &[u8]) -> Result<Paper, StoreError> {
    let paper = wire::Paper::decode(bytes).map_err(|error| damaged(id, &error))?;
    Paper::try_from(paper).map_err(|error| damaged(id, &error))
}
