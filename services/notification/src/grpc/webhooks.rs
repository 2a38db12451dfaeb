//! Webhooks named, asked whether they agree, and forgotten.

use std::time::Duration;

use common::status;
use domain::preferences::Channels;
use proto::convert::to_wire_time;
use proto::subscriptions::v1::{
    DeliveryChannel, RotateWebhookSecretResponse, SetWebhookRequest, SetWebhookResponse, Subscription,
};
use tonic::Status;

use super::{Notification, unavailable};
use crate::metrics::SUBSCRIBE_REQUESTS_LIMITED;
use crate::ports::TokenBucket;
use crate::subscribers::webhook::WebhookRegistration;
use crate::subscribers::{Subscriber, SubscriberState};
use crate::tokens::Scope;
use crate::webhooks::urls;

/// Challenges that one subscription has sent in an hour, at most; that many may also come at once. The URL is one that its
/// reader chose, and may be anybody's.
const CHALLENGES: u32 = 10;

impl Notification {
    pub(super) async fn set_webhook(&self, request: SetWebhookRequest) -> Result<SetWebhookResponse, Status> {
        let url = self
            .webhook_url(&request.url)
            .and_then(|url| self.allowed.check_url(&url).map(|()| url))
            .map_err(|problem| status::invalid("url", problem))?;
        let channels = match request.delivery_channel() {
            DeliveryChannel::Unspecified if request.delivery_channel != 0 => {
                let problem = format!(
                    "is {}; allowed are MAIL, WEBHOOK and MAIL_AND_WEBHOOK",
                    request.delivery_channel
                );
                return Err(status::invalid("delivery_channel", problem));
            }
            DeliveryChannel::Unspecified | DeliveryChannel::Webhook => Channels::Webhook,
            DeliveryChannel::Mail => Channels::Mail,
            DeliveryChannel::MailAndWebhook => Channels::Both,
        };
        let known = self.by_token(&[Scope::Account], &request.token).await?;
        if matches!(known.state, SubscriberState::Unsubscribed | SubscriberState::Suppressed) {
            return Err(Status::failed_precondition(
                "this subscription has ended; subscribe again first",
            ));
        }
        self.admit_challenge(&known.id).await?;
        let (secret, _) = self.name_webhook(&known.id, &url, channels).await?;
        Ok(SetWebhookResponse {
            subscription: Some(self.shown(&known.id).await?),
            secret,
        })
    }

    pub(super) async fn verify_webhook(&self, token: &str) -> Result<Subscription, Status> {
        let (known, webhook) = self.with_webhook(token).await?;
        self.admit_challenge(&known.id).await?;
        self.challenge(&known, &webhook).await?;
        self.shown(&known.id).await
    }

    pub(super) async fn rotate_secret(&self, token: &str) -> Result<RotateWebhookSecretResponse, Status> {
        let (known, _) = self.with_webhook(token).await?;
        let fresh = secret_name();
        let rotated = self.subscriptions.rotate_secret(&known.id, &fresh).await;
        let (_, until) = rotated.map_err(unavailable)?;
        Ok(RotateWebhookSecretResponse {
            secret: self.secrets.secret(&known.id, &fresh).encoded(),
            earlier_secret_end_time: Some(to_wire_time(until)),
        })
    }

    pub(super) async fn remove_webhook(&self, token: &str) -> Result<Subscription, Status> {
        let known = self.by_token(&[Scope::Account], token).await?;
        let removed = self.subscriptions.remove_webhook(&known.id).await;
        removed.map_err(unavailable)?;
        self.shown(&known.id).await
    }

    /// A URL that a webhook may have; what is wrong with it in words that follow the field.
    pub(super) fn webhook_url(&self, url: &str) -> Result<String, String> {
        urls::parse(url, self.schemes)
    }

    /// Names a webhook and asks it; answers its secret, and the webhook as it stands then.
    pub(super) async fn name_webhook(
        &self,
        id: &str,
        url: &str,
        channels: Channels,
    ) -> Result<(String, Option<WebhookRegistration>), Status> {
        let name = secret_name();
        let set = self.subscriptions.set_webhook(id, url, &name, channels).await;
        let set = set.map_err(unavailable)?;
        let known = set.ok_or_else(|| status::not_found("subscription", id))?;
        let mut webhook = known.webhook.clone();
        if let Some(asked) = &webhook {
            let answered = self.challenge(&known, asked).await?;
            webhook = answered.and_then(|known| known.webhook);
        }
        Ok((self.secrets.secret(id, &name).encoded(), webhook))
    }

    async fn challenge(&self, of: &Subscriber, webhook: &WebhookRegistration) -> Result<Option<Subscriber>, Status> {
        let answered = self.digests.challenge(of, webhook).await;
        let noted = self.subscriptions.webhook_answered(&of.id, webhook, &answered).await;
        let noted = noted.map_err(unavailable)?;
        let subscriber = noted.subscriber.clone();
        self.digests.webhook_notices().send_where_ended(noted);
        Ok(subscriber)
    }

    /// Refuses what would have a webhook asked again and again: whose it is, nobody knows yet.
    async fn admit_challenge(&self, id: &str) -> Result<(), Status> {
        let bucket = TokenBucket {
            name: format!("challenges:{id}"),
            capacity: CHALLENGES,
            filled_in: Duration::from_hours(1),
        };
        let wait = self.rate_limiter.take(&[bucket], self.clock.now()).await;
        match wait.map_err(unavailable)? {
            None => Ok(()),
            Some(wait) => {
                SUBSCRIBE_REQUESTS_LIMITED.inc();
                let problem = "webhooks of this subscription were asked too often; try again later";
                Err(status::exhausted(problem, wait))
            }
        }
    }

    async fn with_webhook(&self, token: &str) -> Result<(Subscriber, WebhookRegistration), Status> {
        let known = self.by_token(&[Scope::Account], token).await?;
        match known.webhook.clone() {
            Some(webhook) => Ok((known, webhook)),
            None => Err(Status::failed_precondition(
                "this subscription has no webhook; set one first",
            )),
        }
    }
}

fn secret_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
