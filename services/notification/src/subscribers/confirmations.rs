//! Requests to subscribe, from the form to the token of the mail that asks for confirmation.
//!
//! A request is answered the same whatever is known of its address. It is kept only where a mail is sent for it, so that the
//! limits of mails bound what strangers can store, too. It sends nothing itself.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use domain::{EmailAddress, Preferences};

use super::pending::{ConfirmedRequest, PendingState, PendingSubscription};
use super::suppressions::{SuppressionCause, mailbox_hash};
use super::{Subscriber, SubscriberState, Subscriptions};
use crate::limits::ConfirmationLimits;
use crate::metrics::{CONFIRMATIONS_HELD_BACK, PENDING_BYTES};
use crate::ports::{PendingStore, RateLimiter, SlidingWindow, StoreError};

/// What follows from a request.
#[derive(Debug, PartialEq)]
pub enum RequestOutcome {
    /// A confirmation is to be mailed.
    Ask(Box<PendingSubscription>),
    /// Nothing: subscribed already, suppressed, or asked lately.
    Ignored,
    /// Nothing: too many confirmations are mailed. The same for every address; try again after so long.
    Busy(Duration),
}

/// Takes requests and applies those that are confirmed. Clones share the store.
#[derive(Clone)]
pub struct Confirmations {
    /// Changes subscribers.
    pub subscriptions: Subscriptions,
    /// Keeps requests.
    pub pending: Arc<dyn PendingStore>,
    /// Counts mails.
    pub rate_limiter: Arc<dyn RateLimiter>,
    /// How many mails.
    pub limits: ConfirmationLimits,
    /// Bytes of all requests.
    pub budget: u64,
    /// Tells the time.
    pub clock: Clock,
}

impl Confirmations {
    /// Takes a request, whose id is `id`.
    pub async fn request(
        &self,
        email: &EmailAddress,
        id: &str,
        preferences: &Preferences,
    ) -> Result<RequestOutcome, StoreError> {
        let now = self.clock.now();
        // Before the address is looked up: else this answer would tell what is known of it.
        let shared = self.limits.shared(email);
        if let Some(full) = self.rate_limiter.full_window(&shared, now).await? {
            CONFIRMATIONS_HELD_BACK.with_label_values(&["all"]).inc();
            return Ok(RequestOutcome::Busy(full.wait));
        }
        if !self.subscriptions.may_be_asked(email).await? {
            return Ok(RequestOutcome::Ignored);
        }
        let windows = self.windows(email);
        if let Some(full) = self.rate_limiter.count(&windows, id, now).await? {
            let of_mailbox = full.index < windows.len() - shared.len();
            let limit = if of_mailbox { "mailbox" } else { "all" };
            CONFIRMATIONS_HELD_BACK.with_label_values(&[limit]).inc();
            return Ok(if of_mailbox {
                RequestOutcome::Ignored
            } else {
                RequestOutcome::Busy(full.wait)
            });
        }
        let request = PendingSubscription {
            id: id.to_owned(),
            email: email.clone(),
            preferences: preferences.clone(),
            requested: now,
        };
        match self.pending.keep(&request, self.budget, now).await {
            Ok(used) => {
                PENDING_BYTES.set(i64::try_from(used).unwrap_or(i64::MAX));
                Ok(RequestOutcome::Ask(Box::new(request)))
            }
            Err(error) => {
                self.rate_limiter.uncount(&windows, id, now).await?;
                Err(error)
            }
        }
    }

    /// Forgets a request whose confirmation was not mailed; the next one is asked for at once.
    pub async fn not_sent(&self, request: &PendingSubscription) -> Result<(), StoreError> {
        self.pending.drop_pending(request).await?;
        let windows = self.windows(&request.email);
        self.rate_limiter
            .uncount(&windows, &request.id, request.requested)
            .await
    }

    /// What is known of a request.
    pub async fn find(&self, id: &str) -> Result<Option<PendingState>, StoreError> {
        self.pending.pending(id, self.clock.now()).await
    }

    /// The newest request of an address that waits.
    pub async fn of_address(&self, email: &EmailAddress) -> Result<Option<PendingSubscription>, StoreError> {
        let of_mailbox = self.pending.pending_of(&mailbox_hash(email), self.clock.now()).await?;
        let waiting = of_mailbox.into_iter().filter_map(|one| match one {
            PendingState::Waiting(request) if request.email.key() == email.key() => Some(*request),
            PendingState::Waiting(_) | PendingState::Confirmed(_) => None,
        });
        Ok(waiting.max_by_key(|request| request.requested))
    }

    /// Confirms a request, or a subscription that an earlier version kept as pending; answers what holds then. Doing it again
    /// changes nothing.
    pub async fn confirm(&self, id: &str) -> Result<Option<Subscriber>, StoreError> {
        match self.find(id).await? {
            Some(PendingState::Waiting(request)) => {
                let confirmed = self.subscriptions.confirm_request(&request).await?;
                let is_open = |known: &&Subscriber| known.state.is_open();
                if let Some(subscriber) = confirmed.as_ref().filter(is_open) {
                    let now = self.clock.now();
                    let mark = ConfirmedRequest {
                        subscriber_id: subscriber.id.clone(),
                        link_epoch: subscriber.link_epoch,
                    };
                    self.pending.mark_confirmed(&request, &mark, now).await?;
                }
                Ok(confirmed)
            }
            Some(PendingState::Confirmed(mark)) => self.subscriptions.get(&mark.subscriber_id).await,
            None => self.subscriptions.confirm(id).await,
        }
    }

    /// Sends nothing to a mailbox any more, whose reader says that somebody else asked: its requests are dropped, and what
    /// came of one is ended.
    pub async fn decline(&self, mailbox_hash: &str) -> Result<(), StoreError> {
        // First, so that a request which is confirmed at the same time finds it.
        self.subscriptions.decline(mailbox_hash).await?;
        let end = |known: &mut Subscriber, now| known.end(SubscriberState::Suppressed, now);
        for one in self.pending.pending_of(mailbox_hash, self.clock.now()).await? {
            match one {
                PendingState::Waiting(request) => self.pending.drop_pending(&request).await?,
                PendingState::Confirmed(mark) => drop(self.subscriptions.change(&mark.subscriber_id, end).await?),
            }
        }
        Ok(())
    }

    /// Suppresses the address of a request whose mail came back; false where there is no such request.
    pub async fn undeliverable(&self, id: &str, cause: SuppressionCause) -> Result<bool, StoreError> {
        let Some(PendingState::Waiting(request)) = self.find(id).await? else {
            return Ok(false);
        };
        self.subscriptions.suppress_address(&request.email, cause).await?;
        self.pending.drop_pending(&request).await?;
        Ok(true)
    }

    /// Drops everything that waits for a confirmation by an address, because its reader is forgotten.
    pub async fn forget(&self, email: &EmailAddress) -> Result<(), StoreError> {
        while let Some(request) = self.of_address(email).await? {
            self.pending.drop_pending(&request).await?;
        }
        Ok(())
    }

    /// The windows that a mail to an address counts in: those of the mailbox, then those that all share.
    fn windows(&self, email: &EmailAddress) -> Vec<SlidingWindow> {
        let of_mailbox = ConfirmationLimits::of_mailbox(email);
        of_mailbox.into_iter().chain(self.limits.shared(email)).collect()
    }
}

#[cfg(test)]
mod tests;
