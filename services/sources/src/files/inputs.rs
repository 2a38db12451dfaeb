//! What a person names to be read: files, folders, URLs, standard input.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use crate::http::SourceRequest;

/// The most files of one folder.
const MAX_FILES: usize = 100_000;
/// How deep folders may lie in one another.
const MAX_DEPTH: usize = 32;

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileInput {
    /// Standard input.
    Standard,
    /// A file that was named.
    Named(PathBuf),
    /// A file that lies in a folder that was named. It need not hold papers.
    Found(PathBuf),
    /// What a server gives.
    Remote(Url),
}

impl FileInput {
    /// What a name stands for: `-` for standard input, an http or https URL, a file, or all files of a folder, also of those
    /// within it, in the order of their names. Names that begin with a dot are left out.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn of(name: &str) -> io::Result<Vec<Self>> {
        if name == "-" {
            return Ok(vec![Self::Standard]);
        }
        if let Ok(url) = Url::parse(name)
            && matches!(url.scheme(), "http" | "https")
        {
            return Ok(vec![Self::Remote(url)]);
        }
        let path = Path::new(name);
        if !path.is_dir() {
            return Ok(vec![Self::Named(path.to_owned())]);
        }
        let mut files = Vec::new();
        walk(path, 0, &mut files)?;
        Ok(files.into_iter().map(Self::Found).collect())
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Named(path) | Self::Found(path) => Some(path),
            Self::Standard | Self::Remote(_) => None,
        }
    }
}

impl fmt::Display for FileInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("standard input"),
            Self::Named(path) | Self::Found(path) => path.display().fmt(f),
            Self::Remote(url) => f.write_str(url.as_str()),
        }
    }
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!(
            "{}: folders lie more than {MAX_DEPTH} deep",
            folder.display()
        )));
    }
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a folder may lead in a circle.
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), depth + 1, files)?;
        } else if entry.path().is_file() {
            files.push(entry.path());
        }
        if files.len() > MAX_FILES {
            return Err(io::Error::other(format!(
                "more than {MAX_FILES} files; name a part of them"
            )));
        }
    }
    Ok(())
}

/// The request for a file of papers.
pub fn request(url: &Url) -> SourceRequest {
    SourceRequest::new(url.clone(), "*/*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_all_its_files_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.jsonl", "a/z.bib", ".hidden", "a/.git/x", "a/b/c.csv"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, "x").expect("written");
        }
        let found = FileInput::of(&folder.path().display().to_string()).expect("files");
        let names: Vec<String> = found
            .iter()
            .map(|input| {
                input
                    .path()
                    .expect("a path")
                    .strip_prefix(folder.path())
                    .expect("within")
                    .display()
                    .to_string()
            })
            .collect();
        assert_eq!(names, ["a/b/c.csv", "a/z.bib", "b.jsonl"]);
    }

    #[test]
    fn names_are_told_apart() {
        let one = |name: &str| FileInput::of(name).expect("an input").remove(0);
        assert_eq!(one("-"), FileInput::Standard);
        assert!(matches!(
            one("https://example.org/papers.jsonl.gz"),
            FileInput::Remote(_)
        ));
        assert!(matches!(one("papers.jsonl"), FileInput::Named(_)));
        assert!(matches!(one("c:papers"), FileInput::Named(_)));
    }
}
