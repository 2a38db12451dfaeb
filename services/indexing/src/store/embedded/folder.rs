//! The folder of all collections: locked by one process, with a file that says what the aliases stand for.
//!
//! It knows no table; see `super::schema`.

use std::fmt::Display;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use domain::EncoderId;
use serde::{Deserialize, Serialize};

use super::errors::unusable;
use crate::store::{Alias, StoreError, collection_name};

const LOCK: &str = "LOCK";
const ALIASES: &str = "ALIASES";
const SUFFIX: &str = ".sqlite";

/// A folder that this process keeps locked until the value is dropped.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// The collection that each alias stands for, by its encoder and the length of its vectors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases {
    current: Option<(EncoderId, usize)>,
    next: Option<(EncoderId, usize)>,
}

/// The file of the aliases.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasFile {
    current: Option<AliasTarget>,
    next: Option<AliasTarget>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasTarget {
    encoder: String,
    dimension: usize,
}

impl Folder {
    /// Makes the folder where there is none, and keeps other processes out.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| unusable(path, error.to_string());
        std::fs::create_dir_all(path).map_err(failed)?;
        let file = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(file)
            .map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => unusable(path, "another process has it open; stop that one first"),
            TryLockError::Error(error) => failed(error),
        })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of an encoder's collection.
    pub fn file(&self, encoder: &EncoderId) -> PathBuf {
        self.path.join(collection_name(encoder) + SUFFIX)
    }

    /// The files of all collections, by name.
    pub fn files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let failed = |error: std::io::Error| unusable(&self.path, error.to_string());
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("papers-") && name.ends_with(SUFFIX) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Removes the files of a collection.
    pub fn remove(&self, encoder: &EncoderId) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        // The file itself goes first: what is left of the others is nothing without it.
        for suffix in ["", "-wal", "-shm"] {
            let mut file = self.file(encoder).into_os_string();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        sync(&self.path).map_err(failed)
    }

    /// What the aliases stand for; `None` where none was ever set.
    pub fn aliases(&self) -> Result<Option<Aliases>, StoreError> {
        let file = self.path.join(ALIASES);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&file, error.to_string())),
        };
        let problem = |error: &dyn Display| {
            let problem = format!(
                "the file is damaged ({error}); restore it from a backup, or remove the folder and index again"
            );
            unusable(&file, problem)
        };
        let read: AliasFile = serde_json::from_str(&text).map_err(|error| problem(&error))?;
        let target = |target: AliasTarget| {
            let encoder = EncoderId::parse(&target.encoder).map_err(|error| problem(&error))?;
            Ok((encoder, target.dimension))
        };
        Ok(Some(Aliases {
            current: read.current.map(target).transpose()?,
            next: read.next.map(target).transpose()?,
        }))
    }

    /// Writes what the aliases stand for, durably and atomically.
    pub fn set_aliases(&self, aliases: &Aliases) -> Result<(), StoreError> {
        let target = |target: &(EncoderId, usize)| AliasTarget {
            encoder: target.0.to_string(),
            dimension: target.1,
        };
        let file = AliasFile {
            current: aliases.current.as_ref().map(target),
            next: aliases.next.as_ref().map(target),
        };
        let unwritable = |error: serde_json::Error| StoreError::Refused(error.to_string());
        let text = serde_json::to_string_pretty(&file).map_err(unwritable)? + "\n";
        let new = self.path.join(format!("{ALIASES}.new"));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, self.path.join(ALIASES))?;
            sync(&self.path)
        });
        written.map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

impl Aliases {
    /// What an alias stands for.
    pub fn get(&self, alias: Alias) -> Option<(EncoderId, usize)> {
        match alias {
            Alias::Current => self.current.clone(),
            Alias::Next => self.next.clone(),
        }
    }

    /// The same aliases, but one of them standing for something else.
    pub fn with(&self, alias: Alias, stands_for: Option<(&EncoderId, usize)>) -> Self {
        let target = stands_for.map(|(encoder, dimension)| (encoder.clone(), dimension));
        let mut it = self.clone();
        match alias {
            Alias::Current => it.current = target,
            Alias::Next => it.next = target,
        }
        it
    }
}

/// Makes names in a folder durable.
fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
