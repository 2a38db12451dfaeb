//! What the messages of a caller cost it: the same as if each had come in a request of its own.

use super::protocol::McpError;
use crate::caller::Caller;
use crate::limits::{RateDecision, RequestBudget, whole_seconds};
use crate::state::AppState;

/// Charges for a message of a batch.
pub fn message(app: &AppState, caller: &Caller) -> Result<(), McpError> {
    let decision = app.limiter.charge(caller, RequestBudget::Api, 1);
    granted(decision, RequestBudget::Api)
}

/// Charges for a search, and for the text of its query.
pub fn search(app: &AppState, caller: &Caller, query: &str) -> Result<(), McpError> {
    let decision = app.limiter.charge(caller, RequestBudget::Search, 1);
    granted(decision, RequestBudget::Search)?;
    granted(app.limiter.charge_text(caller, [query]), RequestBudget::Text)
}

fn granted(decision: RateDecision, budget: RequestBudget) -> Result<(), McpError> {
    match decision {
        RateDecision::Granted { .. } => Ok(()),
        RateDecision::Refused { wait } => Err(McpError::rate_limited(budget.name(), whole_seconds(wait))),
    }
}
