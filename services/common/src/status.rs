//! Errors to gRPC statuses, in one place.
//!
//! A client error says which field, which value and what is allowed, with `google.rpc` details. An internal error carries
//! an id for the log and never its cause.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use tracing::{error, warn};

use crate::bus::BusError;

/// When to try again where a stream is full: an operator has to look, or work has to go on.
const FULL_RETRY: Duration = Duration::from_mins(1);

/// INVALID_ARGUMENT for one field.
pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Status {
    invalid_fields([(field.into(), description.into())])
}

/// INVALID_ARGUMENT for several fields, each with what is wrong.
pub fn invalid_fields(violations: impl IntoIterator<Item = (String, String)>) -> Status {
    let violations: Vec<FieldViolation> = violations
        .into_iter()
        .map(|(field, description)| FieldViolation::new(field, description))
        .collect();
    let message: Vec<String> = violations
        .iter()
        .map(|v| format!("{} {}", v.field, v.description))
        .collect();
    Status::with_error_details(
        Code::InvalidArgument,
        message.join("; "),
        ErrorDetails::with_bad_request(violations),
    )
}

/// NOT_FOUND, naming what was looked for.
pub fn not_found(kind: &str, name: &str) -> Status {
    let shown = domain::text::shorten(name);
    let details = ErrorDetails::with_resource_info(kind, &shown, "", "not found");
    Status::with_error_details(Code::NotFound, format!("{kind} {shown:?} is not known"), details)
}

/// NOT_FOUND, naming what was looked for and everything there is.
pub fn not_offered(kind: &str, name: &str, offered: &[String]) -> Status {
    let shown = domain::text::shorten(name);
    let details = ErrorDetails::with_resource_info(kind, &shown, "", "not offered");
    let message = format!("{kind} {shown:?} is not offered; offered: {}", offered.join(", "));
    Status::with_error_details(Code::NotFound, message, details)
}

/// UNAVAILABLE: something this service needs does not answer; the client may try again.
pub fn unavailable(problem: impl std::fmt::Display) -> Status {
    warn!(%problem, "call not served, something needed is unavailable");
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    Status::with_error_details(
        Code::Unavailable,
        "something needed for this is unavailable; try again",
        details,
    )
}

/// UNAVAILABLE for a fault of the bus, or RESOURCE_EXHAUSTED where a stream is full.
pub fn of_bus(error: impl std::borrow::Borrow<BusError>) -> Status {
    let error = error.borrow();
    match error {
        BusError::Full { .. } => full(error),
        _ => unavailable(error),
    }
}

/// RESOURCE_EXHAUSTED: a stream is full, and takes nothing new until an operator or work that goes on makes room.
pub fn full(problem: impl std::fmt::Display) -> Status {
    warn!(%problem, "call refused, a stream is full");
    exhausted(problem.to_string(), FULL_RETRY)
}

/// RESOURCE_EXHAUSTED: more was asked than fits now; the client may try again after the delay.
pub fn exhausted(problem: impl Into<String>, retry_after: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(retry_after));
    Status::with_error_details(Code::ResourceExhausted, problem, details)
}

/// When a status says to try again.
pub fn retry_delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

/// The first field that a status blames.
pub fn blamed_field(status: &Status) -> Option<String> {
    let violations = status.get_details_bad_request()?.field_violations;
    violations.into_iter().next().map(|violation| violation.field)
}

/// INTERNAL: the cause is logged under an id, which the client gets.
pub fn internal(cause: impl std::fmt::Display) -> Status {
    let id = uuid::Uuid::new_v4().simple().to_string();
    error!(error_id = id, %cause, "internal error");
    Status::internal(format!("internal error; the operator finds it in the log under {id}"))
}

/// A page size as AIP-158 has it: 0 means the default, negative or too large is refused.
pub fn page_size(asked: i32, default: usize, most: usize) -> Result<usize, Status> {
    count("page_size", asked, default, most)
}

/// The number of things a request asks for; 0 means `default`.
pub fn count(field: &str, asked: i32, default: usize, most: usize) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(size) if size <= most => Ok(size),
        _ => Err(invalid(
            field,
            format!("is {asked}; allowed are 1 to {most}, or 0 for {default}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_read_back_as_they_were_given() {
        let full = exhausted("the queue is full", Duration::from_millis(250));
        assert_eq!(full.code(), Code::ResourceExhausted);
        assert_eq!(retry_delay(&full), Some(Duration::from_millis(250)));
        assert_eq!(blamed_field(&full), None);
        let wrong = invalid("texts[3]", "is empty");
        assert_eq!(blamed_field(&wrong).as_deref(), Some("texts[3]"));
        assert_eq!(retry_delay(&wrong), None);
    }
}
