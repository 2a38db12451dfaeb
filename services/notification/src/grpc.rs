//! The calls of this service: requests checked, answers from subscribers and editions.

use std::sync::Arc;

use common::status;
use domain::EmailAddress;
use jiff::Timestamp;
use tonic::Status;

use crate::Defaults;
use crate::editions::{EditionError, Editions};
use crate::feedback::Feedback;
use crate::subscribers::{Subscriber, Subscribers, SubscribersError};
use crate::tokens::{Scope, Tokens};

mod deliveries;
mod feedback;
mod subscriptions;

/// Both services.
#[derive(Clone)]
pub struct Notification {
    /// Subscribers and deliveries.
    pub subscribers: Subscribers,
    /// Makes and delivers.
    pub editions: Arc<Editions>,
    /// Checks links.
    pub tokens: Arc<Tokens>,
    /// Takes bounces and complaints in.
    pub feedback: Feedback,
    /// For who says nothing.
    pub defaults: Arc<Defaults>,
}

impl Notification {
    async fn by_token(&self, scopes: &[Scope], token: &str) -> Result<Subscriber, Status> {
        let id = self.tokens.check(scopes, token, Timestamp::now());
        let id = id.map_err(|error| status::invalid("token", error.to_string()))?;
        let found = self.subscribers.get(&id).await.map_err(unavailable)?;
        found.ok_or_else(|| status::not_found("subscription", "of this link"))
    }

    async fn by_email(&self, email: &str) -> Result<Subscriber, Status> {
        let address = address(email)?;
        let found = self.subscribers.by_email(&address).await.map_err(unavailable)?;
        found.ok_or_else(|| status::not_found("subscriber", address.as_str()))
    }
}

fn address(email: &str) -> Result<EmailAddress, Status> {
    EmailAddress::parse(email).map_err(|error| status::invalid("email", error.to_string()))
}

fn unavailable(error: SubscribersError) -> Status {
    status::unavailable(error)
}

fn edition_failed(error: EditionError) -> Status {
    match error {
        EditionError::Template(_) => status::internal(error),
        other => status::unavailable(other),
    }
}

#[cfg(test)]
mod tests;
