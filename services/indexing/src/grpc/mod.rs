//! The two services of indexing over gRPC: requests checked, answers in the words of the contract.

mod administration;
mod answer;
mod searching;
mod trending;

pub use self::administration::Administration;
pub use self::searching::Searching;

use common::status;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::encoders::EncodersError;
use crate::search::SearchError;
use crate::search::plan::Origin;
use crate::store::StoreError;
use crate::{Indexing, IndexingCell};

fn open(cell: &IndexingCell) -> Result<&Indexing, Status> {
    cell.get()
        .ok_or_else(|| status::unavailable("the catalogue is not open yet"))
}

fn bad_page_token() -> Status {
    status::invalid("page_token", "is not one that a response to this request gave")
}

/// Blames the field that the words or the paper came from.
fn search_failed(error: SearchError, origin: &Origin) -> Status {
    match error {
        SearchError::Encoders(EncodersError::Refused(problem)) => status::invalid(origin.words, problem),
        SearchError::Store(error) => store_failed(error),
        SearchError::Encoders(error) => encoders_failed(error),
        SearchError::UnknownPaper(id) => {
            let description =
                format!("names paper {id}, which is not in the catalogue; it was never taken in, or withdrawn");
            let field = origin.papers.get(&id).map_or(origin.words, String::as_str);
            status::invalid(field, description)
        }
        SearchError::Vectors(_) => status::internal(error),
    }
}

fn encoders_failed(error: EncodersError) -> Status {
    match error {
        EncodersError::Unavailable(status) if status.code() == Code::ResourceExhausted => {
            let delay = status::retry_delay(&status).unwrap_or_default();
            status::exhausted("more is being embedded than fits now; try again", delay)
        }
        EncodersError::Unavailable(status) if status.code() == Code::DeadlineExceeded => status,
        EncodersError::Unavailable(_) | EncodersError::NotOffered(_) => status::unavailable(error),
        EncodersError::Refused(problem) => status::invalid("query", problem),
        EncodersError::Unsound(_) => status::internal(error),
    }
}

fn store_failed(error: StoreError) -> Status {
    match error {
        StoreError::Refused(problem) => refused(problem),
        error if error.is_transient() => status::unavailable(error),
        error => status::internal(error),
    }
}

/// FAILED_PRECONDITION: the platform is not in a state for this, and the message says in which it is.
fn refused(problem: impl Into<String>) -> Status {
    Status::with_error_details(Code::FailedPrecondition, problem, ErrorDetails::new())
}
