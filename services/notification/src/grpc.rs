//! The calls of this service: requests checked, answers from subscribers and editions.

use std::net::IpAddr;
use std::sync::Arc;

use common::status;
use domain::{EmailAddress, Violation};
use jiff::Timestamp;
use tonic::{Request, Status};

use crate::Defaults;
use crate::editions::{EditionError, Editions};
use crate::feedback::Feedback;
use crate::interests::Interests;
use crate::subscribers::rates::Rates;
use crate::subscribers::{Subscriber, Subscribers, SubscribersError};
use crate::tokens::{Scope, Tokens};
use crate::webhook::addresses::Allowed;
use crate::webhook::secrets::Secrets;
use crate::webhook::urls::Schemes;

mod answers;
mod deliveries;
mod export;
mod feedback;
mod import;
mod operators;
mod previews;
mod reactions;
mod subscriptions;
mod updates;
mod webhooks;
mod wishes;

/// Both services.
#[derive(Clone)]
pub struct Notification {
    /// Subscribers and deliveries.
    pub subscribers: Subscribers,
    /// Makes and delivers.
    pub editions: Arc<Editions>,
    /// Makes the vectors of interests.
    pub interests: Arc<Interests>,
    /// Checks links.
    pub tokens: Arc<Tokens>,
    /// Makes the secrets of webhooks.
    pub secrets: Arc<Secrets>,
    /// What URLs of webhooks may begin with.
    pub schemes: Schemes,
    /// Which addresses they may name.
    pub allowed: Allowed,
    /// Takes bounces and complaints in.
    pub feedback: Feedback,
    /// For who says nothing.
    pub defaults: Arc<Defaults>,
    /// How many wishes to subscribe are taken.
    pub rates: Rates,
    /// Whose word on whom they call for is taken.
    pub forwarded: Forwarded,
}

/// Whose `x-forwarded-for` is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// That of every caller: each has presented the token.
    ByAll,
    /// That of callers on this machine.
    ByLoopback,
}

impl Notification {
    async fn by_token(&self, scopes: &[Scope], token: &str) -> Result<Subscriber, Status> {
        let id = self.id_of(scopes, token)?;
        let found = self.subscribers.get(&id).await.map_err(unavailable)?;
        found.ok_or_else(|| status::not_found("subscription", "of this link"))
    }

    fn id_of(&self, scopes: &[Scope], token: &str) -> Result<String, Status> {
        let id = self.tokens.check(scopes, token, Timestamp::now());
        id.map_err(|error| status::invalid("token", error.to_string()))
    }

    async fn by_email(&self, email: &str) -> Result<Subscriber, Status> {
        let address = address(email)?;
        let found = self.subscribers.by_email(&address).await.map_err(unavailable)?;
        found.ok_or_else(|| status::not_found("subscriber", address.as_str()))
    }

    /// From where a call comes, for the limit of a network; none for this machine itself.
    fn caller<T>(&self, request: &Request<T>) -> Option<IpAddr> {
        let peer = request.remote_addr().map(|peer| peer.ip().to_canonical());
        let loopback = peer.is_none_or(|peer| peer.is_loopback());
        let forwarded = request.metadata().get("x-forwarded-for");
        if self.forwarded == Forwarded::ByAll || loopback {
            let first = forwarded.and_then(|value| value.to_str().ok()?.split(',').next()?.trim().parse().ok());
            if first.is_some() {
                return first;
            }
        }
        peer.filter(|_| !loopback)
    }
}

fn address(email: &str) -> Result<EmailAddress, Status> {
    EmailAddress::parse(email).map_err(|error| status::invalid("email", error.to_string()))
}

fn refused(violations: Vec<Violation>) -> Status {
    status::invalid_fields(violations.into_iter().map(|one| (one.field, one.description)))
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
