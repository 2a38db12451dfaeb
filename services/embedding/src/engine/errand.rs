//! A text on its way through the engine: who asked for it, until when, and where the answer goes.
//!
//! It never computes anything; every errand ends in exactly one answer, or with its caller gone.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::admission::Permit;
use super::{Embedded, TextError};
use crate::metrics::Metrics;
use encoder::TextKind;

/// What is known about a text that waits, apart from the text.
#[derive(Debug)]
pub struct Errand {
    /// What it is.
    pub kind: TextKind,
    /// After which nobody wants the answer.
    pub deadline: Option<Instant>,
    /// When it came.
    pub submitted: Instant,
    /// Its room in the queue.
    pub permit: Permit,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Embedded, TextError>>,
}

/// A text in one of its states, with its errand.
#[derive(Debug)]
pub struct Item<P> {
    /// Who wants it.
    pub errand: Errand,
    /// The text in this state.
    pub payload: P,
}

impl<P> Item<P> {
    /// Gives the item back if somebody still waits for it at this moment; else it is answered or dropped, and counted.
    pub fn if_wanted(self, now: Instant, metrics: &Metrics) -> Option<Self> {
        let kind = self.errand.kind;
        if self.errand.deadline.is_some_and(|deadline| deadline <= now) {
            metrics.expired(kind);
            self.errand.answer(Err(TextError::Deadline));
            return None;
        }
        if self.errand.reply.is_closed() {
            metrics.dropped(kind);
            return None;
        }
        Some(self)
    }
}

impl Errand {
    /// How long it has waited.
    pub fn waited(&self, until: Instant) -> Duration {
        until.saturating_duration_since(self.submitted)
    }

    /// Its turn has come: it waits no longer and takes no room.
    pub fn leave_queue(&mut self) {
        self.permit.correct(0);
    }

    /// Ends the errand and gives its room back.
    pub fn answer(self, answer: Result<Embedded, TextError>) {
        // The caller may have gone away meanwhile; nothing is lost that anybody wants.
        let _ = self.reply.send(answer);
    }

    /// Ends the errand because the text cannot be embedded.
    pub fn fail(self, error: TextError, metrics: &Metrics) {
        metrics.failed(self.kind);
        self.answer(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::admission::{Admission, Capacity};

    fn item(deadline: Option<Instant>) -> (Item<()>, oneshot::Receiver<Result<Embedded, TextError>>) {
        let (reply, answer) = oneshot::channel();
        let capacity = Capacity {
            queries: 1,
            documents: 1,
        };
        let admission = Admission::new(capacity, Metrics::unregistered().queue_gauges());
        let errand = Errand {
            kind: TextKind::Query,
            deadline,
            submitted: Instant::now(),
            permit: admission.reserve(TextKind::Query, 1).expect("room"),
            reply,
        };
        (Item { errand, payload: () }, answer)
    }

    #[test]
    fn an_item_is_wanted_until_its_deadline() {
        let metrics = Metrics::unregistered();
        let now = Instant::now();
        let deadline = now + Duration::from_nanos(1);
        let (one, mut answer) = item(Some(deadline));
        let one = one.if_wanted(now, &metrics);
        assert!(one.expect("wanted").if_wanted(deadline, &metrics).is_none());
        assert!(matches!(answer.try_recv(), Ok(Err(TextError::Deadline))));
        assert_eq!(metrics.not_computed(TextKind::Query), [0, 0, 1, 0]);
    }

    #[test]
    fn an_item_without_a_caller_is_dropped_and_counted() {
        let metrics = Metrics::unregistered();
        let (one, answer) = item(None);
        let one = one.if_wanted(Instant::now(), &metrics).expect("wanted");
        drop(answer);
        assert!(one.if_wanted(Instant::now(), &metrics).is_none());
        assert_eq!(metrics.not_computed(TextKind::Query), [1, 0, 0, 0]);
    }
}
