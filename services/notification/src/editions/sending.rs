//! Plans are carried out: mails are written and handed over, so many at once as there are connections, each after a last
//! look at the subscription and the lease.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use common::telemetry;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, warn};

use super::planning::{Leave, Planned, ended, settled_as};
use super::{Delivered, EditionError, EditionPaper, Editions, Outcome, Parts, Plan};
use crate::mailer::{Outgoing, SendError, spans};
use crate::subscribers::SubscribersError;
use crate::subscribers::deliveries::{Certainty, Stage};
use crate::subscribers::suppressions::Reason;

/// Between attempts to record that a mail was taken.
const RECORD_PAUSE: Duration = Duration::from_millis(200);

impl Editions {
    /// Sends what is planned, and says what became of everything. What is not begun at the stop is left out, and due
    /// again after the lease.
    pub async fn carry_out(self: &Arc<Self>, plan: Plan, stop: &CancellationToken) -> Vec<Outcome> {
        let mut outcomes = plan.outcomes;
        // Dropped with this future: its tasks end with whoever waits for them.
        let mut sending = JoinSet::new();
        for planned in plan.editions {
            let permit = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                permit = Arc::clone(&self.connections).acquire_owned() => permit,
            };
            let this = Arc::clone(self);
            let sent = async move {
                let (id, email) = (planned.subscriber.id.clone(), planned.subscriber.email.clone());
                let result = this.send(planned).await;
                drop(permit);
                ended(&id, email, result)
            };
            sending.spawn(sent.instrument(Span::current()));
            while let Some(done) = sending.try_join_next() {
                outcomes.extend(done);
            }
        }
        outcomes.extend(sending.join_all().await);
        outcomes
    }

    async fn send(&self, planned: Planned) -> Result<Delivered, EditionError> {
        // Before the last look: what cannot be written must not seem to be with the mail server.
        let mail = self.outgoing(&planned.subscriber, planned.slot, &planned.papers)?;
        let mut planned = match self.leave(Box::new(planned)).await? {
            Leave::Go(planned) => *planned,
            Leave::Ended(delivered) => return Ok(delivered),
        };
        let outcome = self.hand_over(&mail, self.sending(&planned.papers)).await;
        planned.record.at = Timestamp::now();
        match outcome {
            Ok(()) => self.taken(planned).await,
            Err(SendError::NoSuchAddress(problem)) => {
                let subscribers = &self.parts.subscribers;
                let id = &planned.subscriber.id;
                subscribers.suppress(id, Reason::Bounce, planned.record.at).await?;
                self.end(planned, Stage::Failed, &problem).await
            }
            Err(SendError::Refused(problem)) => self.end(planned, Stage::Failed, &problem).await,
            Err(SendError::Transient(problem)) => self.put_off(planned, problem, Certainty::Untaken).await,
            Err(SendError::Paused { problem, remaining }) => {
                let remaining = SignedDuration::try_from(remaining).unwrap_or(SignedDuration::MAX);
                let due = planned.record.at.saturating_add(remaining.max(self.parts.first_pause));
                let due = due.unwrap_or(planned.next).min(planned.next);
                self.put_off_until(due, planned, problem, Certainty::Untried).await
            }
            Err(SendError::Lost(problem)) => self.put_off(planned, problem, Certainty::Unknown).await,
        }
    }

    /// Records that the mail server has the mail. A record that is lost here would be a second mail, so it is tried for
    /// as long as an attempt may take.
    pub(super) async fn taken(&self, mut planned: Planned) -> Result<Delivered, EditionError> {
        planned.record.stage = Stage::Sent;
        planned.record.detail.clear();
        let begun = Instant::now();
        loop {
            match self.record(&planned).await {
                Ok(true) => return Ok(settled_as(planned)),
                Ok(false) => return Ok(self.of_somebody_else(&planned).await?),
                Err(error) if begun.elapsed() < self.parts.send_timeout => {
                    warn!(%error, "a mail that was taken is not on record yet, trying again");
                    tokio::time::sleep(RECORD_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn record(&self, planned: &Planned) -> Result<bool, SubscribersError> {
        let sent = self
            .parts
            .subscribers
            .sent(planned.attempt(), &planned.record, planned.next);
        sent.await
    }

    pub(super) async fn hand_over(&self, mail: &Outgoing, span: Span) -> Result<(), SendError> {
        self.parts.hand_over(mail, span).await
    }

    /// The span of sending a digest, which points at the traces of its papers.
    pub(super) fn sending(&self, papers: &[EditionPaper]) -> Span {
        if !telemetry::is_exported() {
            // Nobody would see it, with a link to each paper it is a twentieth of what a mail costs.
            return Span::none();
        }
        let span = spans::sending("digest");
        let window = self.parts.window.read().unwrap_or_else(PoisonError::into_inner);
        for trace in papers.iter().filter_map(|one| window.trace(&one.paper.id)) {
            telemetry::link(&span, trace);
        }
        span
    }
}

impl Parts {
    pub(super) async fn hand_over(&self, mail: &Outgoing, span: Span) -> Result<(), SendError> {
        let sending = self.transport.send(mail).instrument(span.clone());
        let outcome = tokio::time::timeout(self.send_timeout, sending).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let problem = format!("no answer within {} s", self.send_timeout.as_secs());
            Err(SendError::Lost(problem))
        });
        spans::ended(&span, &outcome);
        outcome
    }
}
