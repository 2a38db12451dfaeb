//! Subscribing, with a mail that asks for consent or with consent on record, and what the links of that mail do.

use common::status;
use proto::convert::to_wire_time;
use proto::subscriptions::v1::{
    ConfirmSubscriptionResponse, Preferences, SubscribeRequest, SubscribeResponse, Subscription, SubscriptionState,
};
use tonic::{Request, Status};

use super::account_links::only_state;
use super::{Notification, address, digest_failed, refused, unavailable};
use crate::metrics::SUBSCRIBE_REQUESTS_LIMITED;
use crate::subscribers::confirmations::RequestOutcome;
use crate::subscribers::pending::{self, PendingState, PendingSubscription};
use crate::subscribers::subscriptions::SubscribeOutcome;
use crate::subscribers::webhook::to_wire as to_wire_webhook;
use crate::subscribers::{OptIn, SubscriberState};
use crate::tokens::{Scope, TokenError};

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
        let id = &claim.subscriber;
        let request = self.confirmations.find(id).await.map_err(unavailable)?;
        let is_first = matches!(request, Some(PendingState::Waiting(_)));
        let confirmed = self.confirmations.confirm(id).await.map_err(unavailable)?;
        let confirmed = confirmed.ok_or_else(expired)?;
        if !matches!(confirmed.state, SubscriberState::Active | SubscriberState::Paused) {
            return Err(Status::failed_precondition(
                "this subscription has ended; subscribe again",
            ));
        }
        self.interests.prepare(&confirmed).await;
        // Confirming again is no way around the revocation of other links.
        let gives_links = is_first || claim.check_epoch(confirmed.link_epoch).is_ok();
        let token = |scope| {
            let holder = confirmed.link_holder();
            let given = gives_links.then(|| self.tokens.issue(scope, holder, self.clock.now()));
            given.unwrap_or_default()
        };
        let (token, feed_token) = (token(Scope::Preferences), token(Scope::Feed));
        Ok(ConfirmSubscriptionResponse {
            subscription: Some(self.shown(&confirmed.id).await?),
            token,
            feed_token,
        })
    }

    /// What the token of a confirmation mail names: a request, or the subscription it became. None for tokens of other mails.
    pub(super) async fn requested(&self, token: &str) -> Result<Option<Subscription>, Status> {
        let claim = match self.tokens.check(&[Scope::Confirm], token, self.clock.now()) {
            Ok(claim) => claim,
            Err(TokenError::Scope) => return Ok(None),
            Err(error) => return Err(status::invalid("token", error.to_string())),
        };
        let id = claim.subscriber.clone();
        let subscriber = match self.confirmations.find(&id).await.map_err(unavailable)? {
            Some(PendingState::Waiting(request)) => return Ok(Some(to_wire(&request))),
            Some(PendingState::Confirmed(subscriber)) => subscriber,
            None => id,
        };
        let found = self.subscriptions.get(&subscriber).await.map_err(unavailable)?;
        let found = found.ok_or_else(expired)?;
        if claim.check_epoch(found.link_epoch).is_err() {
            return Ok(Some(only_state(&found)));
        }
        self.shown(&found.id).await.map(Some)
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
