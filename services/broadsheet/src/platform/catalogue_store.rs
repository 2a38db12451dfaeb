//! What holds the catalogue on a single machine: a Qdrant server that the environment names, one that is installed here, or
//! the embedded store.
//!
//! A data folder keeps the store it began with: a `qdrant` that appears on PATH or disappears from it must not make a
//! catalogue seem empty. No papers are moved.

use std::path::PathBuf;

use common::config::Settings;
use standalone::{DataFolder, Toolbox};
use tracing::info;

use crate::error::CommandError;

/// What holds the catalogue of a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogueStore {
    /// Nothing yet: the data folder is new.
    Undecided,
    /// The embedded store.
    Embedded,
    /// A Qdrant server that is supervised here.
    Qdrant,
}

/// Reads the variables of Qdrant's own clients, unless the configuration names a server.
pub fn follow_environment(settings: &mut Settings) {
    for (key, name) in [
        ("indexing.qdrant_url", "QDRANT_URL"),
        ("indexing.qdrant_api_key", "QDRANT_API_KEY"),
    ] {
        if let Ok(value) = std::env::var(name)
            && !value.is_empty()
        {
            settings.set_default(key, value, name);
        }
    }
}

impl CatalogueStore {
    /// What holds the catalogue of a data folder, by the files in it.
    pub fn of(data: &DataFolder) -> Self {
        let has_files = |folder: PathBuf| std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
        if has_files(data.qdrant()) {
            Self::Qdrant
        } else if has_files(data.index()) {
            Self::Embedded
        } else {
            Self::Undecided
        }
    }
}

/// The server to supervise; `None` means the embedded store. Blocks.
pub fn server(toolbox: &Toolbox, store: CatalogueStore) -> Result<Option<PathBuf>, CommandError> {
    let installed = toolbox.qdrant_server().map_err(CommandError::other)?;
    match (store, installed) {
        (CatalogueStore::Qdrant, None) => Err(CommandError::other(
            "the catalogue of this data folder is in Qdrant, and no qdrant (1.16 or newer) is on PATH; install it, name it \
             in BROADSHEET_QDRANT_SERVER, or use another data folder",
        )),
        (CatalogueStore::Embedded, Some(program)) => {
            info!(program = %program.display(), "qdrant is installed, but the catalogue of this data folder stays in the embedded store");
            Ok(None)
        }
        (_, installed) => Ok(installed),
    }
}
