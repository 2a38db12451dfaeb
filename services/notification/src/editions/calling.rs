//! Plans for webhooks are carried out: one request for each edition, so many at once, each after a last look at the
//! subscription and the lease. And the challenge that a webhook answers before it is sent anything.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use common::telemetry;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, warn};

use super::letters::Links;
use super::planning::{Leave, Planned, ended_on, pause};
use super::{Answered, Channel, Delivered, EditionError, EditionPaper, Editions, Outcome, Plan};
use crate::subscribers::Subscriber;
use crate::subscribers::deliveries::{Certainty, Stage};
use crate::subscribers::webhooks::Webhook;
use crate::webhook::{self, Call, CallError, Turn, bodies};

/// A pause is longer or shorter by up to this share of it: what failed together must not come back together.
const JITTER: f64 = 0.25;

impl Editions {
    /// Calls the webhooks of a plan, and says what became of everything. What is not begun at the stop is left out, and
    /// due again after the lease.
    pub(super) async fn call_out(self: &Arc<Self>, plan: Plan, stop: &CancellationToken) -> Vec<Outcome> {
        let mut outcomes = plan.outcomes;
        // Dropped with this future: its tasks end with whoever waits for them.
        let mut calling = JoinSet::new();
        for planned in plan.editions {
            let permit = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                permit = Arc::clone(&self.calls).acquire_owned() => permit,
            };
            let this = Arc::clone(self);
            let called = async move {
                let (id, email) = (planned.subscriber.id.clone(), planned.subscriber.email.clone());
                let result = this.call(planned).await;
                drop(permit);
                ended_on(Channel::Webhook, &id, email, result)
            };
            calling.spawn(called.instrument(Span::current()));
            while let Some(done) = calling.try_join_next() {
                outcomes.extend(done);
            }
        }
        outcomes.extend(calling.join_all().await);
        outcomes
    }

    /// Asks a webhook whether it agrees.
    pub async fn challenge(&self, of: &Subscriber, webhook: &Webhook, now: Timestamp) -> Answered {
        let call = self.signed(
            of,
            webhook,
            format!("challenge_{}", uuid::Uuid::new_v4().simple()),
            bodies::challenge(&of.id, now),
            now,
        );
        let asked = match self.parts.caller.turn(&webhook.url).await {
            Ok(turn) => self.ask_webhook(&call, turn, webhook::span("challenge")).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(()) => Answered::Agreed,
            Err(CallError::Gone(problem)) => Answered::Gone(problem),
            Err(CallError::Transient { problem, .. } | CallError::Lost(problem)) => Answered::Refused(problem),
        }
    }

    async fn call(&self, planned: Planned) -> Result<Delivered, EditionError> {
        let Some(webhook) = planned.subscriber.webhook.clone() else {
            return self.end_empty(planned, super::Emptiness::OtherChannel).await;
        };
        let turn = match self.parts.caller.turn(&webhook.url).await {
            Ok(turn) => turn,
            Err(error) => return self.put_off(planned, error.to_string(), Certainty::Untried).await,
        };
        let mut planned = match self.leave(Box::new(planned)).await? {
            Leave::Go(planned) => *planned,
            Leave::Ended(delivered) => return Ok(delivered),
        };
        let subscriber = &planned.subscriber;
        let links = Links::new(&self.parts.public_url, &self.parts.tokens, &subscriber.id, planned.slot);
        let id = planned.record.message_id.clone();
        let body = bodies::edition(&id, &subscriber.id, planned.slot, &planned.papers, &links);
        let call = self.signed(subscriber, &webhook, id, body, Timestamp::now());
        let outcome = self.ask_webhook(&call, turn, self.calling(&planned.papers)).await;
        planned.record.at = Timestamp::now();
        match outcome {
            Ok(()) => {
                let id = planned.subscriber.id.clone();
                let delivered = self.taken(planned).await;
                self.note_taken(&id, &webhook).await;
                delivered
            }
            Err(CallError::Gone(problem)) => {
                let (id, answered) = (&planned.subscriber.id, Answered::Gone(problem.clone()));
                let subscribers = &self.parts.subscribers;
                let noted = subscribers.webhook_answered(id, &webhook, &answered, planned.record.at);
                self.tell_where_ended(noted.await?);
                self.end(planned, Stage::Failed, &format!("the webhook is gone: {problem}"))
                    .await
            }
            Err(CallError::Transient { problem, after }) => {
                let due = self.again_at(&planned, after);
                self.note_last_attempt(due, &planned, &problem).await;
                self.put_off_until(due, planned, problem, Certainty::Untaken).await
            }
            Err(CallError::Lost(problem)) => {
                let due = self.again_at(&planned, None);
                self.note_last_attempt(due, &planned, &problem).await;
                self.put_off_until(due, planned, problem, Certainty::Unknown).await
            }
        }
    }

    /// An edition that was taken ends the count of those that were not. It is on record as sent already: should this be
    /// lost, the next one ends the count.
    async fn note_taken(&self, id: &str, webhook: &Webhook) {
        if webhook.failing.is_none() {
            return;
        }
        let noted = self.parts.subscribers.edition_taken(id, webhook, Timestamp::now());
        if let Err(error) = noted.await {
            warn!(%error, subscriber = id, "it is not noted that a webhook takes editions again");
        }
    }

    /// An edition that is tried no more before the next slot has failed.
    async fn note_last_attempt(&self, due: Timestamp, planned: &Planned, problem: &str) {
        if due >= planned.next {
            self.note_failed(planned, problem).await;
        }
    }

    /// Counts an edition that failed. Before its end is on record: who ends in between is asked for it again after the
    /// lease, and none counts twice.
    pub(super) async fn note_failed(&self, planned: &Planned, problem: &str) {
        let (id, slot) = (&planned.subscriber.id, planned.slot);
        let Some(webhook) = planned.subscriber.webhook.as_ref() else {
            return;
        };
        let subscribers = &self.parts.subscribers;
        let noted = subscribers.edition_failed(id, webhook, slot, problem, self.parts.patience, Timestamp::now());
        match noted.await {
            Ok(noted) => self.tell_where_ended(noted),
            Err(error) => warn!(%error, subscriber = %id, %slot, "a failed edition is not counted"),
        }
    }

    /// After a pause that doubles, at the next slot at the latest; and not before the webhook wants to be asked again, but
    /// for one that wants it later than editions expire.
    fn again_at(&self, planned: &Planned, after: Option<Duration>) -> Timestamp {
        let at = |pause: SignedDuration| planned.record.at.saturating_add(pause).unwrap_or(planned.next);
        let factor = 1.0 + JITTER * (2.0 * rand::random::<f64>() - 1.0);
        let usual = pause(self.parts.first_pause, planned.record.attempts).as_secs_f64() * factor;
        let usual = SignedDuration::try_from_secs_f64(usual).unwrap_or(self.parts.first_pause);
        let usual = at(usual).min(planned.next);
        let wanted = after.map(|after| SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX));
        wanted.map_or(usual, |wanted| usual.max(at(wanted.min(self.parts.expire))))
    }

    fn signed(&self, of: &Subscriber, webhook: &Webhook, id: String, body: String, now: Timestamp) -> Call {
        let secrets = webhook.secrets(now).map(|name| self.parts.secrets.secret(&of.id, name));
        Call {
            url: webhook.url.clone(),
            id,
            body,
            secrets: secrets.collect(),
        }
    }

    async fn ask_webhook(&self, call: &Call, turn: Turn, span: Span) -> Result<(), CallError> {
        let calling = self.parts.caller.call(call, turn).instrument(span.clone());
        let outcome = tokio::time::timeout(self.parts.send_timeout, calling).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let problem = format!("no answer within {} s", self.parts.send_timeout.as_secs());
            Err(CallError::Lost(problem))
        });
        webhook::ended(&span, &outcome);
        outcome
    }

    /// The span of a request with an edition, which points at the traces of its papers.
    fn calling(&self, papers: &[EditionPaper]) -> Span {
        let span = webhook::span("edition");
        let window = self.parts.window.read().unwrap_or_else(PoisonError::into_inner);
        for trace in papers.iter().filter_map(|one| window.trace(&one.paper.id)) {
            telemetry::link(&span, trace);
        }
        span
    }
}

/// What a request with an edition is known by, at every attempt.
pub(super) fn edition_id(subscriber: &str, slot: Timestamp) -> String {
    format!("edition_{subscriber}_{}", slot.as_millisecond())
}

#[cfg(test)]
mod tests {
    use domain::preferences::Channels;

    use super::*;
    use crate::subscribers::failures::Failing;
    use crate::testing::House;

    /// A reader whose webhook has agreed, and whose current slot was an hour ago.
    async fn reader(house: &House, email: &str) {
        house.reader(email, &[]).await;
        let store = &house.subscribers;
        let set = store.set_webhook(
            email,
            "https://hooks.example.org/",
            "name",
            Channels::Webhook,
            house.now,
        );
        let webhook = set.await.expect("redis answers").and_then(|known| known.webhook);
        let webhook = webhook.expect("a webhook");
        let agreed = store.webhook_answered(email, &webhook, &Answered::Agreed, house.now);
        agreed.await.expect("redis answers");
    }

    async fn turn(house: &House, email: &str, minutes: i64) -> Stage {
        let outcome = house.turn_on(Channel::Webhook, email, minutes).await;
        outcome.result.expect("delivered").record.stage
    }

    async fn failing(house: &House, email: &str) -> Option<Failing> {
        house.again(email).await.webhook.expect("a webhook").failing
    }

    #[tokio::test]
    async fn an_edition_counts_as_failed_when_it_expires_after_attempts_and_not_at_each_of_them() {
        let house = House::build().await;
        house.add_paper("x:a", "cats", "test@1");
        for email in ["ada@example.org", "bob@example.org"] {
            reader(&house, email).await;
        }
        for problem in ["500 Internal Server Error", "502 Bad Gateway"] {
            let answer = Err(CallError::Transient {
                problem: problem.to_owned(),
                after: None,
            });
            house.hook.answers.lock().expect("unpoisoned").push_back(answer);
        }
        for minutes in [0, 5] {
            assert_eq!(turn(&house, "ada@example.org", minutes).await, Stage::Deferred);
            assert_eq!(failing(&house, "ada@example.org").await, None);
        }
        let too_late = 13 * 60;
        assert_eq!(turn(&house, "ada@example.org", too_late).await, Stage::Expired);
        let counted = failing(&house, "ada@example.org").await.expect("counted");
        assert_eq!(counted.editions, 1);
        let webhook = house.again("ada@example.org").await.webhook.expect("a webhook");
        assert_eq!(webhook.detail, "502 Bad Gateway");

        assert_eq!(turn(&house, "bob@example.org", too_late).await, Stage::Expired);
        assert_eq!(failing(&house, "bob@example.org").await, None, "nobody has called it");
    }
}
