//! The folder of all collections: held by one process, with a file that says which collection is what.
//!
//! It knows no table; see `super::schema`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use domain::EncoderId;
use serde::{Deserialize, Serialize};

use super::failure::unusable;
use crate::store::{Alias, StoreError, collection_name};

const LOCK: &str = "LOCK";
const ALIASES: &str = "ALIASES";
const SUFFIX: &str = ".sqlite";

/// A folder that this process holds until the value is dropped.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Which collection each alias stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aliases {
    current: Option<Named>,
    next: Option<Named>,
}

/// An encoder and the length of its vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
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

    /// What the aliases stand for; `None` where nothing was ever written.
    pub fn aliases(&self) -> Result<Option<Aliases>, StoreError> {
        let file = self.path.join(ALIASES);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&file, error.to_string())),
        };
        let problem = |error: serde_json::Error| {
            unusable(
                &file,
                format!("the file is damaged ({error}); remove it and name the current collection again"),
            )
        };
        serde_json::from_str(&text).map(Some).map_err(problem)
    }

    /// Writes what the aliases stand for, durably and at once.
    pub fn set_aliases(&self, aliases: &Aliases) -> Result<(), StoreError> {
        let text = serde_json::to_string_pretty(aliases).unwrap_or_default() + "\n";
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
        let named = match alias {
            Alias::Current => self.current.as_ref(),
            Alias::Next => self.next.as_ref(),
        }?;
        Some((EncoderId::parse(&named.encoder).ok()?, named.dimension))
    }

    /// The same with an alias standing for something else.
    pub fn with(&self, alias: Alias, stands_for: Option<(&EncoderId, usize)>) -> Self {
        let named = stands_for.map(|(encoder, dimension)| Named {
            encoder: encoder.to_string(),
            dimension,
        });
        let mut it = self.clone();
        match alias {
            Alias::Current => it.current = named,
            Alias::Next => it.next = named,
        }
        it
    }
}

/// Makes names in a folder durable.
fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
