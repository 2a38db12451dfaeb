//! The two services of indexing over gRPC: requests checked, answers in the words of the contract.

mod index_admin;
mod results;
mod search;
mod trending;
mod watch;

pub use self::index_admin::IndexAdminHandler;
pub use self::search::SearchHandler;

use std::pin::Pin;
use std::time::Duration;

use common::status;
use futures::Stream;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::encoders::EncodersError;
use crate::search::SearchError;
use crate::search::plan::FieldOrigins;
use crate::state::{IndexingCell, IndexingState};
use crate::store::StoreError;

/// When to call again while the service starts.
const STARTING_RETRY: Duration = Duration::from_secs(1);

/// The messages of a streaming call.
type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the calls need, or UNAVAILABLE while the catalogue is being opened. Every start goes through that, so it is no
/// warning in the log: the process says by its readiness that it is not to be called yet.
fn opened(cell: &IndexingCell) -> Result<&IndexingState, Status> {
    cell.get().ok_or_else(|| {
        tracing::debug!("call before the catalogue is open");
        let details = ErrorDetails::with_retry_info(Some(STARTING_RETRY));
        Status::with_error_details(Code::Unavailable, "the catalogue is not open yet; try again", details)
    })
}

fn bad_page_token() -> Status {
    status::invalid("page_token", "is not one that a response to this request gave")
}

/// Blames the field that the words or the paper came from.
fn search_failed(error: SearchError, origin: &FieldOrigins) -> Status {
    match error {
        SearchError::Encoders(EncodersError::Refused(problem)) => status::invalid(origin.words, problem),
        SearchError::Store(error) => store_failed(error),
        SearchError::Encoders(error) => encoders_failed(error),
        SearchError::UnknownPaper(id) => {
            let description =
                format!("names paper {id}, which is not in the catalogue; it was never accepted, or it was withdrawn");
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

/// FAILED_PRECONDITION: the state of the platform does not allow this, and the message says why.
fn refused(problem: impl Into<String>) -> Status {
    Status::with_error_details(Code::FailedPrecondition, problem, ErrorDetails::new())
}
