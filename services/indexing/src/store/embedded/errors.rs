//! Errors of files and of SQLite as errors of the port.

use std::fmt::Display;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// A folder or file that an operator must look at.
pub fn unusable(place: &Path, problem: impl Into<String>) -> StoreError {
    StoreError::Unusable {
        place: place.display().to_string(),
        problem: problem.into(),
    }
}

/// What an operator can do about a file that does not open.
pub fn advice(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has it open; stop that one first".to_owned()
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            format!("the file is damaged ({error}); move it away and let the papers be indexed again")
        }
        _ => error.to_string(),
    }
}

/// A call that failed on an open file: damage is permanent, everything else may pass, such as a full disk.
pub fn failed(file: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => unusable(file, advice(error)),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// A paper that cannot be read.
pub fn damaged(entry: &str, problem: &dyn Display) -> StoreError {
    StoreError::Damaged {
        entry: entry.to_owned(),
        problem: problem.to_string(),
    }
}
