//! What becomes of the webhook of a subscriber: named, verified, rotated, out of use, removed.
//!
//! A change that ends the use of a webhook is one write over the version that was read, so of several replicas, and of any
//! number of attempts, one alone is answered that it was its doing. Where the answer of the store is lost nobody is: whoever
//! follows from [`WebhookUpdate::ended`] acts once at most.

use domain::preferences::Channels;
use jiff::Timestamp;

use super::webhook::{
    BOTH_SECRETS, FailureTolerance, WebhookAnswer, WebhookRegistration, WebhookStatus, WebhookUpdate, same,
};
use super::{Subscriber, Subscriptions};
use crate::ports::StoreError;

impl Subscriptions {
    /// Names a webhook, which has not agreed yet, and the channels on which digests come from now on.
    pub async fn set_webhook(
        &self,
        id: &str,
        url: &str,
        secret: &str,
        channels: Channels,
    ) -> Result<Option<Subscriber>, StoreError> {
        let set = |known: &mut Subscriber, now| {
            known.webhook = Some(WebhookRegistration {
                url: url.to_owned(),
                secret: secret.to_owned(),
                earlier: None,
                status: WebhookStatus::Unverified,
                detail: String::new(),
                since: now,
                failure_streak: None,
            });
            known.preferences.channels = channels;
        };
        self.change(id, set).await
    }

    /// Records what a webhook says, as long as it is the one that was asked. One that agrees ends a pause that it
    /// caused. Where one is gone that was the only channel, the subscription pauses and says why.
    pub async fn webhook_answered(
        &self,
        id: &str,
        asked: &WebhookRegistration,
        answered: &WebhookAnswer,
    ) -> Result<WebhookUpdate, StoreError> {
        let mut ended = false;
        let note = |known: &mut Subscriber, now| {
            ended = false;
            let Some(webhook) = same(known, asked) else {
                return;
            };
            match answered {
                WebhookAnswer::Accepted => {
                    webhook.set_status(WebhookStatus::Verified, "", now);
                    webhook.failure_streak = None;
                    known.end_automatic_pause();
                }
                // One that is in use and is asked again in a bad moment stays in use.
                WebhookAnswer::Refused(problem) if webhook.status == WebhookStatus::Verified => {
                    problem.clone_into(&mut webhook.detail);
                }
                // One that was put out of use stays so, with the days on which it failed.
                WebhookAnswer::Refused(problem) if webhook.status == WebhookStatus::Disabled => {
                    problem.clone_into(&mut webhook.detail);
                }
                WebhookAnswer::Refused(problem) => webhook.set_status(WebhookStatus::Unverified, problem, now),
                WebhookAnswer::Gone(problem) => {
                    ended = webhook.status == WebhookStatus::Verified;
                    webhook.set_status(WebhookStatus::Gone, problem, now);
                    known.pause_without_channels(&format!("the webhook is gone: {problem}"));
                }
            }
        };
        let subscriber = self.change(id, note).await?;
        Ok(WebhookUpdate { subscriber, ended })
    }

    /// Gives a webhook a new secret; answers until when the one before signs, too.
    pub async fn rotate_secret(&self, id: &str, fresh: &str) -> Result<(Option<Subscriber>, Timestamp), StoreError> {
        let until = self.clock.now().saturating_add(BOTH_SECRETS).unwrap_or(Timestamp::MAX);
        let rotate = |known: &mut Subscriber, _| {
            if let Some(webhook) = &mut known.webhook {
                let earlier = std::mem::replace(&mut webhook.secret, fresh.to_owned());
                webhook.earlier = Some((earlier, until));
            }
        };
        Ok((self.change(id, rotate).await?, until))
    }

    /// Forgets a webhook; digests come by mail again.
    pub async fn remove_webhook(&self, id: &str) -> Result<Option<Subscriber>, StoreError> {
        let remove = |known: &mut Subscriber, _| {
            known.webhook = None;
            known.preferences.channels = Channels::Mail;
            known.end_automatic_pause();
        };
        self.change(id, remove).await
    }

    /// Records that a digest did not reach a webhook in the end, and why. One that has failed for too long is out of
    /// use then; where it was the only channel the subscription pauses and says why.
    pub async fn digest_failed(
        &self,
        id: &str,
        asked: &WebhookRegistration,
        slot: Timestamp,
        problem: &str,
        tolerance: FailureTolerance,
    ) -> Result<WebhookUpdate, StoreError> {
        let mut ended = false;
        let note = |known: &mut Subscriber, now| {
            ended = false;
            let Some(webhook) = same(known, asked).filter(|webhook| webhook.status == WebhookStatus::Verified) else {
                return;
            };
            let streak = webhook.fail(slot, problem, now);
            if tolerance.is_over(streak, now) {
                webhook.set_status(WebhookStatus::Disabled, problem, now);
                let why = format!("the webhook is out of use: {}", streak.in_words(problem));
                known.pause_without_channels(&why);
                ended = true;
            }
        };
        let subscriber = self.change(id, note).await?;
        Ok(WebhookUpdate { subscriber, ended })
    }

    /// Records that a webhook takes digests again. To be called only where some failed before.
    pub async fn digest_accepted(&self, id: &str, asked: &WebhookRegistration) -> Result<(), StoreError> {
        let note = |known: &mut Subscriber, _| {
            let webhook = same(known, asked).filter(|webhook| webhook.status == WebhookStatus::Verified);
            if let Some(webhook) = webhook.filter(|webhook| webhook.failure_streak.is_some()) {
                webhook.failure_streak = None;
                webhook.detail.clear();
            }
        };
        self.change(id, note).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use domain::preferences::Channels;
    use futures::future::join_all;
    use jiff::SignedDuration;

    use super::super::SubscriberState;
    use super::*;
    use crate::testing::TestService;

    const ADA: &str = "ada@example.org";
    const TWO_DAYS: FailureTolerance = FailureTolerance::For(SignedDuration::from_hours(48));

    async fn agreed(service: &TestService, channels: Channels) -> WebhookRegistration {
        service.reader(ADA, &[]).await;
        let url = "https://hooks.example.org/";
        let set = service.subscriptions.set_webhook(ADA, url, "name", channels).await;
        let webhook = set
            .expect("redis answers")
            .and_then(|known| known.webhook)
            .expect("a webhook");
        let answered = service
            .subscriptions
            .webhook_answered(ADA, &webhook, &WebhookAnswer::Accepted);
        assert!(!answered.await.expect("redis answers").ended);
        webhook
    }

    /// The digest of so many days after the first one fails.
    async fn fail(service: &TestService, webhook: &WebhookRegistration, day: i64, patience: FailureTolerance) -> bool {
        let at = service.later(24 * 60 * day);
        let noted = service.at(24 * 60 * day).subscriptions.digest_failed(
            ADA,
            webhook,
            at,
            "500 Internal Server Error",
            patience,
        );
        noted.await.expect("redis answers").ended
    }

    async fn status(service: &TestService) -> (WebhookStatus, Option<u32>, SubscriberState) {
        let ada = service.again(ADA).await;
        let webhook = ada.webhook.expect("a webhook");
        (
            webhook.status,
            webhook.failure_streak.map(|failure_streak| failure_streak.digests),
            ada.state,
        )
    }

    #[tokio::test]
    async fn a_webhook_is_out_of_use_after_its_time_and_three_digests() {
        let service = TestService::build();
        let webhook = agreed(&service, Channels::Webhook).await;
        assert!(!fail(&service, &webhook, 0, TWO_DAYS).await);
        assert!(
            !fail(&service, &webhook, 0, TWO_DAYS).await,
            "the same digest once more"
        );
        assert!(!fail(&service, &webhook, 7, TWO_DAYS).await, "two say too little");
        assert_eq!(
            status(&service).await,
            (WebhookStatus::Verified, Some(2), SubscriberState::Active)
        );
        assert!(fail(&service, &webhook, 8, TWO_DAYS).await);
        assert_eq!(
            status(&service).await,
            (WebhookStatus::Disabled, Some(3), SubscriberState::Paused)
        );
        let reason = service.again(ADA).await.pause_reason;
        assert!(
            reason.contains("out of use") && reason.contains("500 Internal"),
            "{reason}"
        );
        assert!(!fail(&service, &webhook, 9, TWO_DAYS).await, "no more than once");

        let refused = WebhookAnswer::Refused("503".to_owned());
        let noted = service.subscriptions.webhook_answered(ADA, &webhook, &refused).await;
        assert!(!noted.expect("redis answers").ended);
        assert_eq!(status(&service).await.0, WebhookStatus::Disabled);
        let noted = service
            .subscriptions
            .webhook_answered(ADA, &webhook, &WebhookAnswer::Accepted)
            .await;
        assert!(!noted.expect("redis answers").ended);
        assert_eq!(
            status(&service).await,
            (WebhookStatus::Verified, None, SubscriberState::Active)
        );
    }

    #[tokio::test]
    async fn an_accepted_digest_ends_the_streak() {
        let service = TestService::build();
        let webhook = agreed(&service, Channels::Both).await;
        for day in 0..2 {
            assert!(!fail(&service, &webhook, day, TWO_DAYS).await);
        }
        service
            .subscriptions
            .digest_accepted(ADA, &webhook)
            .await
            .expect("redis answers");
        assert_eq!(
            status(&service).await,
            (WebhookStatus::Verified, None, SubscriberState::Active)
        );
        let version = service.again(ADA).await.version;
        service
            .subscriptions
            .digest_accepted(ADA, &webhook)
            .await
            .expect("redis answers");
        assert_eq!(
            service.again(ADA).await.version,
            version,
            "nothing to clear, nothing written"
        );
        for day in 10..12 {
            assert!(!fail(&service, &webhook, day, TWO_DAYS).await);
        }
        assert!(!fail(&service, &webhook, 400, FailureTolerance::Unlimited).await);
        assert!(fail(&service, &webhook, 401, TWO_DAYS).await);
        assert_eq!(
            status(&service).await.2,
            SubscriberState::Active,
            "mail comes as before"
        );
    }

    #[tokio::test]
    async fn of_many_who_end_a_webhook_one_has_done_it() {
        let service = TestService::build();
        let webhook = agreed(&service, Channels::Webhook).await;
        for day in 0..2 {
            fail(&service, &webhook, day, TWO_DAYS).await;
        }
        let all = join_all((0..8).map(|_| fail(&service, &webhook, 3, TWO_DAYS))).await;
        assert_eq!(all.iter().filter(|ended| **ended).count(), 1);
    }
}
