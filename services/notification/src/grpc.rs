//! The calls of this service: requests checked, answers from subscribers and digests.

use std::net::IpAddr;
use std::sync::Arc;

use common::clock::Clock;
use common::status;
use common::tasks::Tasks;
use domain::{EmailAddress, Violation};
use tonic::{Request, Status};

use crate::config::SubscriptionDefaults;
use crate::digests::{DigestError, Digests};
use crate::feedback::FeedbackHandler;
use crate::interests::InterestEmbedder;
use crate::limits::SubscribeLimits;
use crate::ports::{DeliveryLedger, DueQueue, RateLimiter, StoreError, StoreRecovery, SubscriberStore};
use crate::subscribers::confirmations::Confirmations;
use crate::subscribers::{Subscriber, Subscriptions};
use crate::tokens::{Scope, TokenClaim, TokenError, Tokens};
use crate::webhooks::secrets::WebhookSecrets;
use crate::webhooks::urls::AllowedSchemes;
use common::addresses::AllowedAddresses;

mod account_links;
mod answers;
mod confirmations;
mod deliveries;
mod export;
mod feedback;
mod import;
mod operators;
mod previews;
mod reactions;
mod subscribe_requests;
mod subscriptions;
mod updates;
mod webhooks;

/// Both services.
#[derive(Clone)]
pub struct Notification {
    /// Changes subscribers.
    pub subscriptions: Subscriptions,
    /// Takes requests to subscribe.
    pub confirmations: Confirmations,
    /// Keeps subscribers.
    pub store: Arc<dyn SubscriberStore>,
    /// Records deliveries.
    pub ledger: Arc<dyn DeliveryLedger>,
    /// Says who is due.
    pub due_queue: Arc<dyn DueQueue>,
    /// Limits how fast things may come.
    pub rate_limiter: Arc<dyn RateLimiter>,
    /// Brings the store up to the log.
    pub recovery: Arc<dyn StoreRecovery>,
    /// Makes and delivers.
    pub digests: Arc<Digests>,
    /// Makes the vectors of interests.
    pub interests: Arc<InterestEmbedder>,
    /// Checks links.
    pub tokens: Arc<Tokens>,
    /// Makes the secrets of webhooks.
    pub secrets: Arc<WebhookSecrets>,
    /// What URLs of webhooks may begin with.
    pub schemes: AllowedSchemes,
    /// Which addresses they may name.
    pub allowed: AllowedAddresses,
    /// Takes bounces and complaints in.
    pub feedback: FeedbackHandler,
    /// For who says nothing.
    pub defaults: Arc<SubscriptionDefaults>,
    /// How many requests to subscribe are taken.
    pub limits: SubscribeLimits,
    /// Whose word on whom they call for is taken.
    pub forwarded: Forwarded,
    /// Tells the time.
    pub clock: Clock,
    /// Starts what goes on after a call.
    pub tasks: Tasks,
}

/// Whose `x-forwarded-for` is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// That of every caller: each has presented a key.
    ByAll,
    /// That of callers on this machine.
    ByLoopback,
}

impl Notification {
    async fn by_token(&self, scopes: &[Scope], token: &str) -> Result<Subscriber, Status> {
        let claim = self.claim(scopes, token)?;
        self.holder(&claim).await
    }

    /// What a token says, which was not revoked as far as it tells by itself.
    fn claim(&self, scopes: &[Scope], token: &str) -> Result<TokenClaim, Status> {
        let claim = self.tokens.check(scopes, token, self.clock.now());
        claim.map_err(|error| refused_token(&error))
    }

    /// The subscriber of a token that was not revoked.
    async fn holder(&self, claim: &TokenClaim) -> Result<Subscriber, Status> {
        let found = self.subscriptions.get(&claim.subscriber).await.map_err(unavailable)?;
        let known = found.ok_or_else(|| status::not_found("subscription", "of this link"))?;
        claim
            .check_epoch(known.link_epoch)
            .map_err(|error| refused_token(&error))?;
        Ok(known)
    }

    async fn by_email(&self, email: &str) -> Result<Subscriber, Status> {
        let address = address(email)?;
        let found = self.subscriptions.by_email(&address).await.map_err(unavailable)?;
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

fn refused_token(error: &TokenError) -> Status {
    status::invalid("token", error.to_string())
}

fn refused(violations: Vec<Violation>) -> Status {
    status::invalid_fields(violations.into_iter().map(|one| (one.field, one.description)))
}

fn unavailable(error: StoreError) -> Status {
    match &error {
        StoreError::Log(error) => status::of_bus(error),
        _ => status::unavailable(error),
    }
}

fn digest_failed(error: DigestError) -> Status {
    match error {
        DigestError::Template(_) => status::internal(error),
        DigestError::Busy { retry_after } => status::exhausted(error.to_string(), retry_after),
        other => status::unavailable(other),
    }
}

#[cfg(test)]
mod tests;
