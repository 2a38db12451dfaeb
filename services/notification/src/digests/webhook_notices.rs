//! Tells readers by mail that their webhook went out of use: once at most for each time.
//!
//! Whose write ended the use, and nobody else, sends the mail (see
//! [`webhook_changes`](crate::subscribers::webhook_changes)). While the mail server says that it does not take it the same
//! process tries again. What may have been accepted is not sent again, and a process that ends in between leaves it unsent:
//! a second mail would be a mistake of ours, and the preferences page says the same.

use std::sync::Arc;

use common::tasks::Tasks;
use domain::EmailAddress;
use tracing::{Instrument as _, Span, info, warn};

use super::deliver::mail::MailChannel;
use super::settle::pause;
use crate::mailer::{EncodedMail, Mail, SendError, spans};
use crate::mails::{Links, RemainingChannel, WebhookEnd, WebhookNotice};
use crate::metrics::WEBHOOKS_ENDED;
use crate::ports::StoreError;
use crate::subscribers::suppressions::SuppressionCause;
use crate::subscribers::webhook::{WebhookRegistration, WebhookStatus, WebhookUpdate};
use crate::subscribers::{Subscriber, SubscriberState};

/// With pauses that double up to an hour these are more than a day.
const MOST_ATTEMPTS: u32 = 32;

/// Sends notices; clones share the mail channel.
#[derive(Clone)]
pub struct WebhookNotices {
    pub mail: Arc<MailChannel>,
    pub tasks: Tasks,
}

impl WebhookNotices {
    /// Tells a reader whose webhook a change ended, while the caller goes on with other things.
    pub fn send_where_ended(&self, update: WebhookUpdate) {
        let Some(subscriber) = update.subscriber.filter(|_| update.ended) else {
            return;
        };
        let Some(webhook) = subscriber.webhook.clone() else {
            return;
        };
        let reason = if webhook.status == WebhookStatus::Gone {
            "gone"
        } else {
            "disabled"
        };
        WEBHOOKS_ENDED.with_label_values(&[reason]).inc();
        warn!(subscriber = %subscriber.id, reason, detail = webhook.detail, "a webhook is out of use");
        let this = self.clone();
        // At the stop it is left: with its pauses it may go on for a day.
        let stop = self.tasks.stop().clone();
        let sending = async move { stop.run_until_cancelled(this.send(&subscriber.id, &webhook)).await };
        drop(
            self.tasks
                .job("notice about a webhook", sending.instrument(Span::current())),
        );
    }

    async fn send(&self, id: &str, webhook: &WebhookRegistration) {
        let settler = &self.mail.settler;
        for attempt in 0..MOST_ATTEMPTS {
            let mail = match self.notice(id, webhook).await {
                Ok(Some(mail)) => mail,
                Ok(None) => return,
                Err(problem) => return warn!(subscriber = id, problem, "a reader is not told of a webhook"),
            };
            match self.mail.hand_over(&mail, spans::sending("notice")).await {
                Ok(()) => return info!(subscriber = id, "a reader is told that a webhook is out of use"),
                Err(SendError::Transient(problem) | SendError::Paused { problem, .. }) => {
                    info!(subscriber = id, problem, "a reader cannot be told of a webhook yet");
                }
                Err(SendError::NoSuchAddress(problem)) => {
                    let suppressed = self.mail.subscriptions.suppress(id, SuppressionCause::Bounce).await;
                    return warn!(
                        subscriber = id,
                        problem,
                        ?suppressed,
                        "a reader is not told of a webhook"
                    );
                }
                Err(SendError::Lost(problem) | SendError::Refused(problem)) => {
                    return warn!(
                        subscriber = id,
                        problem, "a reader may not know that a webhook is out of use"
                    );
                }
            }
            settler
                .clock
                .sleep(pause(settler.first_pause, attempt).unsigned_abs())
                .await;
        }
    }

    /// The mail, where there is still something to tell and somebody who may be told.
    async fn notice(&self, id: &str, ended: &WebhookRegistration) -> Result<Option<EncodedMail>, String> {
        let words = |error: StoreError| error.to_string();
        let subscriptions = &self.mail.subscriptions;
        let Some(subscriber) = subscriptions.get(id).await.map_err(words)? else {
            return Ok(None);
        };
        let same = subscriber.webhook.as_ref().filter(|webhook| is_same(webhook, ended));
        let (Some(webhook), SubscriberState::Active | SubscriberState::Paused) = (same, subscriber.state) else {
            return Ok(None);
        };
        let address = EmailAddress::parse(&subscriber.email).map_err(|error| error.to_string())?;
        if subscriptions.suppression(&address).await.map_err(words)?.is_some() {
            return Ok(None);
        }
        let mail = self.written(&subscriber, webhook);
        mail.map(|mail| Some(mail.into())).map_err(|error| error.to_string())
    }

    fn written(&self, subscriber: &Subscriber, webhook: &WebhookRegistration) -> Result<Mail, minijinja::Error> {
        let gone = webhook.status == WebhookStatus::Gone;
        let streak = webhook.failure_streak.filter(|_| !gone);
        let since = streak.map_or(webhook.since, |streak| streak.since);
        let paused = subscriber.takes_nothing();
        let links = Links::new(
            &self.mail.public_url,
            &self.mail.tokens,
            subscriber.link_holder(),
            webhook.since,
        );
        let serial = format!("webhook.{}", webhook.since.as_millisecond());
        self.mail.writer.webhook_notice(&WebhookNotice {
            email: &subscriber.email,
            language: &subscriber.preferences.language,
            url: &webhook.url,
            answer: &webhook.detail,
            end: if gone { WebhookEnd::Gone } else { WebhookEnd::Failing },
            remaining: if paused {
                RemainingChannel::None
            } else {
                RemainingChannel::Mail
            },
            day: subscriber.preferences.schedule.local_date(since),
            links: &links,
            message_id: self.mail.message_id(&subscriber.id, &serial),
        })
    }
}

/// Whether it is the webhook that went out of use then, and is in the same state still.
fn is_same(webhook: &WebhookRegistration, ended: &WebhookRegistration) -> bool {
    webhook.url == ended.url && webhook.status == ended.status && webhook.since == ended.since
}

#[cfg(test)]
mod tests {
    use domain::preferences::Channels;

    use super::*;
    use crate::subscribers::webhook::WebhookAnswer;
    use crate::testing::TestService;

    const ADA: &str = "ada@example.org";

    /// A webhook in use that says it is gone.
    async fn gone(service: &TestService) -> WebhookUpdate {
        service.reader(ADA, &[]).await;
        let store = &service.subscriptions;
        let set = store.set_webhook(ADA, "https://hooks.example.org/", "name", Channels::Webhook);
        let webhook = set.await.expect("redis answers").and_then(|known| known.webhook);
        let webhook = webhook.expect("a webhook");
        let mut last = None;
        service.at(1);
        for answered in [WebhookAnswer::Accepted, WebhookAnswer::Gone("410 Gone".to_owned())] {
            let noted = store.webhook_answered(ADA, &webhook, &answered).await;
            last = Some(noted.expect("redis answers"));
        }
        last.expect("two answers")
    }

    async fn gone_webhook(service: &TestService) -> WebhookRegistration {
        let known = gone(service).await.subscriber;
        known.and_then(|known| known.webhook).expect("a webhook")
    }

    fn notices(service: &TestService) -> &WebhookNotices {
        service.digests.webhook_notices()
    }

    #[tokio::test]
    async fn a_reader_is_told_once() {
        let service = TestService::build();
        let noted = gone(&service).await;
        assert!(noted.ended);
        notices(&service).send_where_ended(WebhookUpdate {
            subscriber: noted.subscriber.clone(),
            ended: false,
        });
        notices(&service).send_where_ended(noted);
        service.transport.taken.notified().await;
        let [mail] = &service.mails()[..] else {
            panic!("one mail, not {:?}", service.mails())
        };
        assert_eq!((mail.to.as_str(), mail.list_unsubscribe_url.as_deref()), (ADA, None));
        assert!(
            mail.text.contains("410 Gone") && mail.text.contains("paused"),
            "{}",
            mail.text
        );
    }

    #[tokio::test]
    async fn what_may_have_been_taken_is_not_sent_again() {
        let service = TestService::build();
        let webhook = gone_webhook(&service).await;
        service.answer(Err(SendError::Lost("cut off".to_owned())));
        notices(&service).send(ADA, &webhook).await;
        assert!(service.mails().is_empty());
    }

    #[tokio::test]
    async fn nobody_is_told_without_need() {
        let service = TestService::build();
        let webhook = gone_webhook(&service).await;
        let answered = service
            .at(2)
            .subscriptions
            .webhook_answered(ADA, &webhook, &WebhookAnswer::Accepted);
        answered.await.expect("redis answers");
        notices(&service).send(ADA, &webhook).await;
        let again = WebhookAnswer::Gone("410 Gone".to_owned());
        let noted = service
            .at(3)
            .subscriptions
            .webhook_answered(ADA, &webhook, &again)
            .await;
        let webhook = noted.expect("redis answers").subscriber.and_then(|known| known.webhook);
        service
            .subscriptions
            .suppress(ADA, SuppressionCause::Manual)
            .await
            .expect("redis answers");
        notices(&service).send(ADA, &webhook.expect("a webhook")).await;
        assert!(service.mails().is_empty());
    }
}
