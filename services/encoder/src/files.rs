//! Reads the small files of a model folder, up to a maximum size.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::LoadError;

/// A larger file is neither a configuration nor a tokenizer and must not fill the memory.
const LARGEST_BYTES: u64 = 64 << 20;

/// The whole content of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        let found = format!("more than {LARGEST_BYTES} bytes");
        return Err(corrupt(path, found, format!("at most {LARGEST_BYTES} bytes")));
    }
    Ok(bytes)
}

/// The JSON in a file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T, LoadError> {
    serde_json::from_slice(&read(path)?)
        .map_err(|error| corrupt(path, format!("unexpected JSON ({error})"), expected.to_owned()))
}

/// The JSON in a file that may be absent.
pub(crate) fn read_optional_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<Option<T>, LoadError> {
    match read_json(path, expected) {
        Err(LoadError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

pub(crate) fn corrupt(path: &Path, found: String, expected: String) -> LoadError {
    LoadError::Corrupt {
        path: path.to_owned(),
        found,
        expected,
    }
}

pub(crate) fn unsupported(path: &Path, found: String, expected: &str) -> LoadError {
    LoadError::Unsupported {
        path: path.to_owned(),
        found,
        expected: expected.to_owned(),
    }
}
