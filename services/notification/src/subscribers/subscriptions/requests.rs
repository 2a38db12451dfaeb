//! What the requests of strangers make of subscriptions: nothing, until they are confirmed.

use domain::EmailAddress;

use super::{Change, OnLostAnswer, Subscriptions, is_subscribed, subscribed};
use crate::ports::StoreError;
use crate::subscribers::pending::PendingSubscription;
use crate::subscribers::{Consent, OptIn, Subscriber, SubscriberState};

impl Subscriptions {
    /// Whether a request to subscribe may lead to a mail: not where the address is subscribed, or must not get any.
    pub async fn may_be_asked(&self, email: &EmailAddress) -> Result<bool, StoreError> {
        self.store.ensure_complete().await?;
        if self.suppression(email).await?.is_some() {
            return Ok(false);
        }
        let closed = |known: Subscriber| is_subscribed(&known) || known.state == SubscriberState::Suppressed;
        Ok(!self.store.find(email).await?.is_some_and(closed))
    }

    /// Makes a subscription of a request that its reader confirms. Where there is one, or the reader ended one after the
    /// request, or the address is suppressed, nothing changes. Answers what holds then.
    pub async fn confirm_request(&self, request: &PendingSubscription) -> Result<Option<Subscriber>, StoreError> {
        let email = &request.email;
        self.store.ensure_complete().await?;
        if self.suppression(email).await?.is_some() {
            return self.store.find(email).await;
        }
        let id = self.store.reserve_id(email, &request.id).await?;
        let written = self.write_over(&id, OnLostAnswer::Retry, |known, now| {
            let ended = known.and_then(|known| known.ended);
            let open = known.is_none_or(|known| match known.state {
                SubscriberState::Pending => true,
                SubscriberState::Unsubscribed => ended.is_none_or(|ended| ended < request.requested),
                SubscriberState::Active | SubscriberState::Paused | SubscriberState::Suppressed => false,
            });
            if !open {
                return Change::None;
            }
            let consent = Consent {
                opt_in: OptIn::DoubleOptIn,
                source: String::new(),
                time: now,
            };
            Change::To(Box::new(subscribed(
                &id,
                email,
                known,
                &request.preferences,
                &consent,
                now,
            )))
        });
        let confirmed = written.await?;
        // Whoever declines at the same time writes the suppression first, and ends what was confirmed then.
        match self.suppression(email).await? {
            Some(_) => {
                self.change(&id, |known, now| known.end(SubscriberState::Suppressed, now))
                    .await
            }
            None => Ok(confirmed),
        }
    }

    /// Confirms a subscription that a version without pending requests keeps as pending. Changes nothing in any other state,
    /// which is answered.
    pub async fn confirm(&self, id: &str) -> Result<Option<Subscriber>, StoreError> {
        let confirm = |known: &mut Subscriber, now| {
            if known.state == SubscriberState::Pending {
                known.state = SubscriberState::Active;
                known.confirmed = Some(now);
                known.consent = Some(Consent {
                    opt_in: OptIn::DoubleOptIn,
                    source: String::new(),
                    time: now,
                });
            }
        };
        self.change(id, confirm).await
    }
}
