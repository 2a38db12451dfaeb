//! Checks of single fields of a request, for every form in which a query can come.

use common::status;
use domain::PaperId;
use domain::query::{self, MAX_CHARS, MAX_WORDS};
use tonic::Status;

/// An id in any spelling.
pub fn paper_id(field: &str, id: &str) -> Result<PaperId, Status> {
    PaperId::parse(id).map_err(|error| status::invalid(field, error.to_string()))
}

/// A query in the query language; an empty one looks for nothing.
pub fn parse_query(field: &str, text: &str) -> Result<query::ParsedQuery, Status> {
    check_length(field, text)?;
    query::parse(text).map_err(|error| status::invalid(field, error.to_string()))
}

/// At most as many characters as a query of the language may have.
pub fn check_length(field: &str, text: &str) -> Result<(), Status> {
    let length = text.chars().count();
    if length > MAX_CHARS {
        let description = format!("has {length} characters; at most {MAX_CHARS} are allowed");
        return Err(status::invalid(field, description));
    }
    Ok(())
}

/// At most as many words as a query of the language may have.
pub fn check_words(field: &str, words: usize) -> Result<(), Status> {
    if words > MAX_WORDS {
        let description = format!("has {words} words; at most {MAX_WORDS} are allowed");
        return Err(status::invalid(field, description));
    }
    Ok(())
}
