//! Hands editions to URLs that take them as signed POST requests, in the manner of Standard Webhooks.
//!
//! It says what an answer means; what follows from that is not its business. It connects to no address inside a network
//! that the operator has not named, and follows no redirect.

pub mod addresses;
pub mod bodies;
pub mod config;
mod connecting;
mod hosts;
mod requests;
pub mod secrets;
pub mod urls;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{Span, field, info_span};

use self::secrets::Secret;

/// A request, complete but for the moment it is made.
#[derive(Debug)]
pub struct Call {
    /// Where it goes.
    pub url: String,
    /// Says to the receiver which one it is; the same at every attempt, and without a full stop.
    pub id: String,
    /// JSON.
    pub body: String,
    /// What signs it, the newest first.
    pub secrets: Vec<Secret>,
}

/// A request that was not taken, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Not now.
    #[error("the webhook does not take it now: {problem}")]
    Transient {
        /// What it answered, or why it could not be asked.
        problem: String,
        /// After which time it wants to be asked again.
        after: Option<Duration>,
    },
    /// Never again (410).
    #[error("the webhook is gone: {0}")]
    Gone(String),
    /// No answer came. The webhook may have the request.
    #[error("the webhook did not answer: {0}")]
    Lost(String),
}

/// Leave to ask one host, given back when it is dropped.
#[derive(Debug, Default)]
pub struct Turn(#[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>);

/// Makes requests, from hundreds of tasks at once.
#[async_trait]
pub trait Caller: Send + Sync {
    /// Waits until the host of a URL can be asked. What has to hold at the moment of a request is looked at after that: the
    /// wait can be long.
    async fn turn(&self, url: &str) -> Result<Turn, CallError>;
    /// Returns when the request is the other side's responsibility.
    async fn call(&self, call: &Call, turn: Turn) -> Result<(), CallError>;
}

/// The span of a request with an `edition` or a `challenge`. It never says whose it is, where it goes or what is in it.
pub fn span(kind: &'static str) -> Span {
    info_span!(
        "call",
        otel.name = format!("call webhook with {kind}"),
        otel.kind = "client",
        otel.status_code = field::Empty,
        webhook.kind = kind,
        webhook.outcome = field::Empty,
        http.response.status_code = field::Empty
    )
}

/// Notes how a request ended.
pub fn ended(span: &Span, outcome: &Result<(), CallError>) {
    let name = match outcome {
        Ok(()) => "taken",
        Err(CallError::Transient { .. }) => "later",
        Err(CallError::Gone(_)) => "gone",
        Err(CallError::Lost(_)) => "unknown",
    };
    span.record("webhook.outcome", name);
    if outcome.is_err() {
        span.record("otel.status_code", "ERROR");
    }
}
