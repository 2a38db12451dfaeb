//! How far a run has come, in a small file: which of the inputs, and how many of its records have an answer.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sources::files::inputs::FileInput;

use crate::error::CommandError;

/// A place in the inputs: everything before it has an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct IngestPosition {
    /// Which of the inputs, from 0.
    pub input: usize,
    /// Records of it that have an answer.
    pub records: u64,
}

/// The file.
#[derive(Debug)]
pub struct ProgressFile {
    path: PathBuf,
    content: ProgressContent,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ProgressContent {
    version: u32,
    /// How many inputs there are, and what the one at the position was when it was read.
    inputs: usize,
    name: String,
    state: String,
    position: IngestPosition,
}

impl ProgressFile {
    /// Reads the file of an earlier run over the same inputs, or prepares to write it.
    ///
    /// # Errors
    /// A file that cannot be read, or belongs to other inputs.
    pub fn open(path: PathBuf, inputs: &[FileInput]) -> Result<Self, CommandError> {
        let wrong = |problem: String| CommandError::data(format!("--resume {}: {problem}", path.display()));
        let content = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| wrong(format!("it is no progress of broadsheet ingest: {error}")))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                ProgressContent::at(IngestPosition::default(), inputs)
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        if content != ProgressContent::at(content.position, inputs) {
            return Err(wrong(format!(
                "it belongs to other files, or {:?} has changed since; remove it to begin anew",
                content.name
            )));
        }
        Ok(Self { path, content })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where to go on.
    pub fn position(&self) -> IngestPosition {
        self.content.position
    }

    /// Notes a place.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn note(&mut self, position: IngestPosition, inputs: &[FileInput]) -> Result<(), CommandError> {
        self.content = ProgressContent::at(position, inputs);
        let bytes = serde_json::to_vec(&self.content).map_err(CommandError::other)?;
        let beside = self.path.with_added_extension("new");
        std::fs::write(&beside, bytes)
            .and_then(|()| std::fs::rename(&beside, &self.path))
            .map_err(|error| CommandError::other(format!("--resume {}: {error}", self.path.display())))
    }

    /// Removes it: all is done.
    pub fn finish(self) -> Result<(), CommandError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CommandError::other(format!(
                "--resume {}: {error}",
                self.path.display()
            ))),
            _ => Ok(()),
        }
    }
}

impl ProgressContent {
    fn at(position: IngestPosition, inputs: &[FileInput]) -> Self {
        let input = inputs.get(position.input);
        Self {
            version: 1,
            inputs: inputs.len(),
            name: input.map(FileInput::to_string).unwrap_or_default(),
            state: input.and_then(FileInput::path).and_then(state).unwrap_or_default(),
            position,
        }
    }
}

/// What tells whether a file has changed: its size and its modification time.
fn state(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{}-{}", metadata.len(), modified.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_where_it_was_and_only_over_its_own_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("papers.jsonl");
        std::fs::write(&file, "{}").expect("written");
        let inputs = [FileInput::Standard, FileInput::Named(file.clone())];
        let path = folder.path().join("progress");
        let open = |inputs: &[FileInput]| ProgressFile::open(path.clone(), inputs);

        let mut progress = open(&inputs).expect("a new one");
        assert_eq!(progress.position(), IngestPosition::default());
        let position = IngestPosition { input: 1, records: 7 };
        progress.note(position, &inputs).expect("noted");
        assert_eq!(open(&inputs).expect("the noted one").position(), position);

        let refused = format!("{:?}", open(&inputs[1..]).expect_err("other files"));
        assert!(refused.contains("remove it to begin anew"), "{refused}");
        std::fs::write(&file, "changed").expect("written");
        open(&inputs).expect_err("a changed file");
        std::fs::write(&path, "not json").expect("written");
        let refused = format!("{:?}", open(&inputs).expect_err("nonsense"));
        assert!(refused.contains("no progress of broadsheet ingest"), "{refused}");
        progress.finish().expect("removed");
        assert!(!path.exists());
    }
}
