//! How long a webhook has failed: since when no edition reached it, how many did not, and from when on it is out of use.
//!
//! What counts is an edition with all of its attempts, not each of them, and none counts twice. An edition that is taken
//! ends the count; where there is no count nothing is written.
//!
//! A change that ends the use of a webhook is one write over the version that was read, so of several replicas, and of any
//! number of attempts, one alone is answered that it was its doing. Where the answer of Redis is lost nobody is: whoever
//! follows from [`Noted::ended`] acts once at most.

use jiff::{SignedDuration, Timestamp};

use super::webhooks::{Standing, Webhook, same};
use super::{Subscriber, Subscribers, SubscribersError};

/// Fewer editions say too little of a webhook, however long they take: a weekly one fails for days with the first.
const LEAST_EDITIONS: u32 = 3;

/// Editions in a row that a webhook did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// When the first one was given up.
    pub since: Timestamp,
    /// How many.
    pub editions: u32,
    /// The last one of them.
    pub slot: Timestamp,
}

/// How long a webhook may fail before it is out of use.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    /// For so long.
    For(SignedDuration),
    /// For ever.
    Endless,
}

/// What came of a word about a webhook.
#[derive(Debug)]
pub struct Noted {
    /// The subscriber afterwards; none where there is none any more.
    pub subscriber: Option<Subscriber>,
    /// Whether this very call ended the use of the webhook, so that the reader is to be told.
    pub ended: bool,
}

impl Patience {
    /// Whether it has run out.
    fn is_over(self, failing: Failing, now: Timestamp) -> bool {
        match self {
            Self::Endless => false,
            Self::For(span) => failing.editions >= LEAST_EDITIONS && now.duration_since(failing.since) >= span,
        }
    }
}

impl Subscribers {
    /// Takes note that an edition did not reach a webhook in the end, and why. One that has failed for too long is out of
    /// use then; where it was the only way the subscription pauses and says why.
    pub async fn edition_failed(
        &self,
        id: &str,
        asked: &Webhook,
        slot: Timestamp,
        problem: &str,
        patience: Patience,
        now: Timestamp,
    ) -> Result<Noted, SubscribersError> {
        let mut ended = false;
        let note = |known: &mut Subscriber| {
            ended = false;
            let Some(webhook) = same(known, asked).filter(|webhook| webhook.standing == Standing::Verified) else {
                return;
            };
            let failing = webhook.fail(slot, problem, now);
            if patience.is_over(failing, now) {
                webhook.stand(Standing::Disabled, problem, now);
                let why = format!("the webhook is out of use: {}", failing.in_words(problem));
                known.pause_without_ways(&why);
                ended = true;
            }
        };
        let subscriber = self.change(id, now, note).await?;
        Ok(Noted { subscriber, ended })
    }

    /// Takes note that a webhook takes editions again. To be called only where some failed before.
    pub async fn edition_taken(&self, id: &str, asked: &Webhook, now: Timestamp) -> Result<(), SubscribersError> {
        let note = |known: &mut Subscriber| {
            let webhook = same(known, asked).filter(|webhook| webhook.standing == Standing::Verified);
            if let Some(webhook) = webhook.filter(|webhook| webhook.failing.is_some()) {
                webhook.failing = None;
                webhook.detail.clear();
            }
        };
        self.change(id, now, note).await.map(drop)
    }
}

impl Failing {
    /// For people.
    pub fn in_words(&self, problem: &str) -> String {
        let Self { since, editions, .. } = self;
        let day = since.strftime("%Y-%m-%d");
        format!("every edition has failed since {day}, {editions} in a row; the last answer was: {problem}")
    }
}

impl Webhook {
    /// Counts an edition that was not counted before.
    fn fail(&mut self, slot: Timestamp, problem: &str, now: Timestamp) -> Failing {
        let failing = self.failing.get_or_insert(Failing {
            since: now,
            editions: 0,
            slot: Timestamp::MIN,
        });
        if failing.slot != slot {
            failing.editions = failing.editions.saturating_add(1);
            failing.slot = slot;
            problem.clone_into(&mut self.detail);
        }
        *failing
    }
}

#[cfg(test)]
mod tests {
    use domain::preferences::Channels;
    use futures::future::join_all;

    use super::super::State;
    use super::super::webhooks::Answered;
    use super::*;
    use crate::testing::House;

    const ADA: &str = "ada@example.org";
    const TWO_DAYS: Patience = Patience::For(SignedDuration::from_hours(48));

    async fn agreed(house: &House, channels: Channels) -> Webhook {
        house.reader(ADA, &[]).await;
        let url = "https://hooks.example.org/";
        let set = house
            .subscribers
            .set_webhook(ADA, url, "name", channels, house.now)
            .await;
        let webhook = set
            .expect("redis answers")
            .and_then(|known| known.webhook)
            .expect("a webhook");
        let answered = house
            .subscribers
            .webhook_answered(ADA, &webhook, &Answered::Agreed, house.now);
        assert!(!answered.await.expect("redis answers").ended);
        webhook
    }

    /// The edition of so many days after the first one fails.
    async fn fail(house: &House, webhook: &Webhook, day: i64, patience: Patience) -> bool {
        let at = house.later(24 * 60 * day);
        let noted = house
            .subscribers
            .edition_failed(ADA, webhook, at, "500 Internal Server Error", patience, at);
        noted.await.expect("redis answers").ended
    }

    async fn standing(house: &House) -> (Standing, Option<u32>, State) {
        let ada = house.again(ADA).await;
        let webhook = ada.webhook.expect("a webhook");
        (
            webhook.standing,
            webhook.failing.map(|failing| failing.editions),
            ada.state,
        )
    }

    #[tokio::test]
    async fn a_webhook_is_out_of_use_after_its_time_and_three_editions() {
        let house = House::build().await;
        let webhook = agreed(&house, Channels::Webhook).await;
        assert!(!fail(&house, &webhook, 0, TWO_DAYS).await);
        assert!(!fail(&house, &webhook, 0, TWO_DAYS).await, "the same edition once more");
        assert!(!fail(&house, &webhook, 7, TWO_DAYS).await, "two say too little");
        assert_eq!(standing(&house).await, (Standing::Verified, Some(2), State::Active));
        assert!(fail(&house, &webhook, 8, TWO_DAYS).await);
        assert_eq!(standing(&house).await, (Standing::Disabled, Some(3), State::Paused));
        let reason = house.again(ADA).await.pause_reason;
        assert!(
            reason.contains("out of use") && reason.contains("500 Internal"),
            "{reason}"
        );
        assert!(!fail(&house, &webhook, 9, TWO_DAYS).await, "no more than once");

        let refused = Answered::Refused("503".to_owned());
        let noted = house
            .subscribers
            .webhook_answered(ADA, &webhook, &refused, house.later(1))
            .await;
        assert!(!noted.expect("redis answers").ended);
        assert_eq!(standing(&house).await.0, Standing::Disabled);
        let noted = house
            .subscribers
            .webhook_answered(ADA, &webhook, &Answered::Agreed, house.later(2))
            .await;
        assert!(!noted.expect("redis answers").ended);
        assert_eq!(standing(&house).await, (Standing::Verified, None, State::Active));
    }

    #[tokio::test]
    async fn an_edition_that_is_taken_begins_anew_and_patience_may_have_no_end() {
        let house = House::build().await;
        let webhook = agreed(&house, Channels::Both).await;
        for day in 0..2 {
            assert!(!fail(&house, &webhook, day, TWO_DAYS).await);
        }
        house
            .subscribers
            .edition_taken(ADA, &webhook, house.later(5))
            .await
            .expect("redis answers");
        assert_eq!(standing(&house).await, (Standing::Verified, None, State::Active));
        let version = house.again(ADA).await.version;
        house
            .subscribers
            .edition_taken(ADA, &webhook, house.later(6))
            .await
            .expect("redis answers");
        assert_eq!(
            house.again(ADA).await.version,
            version,
            "nothing to clear, nothing written"
        );
        for day in 10..12 {
            assert!(!fail(&house, &webhook, day, TWO_DAYS).await);
        }
        assert!(!fail(&house, &webhook, 400, Patience::Endless).await);
        assert!(fail(&house, &webhook, 401, TWO_DAYS).await);
        assert_eq!(standing(&house).await.2, State::Active, "mail comes as before");
    }

    #[tokio::test]
    async fn of_many_who_end_a_webhook_one_has_done_it() {
        let house = House::build().await;
        let webhook = agreed(&house, Channels::Webhook).await;
        for day in 0..2 {
            fail(&house, &webhook, day, TWO_DAYS).await;
        }
        let all = join_all((0..8).map(|_| fail(&house, &webhook, 3, TWO_DAYS))).await;
        assert_eq!(all.iter().filter(|ended| **ended).count(), 1);
    }
}
