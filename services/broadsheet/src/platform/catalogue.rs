//! What holds the catalogue on a single machine: a Qdrant server that the environment names, one that is installed here, or
//! the embedded store.
//!
//! A data folder keeps to what it began with: a `qdrant` that appears on PATH or goes from it must not make a catalogue
//! seem empty. It moves no papers.

use std::path::PathBuf;

use common::config::Settings;
use standalone::{DataFolder, Toolbox};
use tracing::info;

use crate::failure::Failure;

/// What a data folder holds a catalogue in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing yet.
    Nowhere,
    /// The embedded store.
    Embedded,
    /// A Qdrant server that is supervised here.
    Qdrant,
}

/// Takes the variables that Qdrant's own clients take, where the configuration names no server.
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

/// What a data folder holds a catalogue in.
pub fn kept(data: &DataFolder) -> Kept {
    let has_files = |folder: PathBuf| std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    if has_files(data.qdrant()) {
        Kept::Qdrant
    } else if has_files(data.index()) {
        Kept::Embedded
    } else {
        Kept::Nowhere
    }
}

/// The server to supervise; `None` means the embedded store. Blocks.
pub fn server(toolbox: &Toolbox, kept: Kept) -> Result<Option<PathBuf>, Failure> {
    let installed = toolbox.qdrant_server().map_err(Failure::other)?;
    match (kept, installed) {
        (Kept::Qdrant, None) => Err(Failure::other(
            "the catalogue of this data folder is in Qdrant, and no qdrant (1.16 or newer) is on PATH; install it, name it \
             in BROADSHEET_QDRANT_SERVER, or use another data folder",
        )),
        (Kept::Embedded, Some(program)) => {
            info!(program = %program.display(), "qdrant is installed; the catalogue of this data folder stays in the embedded store");
            Ok(None)
        }
        (_, installed) => Ok(installed),
    }
}
