//! Digests to webhooks: one request for each, after the subscription and the lease are checked once more. And the challenge
//! that a webhook answers before it is sent anything.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span, warn};

use crate::digests::choose::EmptyReason;
use crate::digests::lease::{LeasedDigest, SendDecision};
use crate::digests::settle::{Settler, pause};
use crate::digests::webhook_notices::WebhookNotices;
use crate::digests::{DigestError, DigestPaper, SettledDigest};
use crate::mails::Links;
use crate::subscribers::deliveries::{AttemptEffect, DeliveryStage, Pick};
use crate::subscribers::webhook::{FailureTolerance, WebhookAnswer, WebhookRegistration};
use crate::subscribers::{Subscriber, Subscriptions};
use crate::tokens::Tokens;
use crate::webhooks::payloads::{self, PickedPaper};
use crate::webhooks::secrets::WebhookSecrets;
use crate::webhooks::{HostPermit, WebhookClient, WebhookError, WebhookRequest, spans};
use crate::window::SharedWindow;

/// A pause is longer or shorter by up to this share of it: what failed together must not come back together.
const JITTER: f64 = 0.25;

/// Makes requests to webhooks.
pub struct WebhookChannel {
    pub subscriptions: Subscriptions,
    pub settler: Settler,
    pub window: SharedWindow,
    pub client: Arc<dyn WebhookClient>,
    pub tokens: Arc<Tokens>,
    pub secrets: Arc<WebhookSecrets>,
    /// What links begin with.
    pub public_url: String,
    /// No attempt takes longer.
    pub send_timeout: Duration,
    /// No webhook puts a digest off for longer.
    pub expire: SignedDuration,
    /// How long a webhook may fail before it is out of use.
    pub tolerance: FailureTolerance,
    /// One for each request that may be with a webhook.
    pub permits: Arc<Semaphore>,
    /// Tell readers whose webhook went out of use.
    pub notices: WebhookNotices,
}

impl WebhookChannel {
    /// Asks a webhook whether it agrees.
    pub async fn challenge(&self, of: &Subscriber, webhook: &WebhookRegistration) -> WebhookAnswer {
        let now = self.settler.clock.now();
        let id = format!("challenge_{}", uuid::Uuid::new_v4().simple());
        let request = self.signed(of, webhook, id, payloads::challenge(&of.id, now), now);
        let asked = match self.client.admit(&webhook.url).await {
            Ok(permit) => self.request(&request, permit, spans::requesting("challenge")).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(()) => WebhookAnswer::Accepted,
            Err(WebhookError::Gone(problem)) => WebhookAnswer::Gone(problem),
            Err(WebhookError::Transient { problem, .. } | WebhookError::Lost(problem)) => {
                WebhookAnswer::Refused(problem)
            }
        }
    }

    /// Sends a leased digest.
    pub async fn send(&self, digest: LeasedDigest) -> Result<SettledDigest, DigestError> {
        let Some(webhook) = digest.subscriber.webhook.clone() else {
            return self.settler.empty(digest, EmptyReason::OtherChannel).await;
        };
        // Before the last check: nothing is begun after an acknowledged unsubscription, however long the wait is.
        let permit = match self.client.admit(&webhook.url).await {
            Ok(permit) => permit,
            Err(error) => {
                return self
                    .settler
                    .defer(digest, error.to_string(), AttemptEffect::NotTried)
                    .await;
            }
        };
        let mut digest = match self.settler.begin(Box::new(digest)).await? {
            SendDecision::Send(digest) => *digest,
            SendDecision::Settled(settled) => return Ok(settled),
        };
        let request = self.digest_request(&digest, &webhook);
        let outcome = self.request(&request, permit, self.digest_span(&digest.papers)).await;
        digest.record.at = self.settler.clock.now();
        match outcome {
            Ok(()) => {
                let id = digest.subscriber.id.clone();
                let settled = self.settler.accepted(digest).await;
                self.record_accepted(&id, &webhook).await;
                settled
            }
            Err(WebhookError::Gone(problem)) => {
                let (id, answer) = (&digest.subscriber.id, WebhookAnswer::Gone(problem.clone()));
                let update = self.subscriptions.webhook_answered(id, &webhook, &answer).await?;
                self.notices.send_where_ended(update);
                let detail = format!("the webhook is gone: {problem}");
                self.settler.end(digest, DeliveryStage::Failed, &detail).await
            }
            Err(WebhookError::Transient { problem, after }) => {
                self.defer(digest, problem, after, AttemptEffect::NotAccepted).await
            }
            Err(WebhookError::Lost(problem)) => self.defer(digest, problem, None, AttemptEffect::Unknown).await,
        }
    }

    /// Tries again later. A digest that is tried no more before the next slot has failed.
    async fn defer(
        &self,
        digest: LeasedDigest,
        problem: String,
        after: Option<Duration>,
        effect: AttemptEffect,
    ) -> Result<SettledDigest, DigestError> {
        let due = self.again_at(&digest, after);
        if due >= digest.next {
            self.record_failed(&digest, &problem).await;
        }
        self.settler.defer_until(due, digest, problem, effect).await
    }

    /// A digest that was accepted ends the count of those that were not. It is on record as sent already: should this be
    /// lost, the next one ends the count.
    async fn record_accepted(&self, id: &str, webhook: &WebhookRegistration) {
        if webhook.failure_streak.is_none() {
            return;
        }
        if let Err(error) = self.subscriptions.digest_accepted(id, webhook).await {
            warn!(%error, subscriber = id, "it is not recorded that a webhook takes digests again");
        }
    }

    /// Counts a digest that failed. Before its end is on record: should the process end in between, it is tried again after
    /// the lease, and none counts twice.
    pub async fn record_failed(&self, digest: &LeasedDigest, problem: &str) {
        let (id, slot) = (&digest.subscriber.id, digest.slot);
        let Some(webhook) = digest.subscriber.webhook.as_ref() else {
            return;
        };
        let recorded = self
            .subscriptions
            .digest_failed(id, webhook, slot, problem, self.tolerance);
        match recorded.await {
            Ok(update) => self.notices.send_where_ended(update),
            Err(error) => warn!(%error, subscriber = %id, %slot, "a failed digest is not counted"),
        }
    }

    /// After a pause that doubles, at the next slot at the latest; and not before the webhook wants to be asked again, but
    /// for one that wants it later than digests expire.
    fn again_at(&self, digest: &LeasedDigest, after: Option<Duration>) -> Timestamp {
        let at = |pause: SignedDuration| digest.record.at.saturating_add(pause).unwrap_or(digest.next);
        let factor = 1.0 + JITTER * (2.0 * rand::random::<f64>() - 1.0);
        let first = self.settler.first_pause;
        let usual = pause(first, digest.record.attempts).as_secs_f64() * factor;
        let usual = SignedDuration::try_from_secs_f64(usual).unwrap_or(first);
        let usual = at(usual).min(digest.next);
        let wanted = after.map(|after| SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX));
        wanted.map_or(usual, |wanted| usual.max(at(wanted.min(self.expire))))
    }

    fn digest_request(&self, digest: &LeasedDigest, webhook: &WebhookRegistration) -> WebhookRequest {
        let subscriber = &digest.subscriber;
        let links = Links::new(&self.public_url, &self.tokens, subscriber.link_holder(), digest.slot);
        let id = digest.record.message_id.clone();
        let papers = digest.papers.iter().map(|one| PickedPaper {
            paper: &one.paper,
            pick: Pick::of(one),
        });
        let papers: Vec<PickedPaper<'_>> = papers.collect();
        let body = payloads::digest(&id, &subscriber.id, digest.slot, &papers, &links);
        self.signed(subscriber, webhook, id, body, self.settler.clock.now())
    }

    fn signed(
        &self,
        of: &Subscriber,
        webhook: &WebhookRegistration,
        id: String,
        body: String,
        now: Timestamp,
    ) -> WebhookRequest {
        let secrets = webhook.secrets(now).flat_map(|name| self.secrets.all(&of.id, name));
        WebhookRequest {
            url: webhook.url.clone(),
            id,
            body,
            secrets: secrets.collect(),
        }
    }

    async fn request(&self, request: &WebhookRequest, permit: HostPermit, span: Span) -> Result<(), WebhookError> {
        let calling = self.client.send(request, permit).instrument(span.clone());
        let outcome = tokio::time::timeout(self.send_timeout, calling).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let problem = format!("no answer within {} s", self.send_timeout.as_secs());
            Err(WebhookError::Lost(problem))
        });
        spans::ended(&span, &outcome);
        outcome
    }

    /// The span of a request with a digest, which points at the traces of its papers.
    fn digest_span(&self, papers: &[DigestPaper]) -> Span {
        let span = spans::requesting("digest");
        self.window.link_traces(&span, papers);
        span
    }
}

/// What a request with a digest is known by, at every attempt.
pub fn request_id(subscriber: &str, slot: Timestamp) -> String {
    format!("digest_{subscriber}_{}", slot.as_millisecond())
}

#[cfg(test)]
mod tests {
    use domain::preferences::Channels;

    use super::*;
    use crate::subscribers::Channel;
    use crate::subscribers::webhook::FailureStreak;
    use crate::testing::TestService;

    /// A reader whose webhook has agreed, and whose current slot was an hour ago.
    async fn reader(service: &TestService, email: &str) {
        service.reader(email, &[]).await;
        let store = &service.subscriptions;
        let set = store.set_webhook(email, "https://hooks.example.org/", "name", Channels::Webhook);
        let webhook = set.await.expect("redis answers").and_then(|known| known.webhook);
        let webhook = webhook.expect("a webhook");
        let agreed = store.webhook_answered(email, &webhook, &WebhookAnswer::Accepted);
        agreed.await.expect("redis answers");
    }

    async fn deliver_due(service: &TestService, email: &str, minutes: i64) -> DeliveryStage {
        let outcome = service.deliver_due_on(Channel::Webhook, email, minutes).await;
        outcome.result.expect("delivered").record.stage
    }

    async fn failing(service: &TestService, email: &str) -> Option<FailureStreak> {
        service.again(email).await.webhook.expect("a webhook").failure_streak
    }

    #[tokio::test]
    async fn a_digest_that_expires_after_attempts_counts_as_failed() {
        let service = TestService::build();
        service.add_paper("x:a", "cats", "test@1");
        for email in ["ada@example.org", "bob@example.org"] {
            reader(&service, email).await;
        }
        for problem in ["500 Internal Server Error", "502 Bad Gateway"] {
            let answer = Err(WebhookError::Transient {
                problem: problem.to_owned(),
                after: None,
            });
            service.webhook.answers.lock().expect("unpoisoned").push_back(answer);
        }
        for minutes in [0, 5] {
            assert_eq!(
                deliver_due(&service, "ada@example.org", minutes).await,
                DeliveryStage::Deferred
            );
            assert_eq!(failing(&service, "ada@example.org").await, None);
        }
        let too_late = 13 * 60;
        assert_eq!(
            deliver_due(&service, "ada@example.org", too_late).await,
            DeliveryStage::Expired
        );
        let counted = failing(&service, "ada@example.org").await.expect("counted");
        assert_eq!(counted.digests, 1);
        let webhook = service.again("ada@example.org").await.webhook.expect("a webhook");
        assert_eq!(webhook.detail, "502 Bad Gateway");

        assert_eq!(
            deliver_due(&service, "bob@example.org", too_late).await,
            DeliveryStage::Expired
        );
        assert_eq!(failing(&service, "bob@example.org").await, None, "nobody has called it");
    }
}
