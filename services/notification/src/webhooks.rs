//! Hands digests to URLs that accept them as signed POST requests, as Standard Webhooks has it.
//!
//! It says what a response means; what follows from that is not its business. It connects to no address of an internal
//! network that the operator has not allowed, and follows no redirect.

pub mod config;
mod connector;
mod host_limiter;
mod http;
pub mod payloads;
pub mod secrets;
pub mod spans;
pub mod urls;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;

use self::secrets::WebhookSecret;

/// A request, complete but for its time.
#[derive(Debug)]
pub struct WebhookRequest {
    /// Where it goes.
    pub url: String,
    /// By which the receiver recognises it: the same at every attempt, and without a full stop.
    pub id: String,
    /// JSON.
    pub body: String,
    /// What signs it, the newest first.
    pub secrets: Vec<WebhookSecret>,
}

/// A request that was not accepted, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Not now.
    #[error("the webhook does not accept it now: {problem}")]
    Transient {
        /// The response, or why there is none.
        problem: String,
        /// After which time the webhook wants to be called again.
        after: Option<Duration>,
    },
    /// Never again (410).
    #[error("the webhook is gone: {0}")]
    Gone(String),
    /// No response came. The webhook may have the request.
    #[error("the webhook did not respond: {0}")]
    Lost(String),
}

/// Permission to call one host, given back when it is dropped.
#[derive(Debug, Default)]
pub struct HostPermit(#[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>);

/// Calls webhooks, from hundreds of tasks at once.
#[async_trait]
pub trait WebhookClient: Send + Sync {
    /// Waits until the host of a URL may be called. The wait can be long, so what must hold when a request is made is to be
    /// checked afterwards.
    async fn admit(&self, url: &str) -> Result<HostPermit, WebhookError>;
    /// Returns when the request is the other side's responsibility.
    async fn send(&self, request: &WebhookRequest, permit: HostPermit) -> Result<(), WebhookError>;
}
