//! Tells readers by mail that their webhook went out of use: once at most for each time.
//!
//! Whose write ended the use, and nobody else, sends the mail (see [`failures`](crate::subscribers::failures)). While the mail
//! server says that it does not take it the same process tries again. What may have been taken is not sent again, and a
//! process that ends in between leaves it unsent: a second mail would be a mistake of ours, and the preferences page says the
//! same.

use domain::EmailAddress;
use jiff::Timestamp;
use tracing::{Instrument as _, Span, info, warn};

use super::letters::{Ended, Rest, WebhookNotice};
use super::planning::pause;
use super::{Editions, Links, Parts};
use crate::mailer::{Mail, Outgoing, SendError, spans};
use crate::metrics::WEBHOOKS_ENDED;
use crate::subscribers::failures::Noted;
use crate::subscribers::suppressions::Reason;
use crate::subscribers::webhooks::{Standing, Webhook};
use crate::subscribers::{State, Subscriber, SubscribersError};

/// With pauses that double up to an hour these are more than a day.
const MOST_ATTEMPTS: u32 = 32;

impl Editions {
    /// Tells a reader whose webhook a change ended, while this process goes on with other things.
    pub fn tell_where_ended(&self, noted: Noted) {
        let Some(subscriber) = noted.subscriber.filter(|_| noted.ended) else {
            return;
        };
        let Some(webhook) = subscriber.webhook.clone() else {
            return;
        };
        let reason = if webhook.standing == Standing::Gone {
            "gone"
        } else {
            "disabled"
        };
        WEBHOOKS_ENDED.with_label_values(&[reason]).inc();
        warn!(subscriber = %subscriber.id, reason, detail = webhook.detail, "a webhook is out of use");
        let parts = self.parts.clone();
        let telling = async move { parts.tell(&subscriber.id, &webhook).await };
        tokio::spawn(telling.instrument(Span::current()));
    }
}

impl Parts {
    async fn tell(&self, id: &str, webhook: &Webhook) {
        for attempt in 0..MOST_ATTEMPTS {
            let mail = match self.notice(id, webhook).await {
                Ok(Some(mail)) => mail,
                Ok(None) => return,
                Err(problem) => return warn!(subscriber = id, problem, "a reader is not told of a webhook"),
            };
            match self.hand_over(&mail, spans::sending("notice")).await {
                Ok(()) => return info!(subscriber = id, "a reader is told that a webhook is out of use"),
                Err(SendError::Transient(problem) | SendError::Paused { problem, .. }) => {
                    info!(subscriber = id, problem, "a reader cannot be told of a webhook yet");
                }
                Err(SendError::NoSuchAddress(problem)) => {
                    let suppressed = self.subscribers.suppress(id, Reason::Bounce, Timestamp::now()).await;
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
            tokio::time::sleep(pause(self.first_pause, attempt).unsigned_abs()).await;
        }
    }

    /// The mail, where there is still something to tell and somebody who may be told.
    async fn notice(&self, id: &str, ended: &Webhook) -> Result<Option<Outgoing>, String> {
        let words = |error: SubscribersError| error.to_string();
        let Some(subscriber) = self.subscribers.get(id).await.map_err(words)? else {
            return Ok(None);
        };
        let same = subscriber.webhook.as_ref().filter(|webhook| is_same(webhook, ended));
        let (Some(webhook), State::Active | State::Paused) = (same, subscriber.state) else {
            return Ok(None);
        };
        let address = EmailAddress::parse(&subscriber.email).map_err(|error| error.to_string())?;
        if self.subscribers.suppression(&address).await.map_err(words)?.is_some() {
            return Ok(None);
        }
        let mail = self.written(&subscriber, webhook);
        mail.map(|mail| Some(mail.into())).map_err(|error| error.to_string())
    }

    fn written(&self, subscriber: &Subscriber, webhook: &Webhook) -> Result<Mail, minijinja::Error> {
        let gone = webhook.standing == Standing::Gone;
        let failing = webhook.failing.filter(|_| !gone);
        let since = failing.map_or(webhook.since, |failing| failing.since);
        let paused = subscriber.takes_nothing();
        let links = Links::new(&self.public_url, &self.tokens, &subscriber.id, webhook.since);
        self.letters.webhook_ended(&WebhookNotice {
            email: &subscriber.email,
            language: &subscriber.preferences.language,
            url: &webhook.url,
            answer: &webhook.detail,
            reason: if gone { Ended::Gone } else { Ended::Disabled },
            rest: if paused { Rest::Nothing } else { Rest::Mail },
            day: subscriber.preferences.schedule.local_date(since),
            links: &links,
            message_id: format!(
                "<{}.webhook.{}@{}>",
                subscriber.id,
                webhook.since.as_millisecond(),
                self.mail_domain
            ),
        })
    }
}

/// Whether it is the webhook that went out of use then, and stands there still.
fn is_same(webhook: &Webhook, ended: &Webhook) -> bool {
    webhook.url == ended.url && webhook.standing == ended.standing && webhook.since == ended.since
}

#[cfg(test)]
mod tests {
    use domain::preferences::Channels;

    use super::*;
    use crate::subscribers::webhooks::Answered;
    use crate::testing::House;

    const ADA: &str = "ada@example.org";

    /// A webhook in use that says it is gone.
    async fn gone(house: &House) -> Noted {
        house.reader(ADA, &[]).await;
        let store = &house.subscribers;
        let set = store.set_webhook(ADA, "https://hooks.example.org/", "name", Channels::Webhook, house.now);
        let webhook = set.await.expect("redis answers").and_then(|known| known.webhook);
        let webhook = webhook.expect("a webhook");
        let mut last = None;
        for answered in [Answered::Agreed, Answered::Gone("410 Gone".to_owned())] {
            let noted = store.webhook_answered(ADA, &webhook, &answered, house.later(1)).await;
            last = Some(noted.expect("redis answers"));
        }
        last.expect("two answers")
    }

    async fn gone_webhook(house: &House) -> Webhook {
        let known = gone(house).await.subscriber;
        known.and_then(|known| known.webhook).expect("a webhook")
    }

    fn parts(house: &House) -> Parts {
        house.editions.parts.clone()
    }

    #[tokio::test]
    async fn a_reader_is_told_once_and_not_where_nothing_ended() {
        let house = House::build().await;
        let noted = gone(&house).await;
        assert!(noted.ended);
        house.editions.tell_where_ended(Noted {
            subscriber: noted.subscriber.clone(),
            ended: false,
        });
        house.editions.tell_where_ended(noted);
        house.post.taken.notified().await;
        let [mail] = &house.mails()[..] else {
            panic!("one mail, not {:?}", house.mails())
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
        let house = House::build().await;
        let webhook = gone_webhook(&house).await;
        house.answer(Err(SendError::Lost("cut off".to_owned())));
        parts(&house).tell(ADA, &webhook).await;
        assert!(house.mails().is_empty());
    }

    #[tokio::test]
    async fn nobody_is_told_who_must_get_no_mail_or_has_put_it_right() {
        let house = House::build().await;
        let webhook = gone_webhook(&house).await;
        let answered = house
            .subscribers
            .webhook_answered(ADA, &webhook, &Answered::Agreed, house.later(2));
        answered.await.expect("redis answers");
        parts(&house).tell(ADA, &webhook).await;
        let again = Answered::Gone("410 Gone".to_owned());
        let noted = house
            .subscribers
            .webhook_answered(ADA, &webhook, &again, house.later(3))
            .await;
        let webhook = noted.expect("redis answers").subscriber.and_then(|known| known.webhook);
        house
            .subscribers
            .suppress(ADA, Reason::Manual, house.later(4))
            .await
            .expect("redis answers");
        parts(&house).tell(ADA, &webhook.expect("a webhook")).await;
        assert!(house.mails().is_empty());
    }
}
