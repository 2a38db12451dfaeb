//! Subscribing, with a mail that asks for consent or with consent on record, and what the links of that mail do.

use common::status;
use proto::convert::to_wire_time;
use proto::subscriptions::v1::{
    ConfirmSubscriptionResponse, Preferences, SubscribeRequest, SubscribeResponse, Subscription, SubscriptionState,
};
use tonic::{Request, Status};

use super::{Notification, address, digest_failed, refused, refused_token, unavailable};
use crate::metrics::SUBSCRIBE_REQUESTS_LIMITED;
use crate::subscribers::confirmations::RequestOutcome;
use crate::subscribers::pending::{self, PendingState, PendingSubscription};
use crate::subscribers::subscriptions::SubscribeOutcome;
use crate::subscribers::webhook::to_wire as to_wire_webhook;
use crate::subscribers::{OptIn, Subscriber, SubscriberState};
use crate::tokens::{Scope, TokenClaim, TokenError};

impl Notification {
    /// Takes a request that its reader has to confirm. The answer tells nothing of the address.
    pub(super) async fn ask_to_confirm(&self, request: Request<SubscribeRequest>) -> Result<SubscribeResponse, Status> {
        let email = address(&request.get_ref().email)?;
        let preferences = self.requested_preferences(request.get_ref()).map_err(refused)?;
        self.requested_webhook(request.get_ref(), &preferences, OptIn::DoubleOptIn)
            .map_err(|problem| refused(vec![problem]))?;
        pending::check_size(&preferences).map_err(refused)?;
        self.admit(&request).await?;
        self.check_examples(&preferences).await?;
        let outcome = self.confirmations.request(&email, &fresh_id(), &preferences).await;
        match outcome.map_err(unavailable)? {
            RequestOutcome::Ask(request) => self.send_confirmation(&request).await?,
            RequestOutcome::Ignored => {}
            RequestOutcome::Busy(wait) => {
                SUBSCRIBE_REQUESTS_LIMITED.inc();
                let problem = "too many confirmations were mailed lately; try again later";
                return Err(status::exhausted(problem, wait));
            }
        }
        Ok(SubscribeResponse {
            confirmation_required: true,
            ..SubscribeResponse::default()
        })
    }

    async fn send_confirmation(&self, request: &PendingSubscription) -> Result<(), Status> {
        let Err(error) = self.digests.send_confirmation(request).await else {
            return Ok(());
        };
        // Else the reader's next try within the hour would be answered as if a mail were on its way.
        self.confirmations.not_sent(request).await.map_err(unavailable)?;
        Err(digest_failed(error))
    }

    /// Subscribes an address whose reader's consent is on record.
    pub(super) async fn subscribe_on_record(&self, request: SubscribeRequest) -> Result<SubscribeResponse, Status> {
        let email = address(&request.email)?;
        let preferences = self.requested_preferences(&request).map_err(refused)?;
        let webhook = self.requested_webhook(&request, &preferences, OptIn::OnRecord);
        let webhook = webhook.map_err(|problem| refused(vec![problem]))?;
        self.check_examples(&preferences).await?;
        let mut answer = SubscribeResponse::default();
        let next = self.subscriptions.subscribe(&email, &fresh_id(), &preferences).await;
        match next.map_err(unavailable)? {
            SubscribeOutcome::Suppressed(reason) => {
                return Err(Status::failed_precondition(format!(
                    "{email} is suppressed ({}); unsuppress it first if its reader wants mail again",
                    reason.name()
                )));
            }
            SubscribeOutcome::EndedSince(ended) => {
                return Err(Status::failed_precondition(format!(
                    "the reader of {email} unsubscribed at {ended}, while this was under way"
                )));
            }
            SubscribeOutcome::Active => {}
        }
        if let Some(known) = self.subscriptions.by_email(&email).await.map_err(unavailable)? {
            self.interests.prepare(&known).await;
            if let Some(url) = webhook {
                let (secret, webhook) = self.name_webhook(&known.id, &url, preferences.channels).await?;
                answer.webhook_secret = secret;
                answer.webhook = webhook.as_ref().map(to_wire_webhook);
            }
        }
        Ok(answer)
    }

    /// Confirms what the token of a mail names.
    pub(super) async fn confirm(&self, token: &str) -> Result<ConfirmSubscriptionResponse, Status> {
        let claim = self.claim(&[Scope::Confirm], token)?;
        // Who has confirmed may press the button again; who holds a link that was revoked since may not.
        if self.find(&claim).await?.is_none() {
            return Err(expired());
        }
        let confirmed = self
            .confirmations
            .confirm(&claim.subscriber)
            .await
            .map_err(unavailable)?;
        let confirmed = confirmed.ok_or_else(expired)?;
        if !matches!(confirmed.state, SubscriberState::Active | SubscriberState::Paused) {
            return Err(Status::failed_precondition(
                "this subscription has ended; subscribe again",
            ));
        }
        self.interests.prepare(&confirmed).await;
        let token = |scope| self.tokens.issue(scope, confirmed.link_holder(), self.clock.now());
        Ok(ConfirmSubscriptionResponse {
            subscription: Some(self.shown(&confirmed.id).await?),
            token: token(Scope::Preferences),
            feed_token: token(Scope::Feed),
        })
    }

    /// What the token of a confirmation mail names. None for tokens of other mails.
    pub(super) async fn requested(&self, token: &str) -> Result<Option<Subscription>, Status> {
        let claim = match self.tokens.check(&[Scope::Confirm], token, self.clock.now()) {
            Ok(claim) => claim,
            Err(TokenError::Scope) => return Ok(None),
            Err(error) => return Err(refused_token(&error)),
        };
        match self.find(&claim).await?.ok_or_else(expired)? {
            Requested::Waiting(request) => Ok(Some(to_wire(&request))),
            Requested::Confirmed(subscriber) => self.shown(&subscriber.id).await.map(Some),
        }
    }

    /// The request that a token names, or the subscription it became, where the reader has not revoked all links since.
    async fn find(&self, claim: &TokenClaim) -> Result<Option<Requested>, Status> {
        let state = self.confirmations.find(&claim.subscriber).await.map_err(unavailable)?;
        let mark = match state {
            Some(PendingState::Waiting(request)) => return Ok(Some(Requested::Waiting(request))),
            Some(PendingState::Confirmed(mark)) => Some(mark),
            None => None,
        };
        let id = mark.as_ref().map_or(&claim.subscriber, |mark| &mark.subscriber_id);
        let Some(subscriber) = self.subscriptions.get(id).await.map_err(unavailable)? else {
            return Ok(None);
        };
        let checked = match mark {
            Some(mark) if mark.link_epoch < subscriber.link_epoch => Err(TokenError::Revoked),
            Some(_) => Ok(()),
            None => claim.check_epoch(subscriber.link_epoch),
        };
        checked.map_err(|error| refused_token(&error))?;
        Ok(Some(Requested::Confirmed(Box::new(subscriber))))
    }

    /// The subscription of an address, or what waits for its confirmation.
    pub(super) async fn shown_by_email(&self, email: &str) -> Result<Subscription, Status> {
        let address = address(email)?;
        if let Some(known) = self.subscriptions.by_email(&address).await.map_err(unavailable)? {
            return self.shown(&known.id).await;
        }
        let request = self.confirmations.of_address(&address).await.map_err(unavailable)?;
        let request = request.ok_or_else(|| status::not_found("subscriber", address.as_str()))?;
        Ok(to_wire(&request))
    }
}

/// What the token of a confirmation mail names.
enum Requested {
    /// A request that waits.
    Waiting(Box<PendingSubscription>),
    /// The subscription that it became.
    Confirmed(Box<Subscriber>),
}

/// A link whose request is no longer kept.
fn expired() -> Status {
    status::invalid("token", TokenError::Expired.to_string())
}

fn fresh_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// A request as a subscription that is not confirmed.
fn to_wire(request: &PendingSubscription) -> Subscription {
    let preferences = Preferences::from(&request.preferences);
    Subscription {
        subscriber_id: request.id.clone(),
        email: request.email.as_str().to_owned(),
        state: SubscriptionState::Pending.into(),
        created_time: Some(to_wire_time(request.requested)),
        trending_share: Some(preferences.trending_share),
        delivery_channel: preferences.delivery_channel,
        interests: preferences.interests,
        schedule: preferences.schedule,
        paper_count: preferences.paper_count,
        exclusions: preferences.exclusions,
        format: preferences.format,
        language: preferences.language,
        ..Subscription::default()
    }
}
